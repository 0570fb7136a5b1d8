//! What every call goes through before the services.

pub(super) mod buffer_request;
mod catch_panic;
mod compression;
pub(super) mod element_limit;
mod map_tonic_errors;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use axum::{Router, http};
use http::{HeaderName, HeaderValue, Method, StatusCode, header};
use http_body::Body as _;
use tokio::time::sleep;
use tonic::Code;
use tower::{ServiceExt, service_fn};

use super::body::chunked::ChunkedBody;
use super::body::guarded;
use super::concurrency_limit::ConcurrencyLimit;
use super::connection::executor as stream;
use super::in_flight::{self, InFlight};
use super::reject::{code, refuse};
use super::request_buffers::{Bounds, RequestBuffers};
use super::rpc::Rpc;
use super::{CallLimits, MAX_REQUEST};
use crate::access_log::AccessLog;
use crate::bulk::BulkLimits;
use crate::credentials::Caller;
use crate::deadline::{Deadline, DeadlinePolicy, Drain};
use crate::error::Error;
use crate::grpc::Gateway;
use crate::memory::MemoryLimit;
use crate::proto::v1::presence_service_server::{PresenceServiceServer, SERVICE_NAME};
use crate::telemetry::Telemetry;

/// How long after its deadline a call is given up that has not reached its
/// handler. A handler ends by itself at the deadline, with more to tell.
const GRACE: Duration = Duration::from_millis(20);

/// What a call's metadata may still be asked for behind its token; see [`authenticate`].
const NEEDED: [&str; 7] = [
    "content-type",
    "te",
    "grpc-encoding",
    "grpc-accept-encoding",
    "grpc-previous-rpc-attempts",
    "traceparent",
    "tracestate",
];

/// What calls go through.
#[derive(Debug)]
struct Layers {
    services: Services,
    deadlines: DeadlinePolicy,
    drain: Drain,
    buffers: RequestBuffers,
    permits: ConcurrencyLimit,
    memory: MemoryLimit,
    bulk: BulkLimits,
    calls: InFlight,
}

/// What answers calls. The service that nearly all calls are for is asked
/// itself: the router is a tenth of the processor time of a small call.
#[derive(Debug)]
pub(super) struct Services {
    /// All of them.
    pub router: Router,
    /// The one of most calls.
    pub presence: Option<PresenceServiceServer<Gateway>>,
}

impl From<Router> for Services {
    fn from(router: Router) -> Self {
        let presence = None;
        Self { router, presence }
    }
}

/// Puts the layers around the services; `calls` counts the calls within.
pub(super) fn around(
    services: impl Into<Services>,
    limits: CallLimits,
    bulk: BulkLimits,
    drain: Drain,
    calls: InFlight,
) -> Router {
    let memory = MemoryLimit::new(limits.message_memory);
    let layers = Arc::new(Layers {
        services: services.into(),
        deadlines: limits.deadlines,
        drain,
        buffers: RequestBuffers::new(Bounds {
            // More could not be admitted if they came all at once.
            count: limits.max_in_flight.saturating_mul(2),
            message: MAX_REQUEST,
            memory: Some(memory.clone()),
        }),
        permits: ConcurrencyLimit::new(limits.max_in_flight),
        memory,
        bulk,
        calls,
    });
    let lead = service_fn(move |request| {
        let layers = Arc::clone(&layers);
        async move { Ok::<_, Infallible>(layers.lead(request).await) }
    });
    Router::new().fallback_service(lead)
}

