//! What every call goes through before the services.

use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::{Router, http};
use http::{StatusCode, header};
use http_body_util::BodyExt;
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};
use tonic::Code;

use super::delivery::Delivery;
use super::places::Places;
use super::refusal::{code, refuse};
use super::{CallLimits, mend, panics, stream};
use crate::credentials::Caller;
use crate::deadline::{Deadline, DeadlinePolicy, Drain};
use crate::error::{Error, Reason};
use crate::record::Record;
use crate::telemetry::Telemetry;

/// How long after its deadline a call is given up that has not reached its
/// handler. A handler ends by itself at the deadline, with more to tell.
const GRACE: Duration = Duration::from_millis(20);

/// How long a request message may take after its headers, where its deadline
/// is not sooner. It is there with them, as a rule; who sends it byte by byte
/// would keep others from the place.
const ARRIVAL: Duration = Duration::from_secs(10);

/// Puts the layers around the services, the innermost first.
pub(super) fn around(services: Router, limits: CallLimits, drain: Drain) -> Router {
    let places = Places::new(limits.max_in_flight);
    services
        // Innermost, so that a handler that panics is like one that fails.
        .layer(from_fn(panics::answered))
        // What tonic answers by itself gets our details, and the right code.
        .layer(from_fn(mend::answers))
        // A place is not for one who takes their time to ask.
        .layer(from_fn(arrive))
        // Nothing waits for a place: a queue would only add its own delay.
        .layer(from_fn_with_state(places, admit))
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

    // A name of the caller's choice is not let into the log.
    let rpc = mend::known(request.uri().path());
    let telemetry = request.extensions_mut().remove::<Telemetry>();
    let scope = telemetry.unwrap_or_default().call(rpc, request.headers());
    let record = Record::new(rpc).within(scope);
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
    let (Some(deadline), true) = (deadline, mend::known(request.uri().path()).is_some()) else {
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

async fn arrive(request: Request, next: Next) -> Response {
    let deadline = request.extensions().get::<Deadline>().cloned();
    let record = request.extensions().get::<Record>().cloned();
    let (here, arrived) = oneshot::channel::<()>();
    // tonic drops the body when it has read the message.
    let request = request.map(|message| {
        Body::new(message.map_frame(move |frame| {
            let _ = &here;
            frame
        }))
    });
    let is_late = async {
        if timeout(ARRIVAL, arrived).await.is_ok() {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        biased;
        response = next.run(request) => response,
        () = is_late => match deadline {
            Some(deadline) => {
                let text = format!(
                    "the request message did not arrive within {} s of its headers; nothing was \
                     sent",
                    ARRIVAL.as_secs()
                );
                let code = Code::DeadlineExceeded;
                let error = Error::Protocol(Reason::DeadlineExceeded, code, text);
                refuse(error, &deadline, record)
            }
            None => StatusCode::REQUEST_TIMEOUT.into_response(),
        },
    }
}

async fn admit(State(places): State<Places>, request: Request, next: Next) -> Response {
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
    let answer = next.run(request).await;
    // Not until the answer is there: its caller may take it slowly.
    answer.map(|answer| Body::new(Delivery::new(answer, place)))
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use axum::body::Bytes;
    use axum::routing::post;
    use futures_util::stream;
    use tokio::time::{Instant, pause};
    use tonic::Status;
    use tonic_types::StatusExt;
    use tower::ServiceExt;

    use super::*;

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
        };
        let services = Router::new().route(PATH, post(slow));
        let services = around(services, limits, Drain::default());
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
        let answer = call(&services, Body::from("message")).await.into_body();
        let answer = answer.collect().await.unwrap().to_bytes();
        assert_eq!(
            (&answer[..], begun.elapsed().as_secs()),
            (&b"answer"[..], 30)
        );
    }
}
