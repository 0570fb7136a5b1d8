//! What every call goes through before the services.

use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::{Router, http};
use http::{HeaderName, HeaderValue, Method, StatusCode, header};
use tokio::time::sleep;

use super::arrivals::{Arrivals, Bounds};
use super::delivery::Delivery;
use super::places::Places;
use super::refusal::{code, refuse};
use super::{CallLimits, MAX_REQUEST, mend, panics, stream};
use crate::credentials::Caller;
use crate::deadline::{Deadline, DeadlinePolicy, Drain};
use crate::error::Error;
use crate::record::Record;

/// How long after its deadline a call is given up that has not reached its
/// handler. A handler ends by itself at the deadline, with more to tell.
const GRACE: Duration = Duration::from_millis(20);

/// How many bytes the messages of all calls may have that are on their way or
/// being served: 32 of the largest, or what hundreds of the largest bulk calls
/// have.
const MAX_MESSAGES: usize = 32 * MAX_REQUEST;

/// What a call's metadata may still be asked for once its token was taken.
const NEEDED: [&str; 7] = [
    "content-type",
    "te",
    "grpc-encoding",
    "grpc-accept-encoding",
    "grpc-previous-rpc-attempts",
    "traceparent",
    "tracestate",
];

/// Puts the layers around the services, the innermost first.
pub(super) fn around(services: Router, limits: CallLimits, drain: Drain) -> Router {
    let places = Places::new(limits.max_in_flight);
    let arrivals = Arrivals::new(Bounds {
        // More could not be admitted if they came all at once.
        count: limits.max_in_flight.saturating_mul(2),
        message: MAX_REQUEST,
        total: MAX_MESSAGES,
    });
    services
        // Innermost, so that a handler that panics is like one that fails.
        .layer(from_fn(panics::answered))
        // What tonic answers by itself gets our details, and the right code.
        .layer(from_fn(mend::answers))
        // Nothing waits for a place: a queue would only add its own delay.
        .layer(from_fn_with_state(places.clone(), admit))
        // A place is not for one who takes their time to ask.
        .layer(from_fn_with_state((arrivals, places), arrive))
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
    if request.method() != Method::POST {
        let wrong = "this is a gRPC server: calls are made by POST\n";
        let allow = [(header::ALLOW, "POST")];
        return (StatusCode::METHOD_NOT_ALLOWED, allow, wrong).into_response();
    }
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
            hold_what_is_needed(&mut request);
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(error) => {
            let record = request.extensions().get::<Record>().cloned();
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

async fn arrive(
    State((arrivals, places)): State<(Arrivals, Places)>,
    request: Request,
    next: Next,
) -> Response {
    let deadline = request.extensions().get::<Deadline>().cloned();
    let (Some(deadline), true) = (deadline, mend::is_known(request.uri().path())) else {
        return next.run(request).await;
    };
    let record = request.extensions().get::<Record>().cloned();
    let token = request.extensions().get::<Caller>().map(Caller::key);
    // Where there is no place now, the message need not come.
    if let Err(error) = places.take(token) {
        return refuse(error, &deadline, record);
    }
    let (head, message) = request.into_parts();
    match arrivals.read(message).await {
        Ok((message, _arrival)) => {
            let request = Request::from_parts(head, Body::from(message));
            next.run(request).await
        }
        Err(error) => refuse(error, &deadline, record),
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
    use http::HeaderMap;
    use http_body_util::BodyExt;
    use tokio::time::{Instant, pause};
    use tonic::{Code, Status};
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

    /// A message without fields.
    fn message() -> Body {
        Body::from(vec![0; 5])
    }

    /// Services with one place; a call takes twenty seconds once it has begun.
    fn services() -> Router {
        let slow = async |head: HeaderMap, _: Bytes| {
            sleep(Duration::from_secs(20)).await;
            format!("{}", head.len())
        };
        let limits = CallLimits {
            deadlines: DeadlinePolicy {
                default: Duration::from_secs(30),
                max: Duration::from_secs(30),
            },
            max_in_flight: 1,
        };
        let services = Router::new().route(PATH, post(slow));
        around(services, limits, Drain::default())
    }

    #[tokio::test]
    async fn a_message_that_is_late_is_told_so_and_keeps_nobody_from_the_place() {
        pause();
        let services = services();
        let begun = Instant::now();
        let never = Body::from_stream(stream::pending::<Result<Bytes, Infallible>>());
        let (late, answer) = tokio::join!(
            async { (call(&services, never).await, begun.elapsed()) },
            async { (call(&services, message()).await, begun.elapsed(),) },
        );
        assert_eq!((late.1.as_secs(), answer.1.as_secs()), (10, 20));
        let status = Status::from_header_map(late.0.headers()).unwrap();
        assert_eq!(status.code(), Code::DeadlineExceeded, "{status:?}");
        assert!(status.message().contains("within 10 s"), "{status:?}");
        let info = status.get_details_error_info().unwrap();
        assert_eq!(info.reason, "DEADLINE_EXCEEDED");
        assert_eq!(answer.0.status(), StatusCode::OK);
        assert!(Status::from_header_map(answer.0.headers()).is_none());
    }

    #[tokio::test]
    async fn where_there_is_no_place_a_call_is_refused_before_its_message_is_there() {
        pause();
        let services = services();
        let begun = Instant::now();
        let never = Body::from_stream(stream::pending::<Result<Bytes, Infallible>>());
        let (_, refused) = tokio::join!(call(&services, message()), async {
            sleep(Duration::from_secs(1)).await;
            call(&services, never).await
        });
        assert_eq!(begun.elapsed().as_secs(), 20);
        let status = Status::from_header_map(refused.headers()).unwrap();
        let info = status.get_details_error_info().unwrap();
        assert_eq!(info.reason, "OVERLOADED", "{status:?}");
    }

    #[tokio::test]
    async fn what_is_not_needed_of_the_metadata_is_not_held() {
        pause();
        let request = http::Request::post(PATH)
            .header("content-type", "application/grpc")
            .header("authorization", "Bearer token")
            .header("grpc-previous-rpc-attempts", "1");
        let request = (0..1000).fold(request, |call, n| call.header(format!("x-{n}"), "x"));
        let request = request.body(message()).unwrap();
        let answer = services().oneshot(request).await.unwrap().into_body();
        // The type of the content, and the attempts.
        assert_eq!(answer.collect().await.unwrap().to_bytes(), "2");
    }

    #[tokio::test]
    async fn a_call_is_a_post() {
        for method in [Method::GET, Method::HEAD, Method::PUT, Method::CONNECT] {
            let call = http::Request::builder().method(method).uri(PATH);
            let call = call.header("content-type", "application/grpc");
            let answer = services().oneshot(call.body(Body::empty()).unwrap()).await;
            let answer = answer.unwrap();
            assert_eq!(answer.status(), StatusCode::METHOD_NOT_ALLOWED);
            assert_eq!(answer.headers()["allow"], "POST");
        }
    }
}