impl Layers {
    /// Leads a call through the layers, of which the innermost is written first.
    ///
    /// All of them are one future, and the request is in one place. As layers
    /// of the router, each would be a future of its own with a copy of all that
    /// are within, and room for the request: a third of the memory of a call
    /// that waits for the vendor.
    async fn lead(&self, request: Request) -> Response {
        let next = |request| answered(&self.services, request);
        // Innermost, so that a handler that panics is like one that fails.
        let next = |request| catch_panic::answered(request, next);
        // What tonic answers by itself gets our details, and the right code.
        let next = |request| map_tonic_errors::answers(request, next);
        // Nothing waits for a place: a queue would only add its own delay.
        let next = |request| admit(&self.permits, &self.memory, request, next);
        // A place is not for one who takes their time to ask.
        let next =
            |request| buffer_request::taken(&self.buffers, &self.permits, self.bulk, request, next);
        // What nobody vouches for takes no place, and is not even read.
        let next = |request| authenticate(request, next);
        // The clock starts with the headers, not when the message is there.
        let next = |request| limit_time(self.deadlines, self.drain.clone(), request, next);
        // Around those that refuse, so that every call has its line in the log.
        let next = |request| record(request, next);
        // What is no gRPC gets an answer that its client understands.
        let next = |request| only_grpc(request, next);
        // Outermost: the end waits for whatever came in.
        in_flight::count(self.calls.clone(), Box::new(request), next).await
    }
}

async fn answered(services: &Services, request: Box<Request>) -> Response {
    let rest = request.uri().path().strip_prefix('/');
    let rest = rest.and_then(|rest| rest.strip_prefix(SERVICE_NAME));
    let is_presence = rest.is_some_and(|rest| rest.starts_with('/'));
    let answer = match &services.presence {
        Some(presence) if is_presence => {
            let answer = presence.clone().oneshot(*request).await;
            answer.map(|answer| answer.map(Body::new))
        }
        _ => services.router.clone().oneshot(*request).await,
    };
    answer.unwrap_or_else(|never| match never {})
}

async fn only_grpc<F: Future<Output = Response>>(
    request: Box<Request>,
    next: impl FnOnce(Box<Request>) -> F,
) -> Response {
    if request.method() != Method::POST {
        let wrong = "this is a gRPC server: calls are made by POST\n";
        let allow = [(header::ALLOW, "POST")];
        return (StatusCode::METHOD_NOT_ALLOWED, allow, wrong).into_response();
    }
    let content_type = request.headers().get(header::CONTENT_TYPE);
    let after = content_type.and_then(|value| value.as_bytes().strip_prefix(b"application/grpc"));
    // Not `application/grpc-web`, which is another protocol.
    if matches!(after, Some([] | [b'+' | b';', ..])) {
        return next(request).await;
    }
    let wrong = "this is a gRPC server: send the content type `application/grpc`\n";
    (StatusCode::UNSUPPORTED_MEDIA_TYPE, wrong).into_response()
}

async fn record<F: Future<Output = Response>>(
    mut request: Box<Request>,
    next: impl FnOnce(Box<Request>) -> F,
) -> Response {
    /// Writes the line also where the call is dropped on its way.
    struct Logged(AccessLog);

    impl Drop for Logged {
        fn drop(&mut self) {
            self.0.log();
        }
    }

    // A name of the caller's choice is not let into the log.
    let rpc = Rpc::at(request.uri().path());
    let is_stream = rpc.is_some_and(|rpc| rpc.is_stream);
    let rpc = rpc.map(|rpc| rpc.name);
    let telemetry = request.extensions_mut().remove::<Telemetry>();
    let scope = telemetry.unwrap_or_default().call(rpc, request.headers());
    let record = AccessLog::new(rpc).with_scope(scope);
    let logged = Logged(record.clone());
    // Whatever shows headers, it shall not show this one.
    if let header::Entry::Occupied(mut token) = request.headers_mut().entry(header::AUTHORIZATION) {
        token.iter_mut().for_each(|value| value.set_sensitive(true));
    }
    request.extensions_mut().insert(record.clone());
    let response = next(request).await;
    let code = code(response.headers());
    if is_stream && code == Code::Ok {
        // It has only begun; who leads it says how it ends.
        return response.map(|answer| guarded(answer, logged));
    }
    record.finish(code, None);
    drop(logged);
    response
}

