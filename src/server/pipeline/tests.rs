use axum::body::Bytes;
use axum::routing::post;
use futures_util::stream;
use http::HeaderMap;
use http_body_util::BodyExt;
use tokio::time::{Instant, pause};
use tonic::{Code, Status};
use tonic_types::StatusExt;

use super::*;

const BULK: BulkLimits = BulkLimits {
    max_ids: 9,
    concurrency: 1,
    stream_idle: Duration::from_secs(9),
};
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
        message_memory: 1 << 20,
    };
    let services = Router::new().route(PATH, post(slow));
    around(
        services,
        limits,
        BULK,
        Drain::default(),
        InFlight::default(),
    )
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
