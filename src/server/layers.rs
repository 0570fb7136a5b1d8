//! What every call goes through before the services.

use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::{Router, http};
use http::{StatusCode, header};
use tokio::time::sleep;

use super::delivery::Delivery;
use super::places::Places;
use super::refusal::{code, refuse};
use super::{CallLimits, mend, message, panics, stream};
use crate::batch::BulkLimits;
use crate::credentials::Caller;
use crate::deadline::{Deadline, DeadlinePolicy, Drain};
use crate::error::Error;
use crate::memory::Memory;
use crate::record::Record;

/// How long after its deadline a call is given up that has not reached its
/// handler. A handler ends by itself at the deadline, with more to tell.
const GRACE: Duration = Duration::from_millis(20);

/// Puts the layers around the services, the innermost first.
pub(super) fn around(
    services: Router,
    limits: CallLimits,
    bulk: BulkLimits,
    drain: Drain,
) -> Router {
    let places = Places::new(limits.max_in_flight);
    let memory = Memory::new(limits.message_memory);
    services
        // Innermost, so that a handler that panics is like one that fails.
        .layer(from_fn(panics::answered))
        // What tonic answers by itself gets our details, and the right code.
        .layer(from_fn(mend::answers))
        // A place is not for one who takes their time to ask, nor all memory
        // for a few who ask for much.
        .layer(from_fn_with_state(bulk, message::taken))
        // Nothing waits for a place: a queue would only add its own delay.
        .layer(from_fn_with_state((places, memory), admit))
        // What nobody vouches for takes no place, and is not even read.
        .layer(from_fn(authenticate))
        // The clock starts with the headers, not when the message is there.
        .layer(from_fn_with_state((limits.deadlines, drain), limit_time))
        // Around those that refuse, so that every call has its line in the log.
        .layer(from_fn(record))
        // Outermost: what is no gRPC gets an answer that its client understands.
        .layer(from_fn(only_grpc))
}

async fn only_grpc(request: Request, next: Next) -> Response {
    let content_type = request.headers().get(header::CONTENT_TYPE);
    let after = content_type.and_then(|value| value.as_bytes().strip_prefix(b"application/grpc"));
    // Not `application/grpc-web`, which is another protocol.
    if matches!(after, Some([] | [b'+' | b';', ..])) {
        return next.run(request).await;
    }
    let wrong = "this is a gRPC server: send the content type `application/grpc`\n";
    (StatusCode::UNSUPPORTED_MEDIA_TYPE, wrong).into_response()
}

async fn record(mut request: Request, next: Next) -> Response {
    /// Writes the line also where the call is dropped on its way.
    struct Logged(Record);

    impl Drop for Logged {
        fn drop(&mut self) {
            self.0.log();
        }
    }

    let path = request.uri().path();
    // A name of the caller's choice is not let into the log.
    let method = if mend::is_known(path) {
        path.trim_start_matches('/')
    } else {
        "unknown"
    };
    let record = Record::new(method);
    let logged = Logged(record.clone());
    // Whatever shows headers, it shall not show this one.
    if let header::Entry::Occupied(mut token) = request.headers_mut().entry(header::AUTHORIZATION) {
        token.iter_mut().for_each(|value| value.set_sensitive(true));
    }
    request.extensions_mut().insert(record.clone());
    let response = next.run(request).await;
    record.ended(code(response.headers()), None);
    drop(logged);
    response
}

async fn limit_time(
    State((policy, drain)): State<(DeadlinePolicy, Drain)>,
    mut request: Request,
    next: Next,
) -> Response {
    let deadline = policy.of(request.headers()).cut_by(drain);
    stream::end_after(deadline.clone());
    let record = request.extensions().get::<Record>().cloned();
    request.extensions_mut().insert(deadline.clone());
    let mut response = std::pin::pin!(next.run(request));
    tokio::select! {
        biased;
        response = &mut response => return response,
        () = async {
            deadline.passed().await;
            sleep(GRACE).await;
        } => {}
    }
    match record {
        // What was sent may have changed something: only the handler can tell.
        Some(record) if record.upstream_calls() > 0 => response.await,
        record => refuse(Error::Expired, &deadline, record),
    }
}