async fn limit_time<F: Future<Output = Response>>(
    policy: DeadlinePolicy,
    drain: Drain,
    mut request: Box<Request>,
    next: impl FnOnce(Box<Request>) -> F,
) -> Response {
    if Rpc::at(request.uri().path()).is_some_and(|rpc| rpc.is_stream) {
        // Its answer begins at once, and what leads it looks at the time.
        let deadline = policy.for_stream(request.headers()).with_drain(drain);
        request.extensions_mut().insert(deadline);
        return next(request).await;
    }
    let deadline = policy.for_call(request.headers()).with_drain(drain);
    stream::end_after(deadline.clone());
    let record = request.extensions().get::<AccessLog>().cloned();
    request.extensions_mut().insert(deadline.clone());
    let mut response = std::pin::pin!(next(request));
    tokio::select! {
        biased;
        response = &mut response => return response,
        () = async {
            deadline.expired().await;
            sleep(GRACE).await;
        } => {}
    }
    match record {
        // What was sent may have changed something: only the handler can tell.
        Some(record) if record.upstream_calls() > 0 => response.await,
        record => refuse(Error::DeadlineExceeded, &deadline, record),
    }
}

async fn authenticate<F: Future<Output = Response>>(
    mut request: Box<Request>,
    next: impl FnOnce(Box<Request>) -> F,
) -> Response {
    let deadline = request.extensions().get::<Deadline>().cloned();
    let (Some(deadline), Some(_)) = (deadline, Rpc::at(request.uri().path())) else {
        return next(request).await;
    };
    match Caller::from_headers(request.headers()) {
        Ok(caller) => {
            hold_what_is_needed(&mut request);
            request.extensions_mut().insert(caller);
            next(request).await
        }
        Err(error) => {
            let record = request.extensions().get::<AccessLog>().cloned();
            refuse(error, &deadline, record)
        }
    }
}

/// Lets go of what no one asks for any more. A call's metadata may have 96 KiB
/// in thousands of pieces, which would be held until its end; what stays is
/// copied, because each piece holds all that came with it.
fn hold_what_is_needed(request: &mut Request) {
    let metadata = request.headers();
    let needed = NEEDED.iter().filter_map(|name| {
        let value = HeaderValue::from_bytes(metadata.get(*name)?.as_bytes());
        Some((HeaderName::from_static(name), value.ok()?))
    });
    *request.headers_mut() = needed.collect();
    if let Ok(path) = request.uri().path().parse() {
        *request.uri_mut() = path;
    }
}

async fn admit<F: Future<Output = Response>>(
    permits: &ConcurrencyLimit,
    memory: &MemoryLimit,
    mut request: Box<Request>,
    next: impl FnOnce(Box<Request>) -> F,
) -> Response {
    // What is no RPC has no caller: its refusal costs nothing.
    let token = request.extensions().get::<Caller>().map(Caller::key);
    let message = request.body().size_hint().exact();
    // The messages of a stream are charged when they come.
    let message = message.and_then(|bytes| bytes.try_into().ok()).unwrap_or(0);
    let held = memory.lease(token);
    let admitted = permits.try_acquire(token).and_then(|place| {
        let is_held = held.reserve(message);
        is_held.map(|()| place).map_err(|_| Error::MemoryExhausted)
    });
    let place = match admitted {
        Ok(place) => place,
        Err(error) => {
            let record = request.extensions().get::<AccessLog>().cloned();
            let deadline = request.extensions().get::<Deadline>().cloned();
            return match deadline {
                Some(deadline) => refuse(error, &deadline, record),
                None => StatusCode::SERVICE_UNAVAILABLE.into_response(),
            };
        }
    };
    request.extensions_mut().insert(held.clone());
    let answer = next(request).await;
    // Not until the answer is there: its caller may take it slowly.
    answer.map(|answer| guarded(ChunkedBody::new(answer), (place, held)))
}

#[cfg(test)]
mod tests;
