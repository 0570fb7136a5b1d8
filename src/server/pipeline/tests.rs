use axum::body::Bytes;
use axum::response::IntoResponse;
use futures_util::future::BoxFuture;
use futures_util::stream;
use http::{Method, StatusCode};
use http_body_util::BodyExt;
use tokio::time::{Instant, pause, sleep};
use tonic_types::StatusExt;
use tower::ServiceExt;

use super::*;
use crate::token_key::TokenHasher;

const PATH: &str = "/genesys.presence.v1.PresenceService/GetUserPresence";

async fn call(services: &Router, message: Body) -> Response {
    let call = http::Request::post(PATH)
        .header("content-type", "application/grpc")
        .header("authorization", "Bearer token");
    let call = call.body(message).unwrap();
    services.clone().oneshot(call).await.unwrap()
}

/// An empty message.
fn message() -> Body {
    Body::from(vec![0; 5])
}

/// The layers around a handler, with one permit.
fn stack<F>(handler: impl Fn(Request) -> F + Send + Sync + 'static) -> Router
where
    F: Future<Output: IntoResponse> + Send + 'static,
{
    stack_with(FairShare::new(1), handler)
}

/// The layers around a handler, with these permits.
fn stack_with<F>(
    concurrency: FairShare<TokenKey>,
    handler: impl Fn(Request) -> F + Send + Sync + 'static,
) -> Router
where
    F: Future<Output: IntoResponse> + Send + 'static,
{
    let limits = CallLimits {
        max_in_flight: 1,
        max_bulk_ids: 9,
        message_memory: 1 << 20,
        ..CallLimits::default()
    };
    let services = move |_, request| {
        let response = handler(request);
        let response: BoxFuture<_> = Box::pin(async { response.await.into_response() });
        response
    };
    super::stack(
        Regional::without_regions(services),
        limits,
        TokenHasher::default(),
        Drain::default(),
        InFlight::default(),
        [concurrency.clone(), concurrency],
        Telemetry::default(),
    )
}

/// The layers around a handler that takes twenty seconds and returns the number
/// of its request's headers.
fn services() -> Router {
    stack(async |request: Request| {
        sleep(Duration::from_secs(20)).await;
        request.headers().len().to_string()
    })
}

#[tokio::test]
async fn a_late_message_is_rejected_and_holds_no_permit() {
    pause();
    let services = services();
    let start = Instant::now();
    let never = Body::from_stream(stream::pending::<Result<Bytes, Infallible>>());
    let (late, other) = tokio::join!(
        async { (call(&services, never).await, start.elapsed()) },
        async { (call(&services, message()).await, start.elapsed(),) },
    );
    assert_eq!((late.1.as_secs(), other.1.as_secs()), (10, 20));
    let status = Status::from_header_map(late.0.headers()).unwrap();
    assert_eq!(status.code(), Code::DeadlineExceeded, "{status:?}");
    assert!(status.message().contains("within 10s"), "{status:?}");
    let info = status.get_details_error_info().unwrap();
    assert_eq!(info.reason, "DEADLINE_EXCEEDED");
    assert_eq!(other.0.status(), StatusCode::OK);
    assert!(Status::from_header_map(other.0.headers()).is_none());
}

#[tokio::test]
async fn a_call_without_a_permit_is_rejected_before_its_message_is_read() {
    pause();
    let services = services();
    let start = Instant::now();
    let never = Body::from_stream(stream::pending::<Result<Bytes, Infallible>>());
    let (_, rejected) = tokio::join!(call(&services, message()), async {
        sleep(Duration::from_secs(1)).await;
        call(&services, never).await
    });
    assert_eq!(start.elapsed().as_secs(), 20);
    let status = Status::from_header_map(rejected.headers()).unwrap();
    let info = status.get_details_error_info().unwrap();
    assert_eq!(info.reason, "OVERLOADED", "{status:?}");
}

#[tokio::test]
async fn only_admitted_calls_count_as_in_flight() {
    let permits = FairShare::new(1);
    let services = stack_with(permits.clone(), async |_: Request| {
        Body::from_stream(stream::pending::<Result<Bytes, Infallible>>())
    });
    let admitted = call(&services, message()).await;
    assert_eq!(permits.held(), 1);
    // Its response is not read yet.
    let rejected = call(&services, message()).await;
    assert_eq!(permits.held(), 1);
    drop(admitted);
    assert_eq!(permits.held(), 0);
    drop(rejected);
}

#[tokio::test]
async fn metadata_that_no_layer_reads_is_dropped() {
    pause();
    let request = http::Request::post(PATH)
        .header("content-type", "application/grpc")
        .header("authorization", "Bearer token")
        .header("grpc-previous-rpc-attempts", "1");
    let request = (0..1000).fold(request, |call, n| call.header(format!("x-{n}"), "x"));
    let request = request.body(message()).unwrap();
    let body = services().oneshot(request).await.unwrap().into_body();
    // Only the content type remains.
    assert_eq!(body.collect().await.unwrap().to_bytes(), "1");
}

#[tokio::test]
async fn methods_other_than_post_are_rejected() {
    for method in [Method::GET, Method::HEAD, Method::PUT, Method::CONNECT] {
        let call = http::Request::builder().method(method).uri(PATH);
        let call = call.header("content-type", "application/grpc");
        let response = services().oneshot(call.body(Body::empty()).unwrap()).await;
        let response = response.unwrap();
        assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(response.headers()["allow"], "POST");
    }
}

fn fails() -> &'static str {
    panic!("secret")
}

#[tokio::test]
async fn a_panic_fails_its_call_as_internal_and_releases_the_permit() {
    for yields in [false, true] {
        let services = stack(move |_| async move {
            if yields {
                tokio::task::yield_now().await;
            }
            fails()
        });
        // The second call needs the only permit.
        for _ in 0..2 {
            let response = call(&services, message()).await;
            let status = Status::from_header_map(response.headers()).unwrap();
            assert_eq!(status.code(), Code::Internal, "{status:?}");
            let info = status.get_details_error_info().unwrap();
            assert_eq!(info.reason, "INTERNAL");
            assert_eq!(info.domain, "presence-gateway");
            assert!(!format!("{status:?}").contains("secret"), "{status:?}");
        }
    }
}