async fn authenticate(mut request: Request, next: Next) -> Response {
    let deadline = request.extensions().get::<Deadline>().cloned();
    let (Some(deadline), true) = (deadline, mend::is_known(request.uri().path())) else {
        return next.run(request).await;
    };
    match Caller::of(request.headers()) {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(error) => {
            let record = request.extensions().get::<Record>().cloned();
            refuse(error, &deadline, record)
        }
    }
}

async fn admit(
    State((places, memory)): State<(Places, Memory)>,
    mut request: Request,
    next: Next,
) -> Response {
    // What is no RPC has no caller: its refusal costs nothing.
    let token = request.extensions().get::<Caller>().map(Caller::key);
    let place = match places.take(token) {
        Ok(place) => place,
        Err(error) => {
            let record = request.extensions().get::<Record>().cloned();
            let deadline = request.extensions().get::<Deadline>().cloned();
            return match deadline {
                Some(deadline) => refuse(error, &deadline, record),
                None => StatusCode::SERVICE_UNAVAILABLE.into_response(),
            };
        }
    };
    let held = memory.held();
    request.extensions_mut().insert(held.clone());
    let answer = next.run(request).await;
    // Not until the answer is there: its caller may take it slowly.
    answer.map(|answer| Body::new(Delivery::new(answer, (place, held))))
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use axum::body::Bytes;
    use axum::routing::post;
    use futures_util::stream;
    use http_body_util::BodyExt;
    use tokio::time::{Instant, pause};
    use tonic::{Code, Status};
    use tonic_types::StatusExt;
    use tower::ServiceExt;

    use super::*;

    const BULK: BulkLimits = BulkLimits {
        max_ids: 9,
        concurrency: 1,
    };
    const PATH: &str = "/genesys.presence.v1.PresenceService/GetUserPresence";

    async fn call(services: &Router, message: Body) -> Response {
        let call = http::Request::post(PATH)
            .header("content-type", "application/grpc")
            .header("authorization", "Bearer token");
        let call = call.body(message).unwrap();
        services.clone().oneshot(call).await.unwrap()
    }

    #[tokio::test]
    async fn a_message_that_is_late_gives_its_place_up() {
        pause();
        let slow = async |_: Bytes| {
            sleep(Duration::from_secs(20)).await;
            "answer"
        };
        let limits = CallLimits {
            deadlines: DeadlinePolicy {
                default: Duration::from_secs(30),
                max: Duration::from_secs(30),
            },
            max_in_flight: 1,
            message_memory: 1 << 20,
        };
        let services = Router::new().route(PATH, post(slow));
        let services = around(services, limits, BULK, Drain::default());
        let begun = Instant::now();
        let never = Body::from_stream(stream::pending::<Result<Bytes, Infallible>>());
        let answer = call(&services, never).await;
        assert_eq!(begun.elapsed().as_secs(), 10);
        let status = Status::from_header_map(answer.headers()).unwrap();
        assert_eq!(status.code(), Code::DeadlineExceeded, "{status:?}");
        assert!(status.message().contains("within 10 s"), "{status:?}");
        let info = status.get_details_error_info().unwrap();
        assert_eq!(info.reason, "DEADLINE_EXCEEDED");
        drop(answer);
        // There is one place. Who has asked may be answered later than that.
        let answer = call(&services, Body::from(&[0; 5][..])).await.into_body();
        let answer = answer.collect().await.unwrap().to_bytes();
        assert_eq!(
            (&answer[..], begun.elapsed().as_secs()),
            (&b"answer"[..], 30)
        );
    }
}
