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

/// The layers with one permit, around a handler.
fn stack<F>(handler: impl Fn(Request) -> F + Send + Sync + 'static) -> Router
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
        services,
        limits,
        Drain::default(),
        InFlight::default(),
        Telemetry::default(),
    )
}

/// The layers around a handler that takes twenty seconds, and gives the number
/// of headers that it has got.
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
    let begun = Instant::now();
    let never = Body::from_stream(stream::pending::<Result<Bytes, Infallible>>());
    let (late, answer) = tokio::join!(
        async { (call(&services, never).await, begun.elapsed()) },
        async { (call(&services, message()).await, begun.elapsed(),) },
    );
    assert_eq!((late.1.as_secs(), answer.1.as_secs()), (10, 20));
    let status = Status::from_header_map(late.0.headers()).unwrap();
    assert_eq!(status.code(), Code::DeadlineExceeded, "{status:?}");
    assert!(status.message().contains("within 10s"), "{status:?}");
    let info = status.get_details_error_info().unwrap();
    assert_eq!(info.reason, "DEADLINE_EXCEEDED");
    assert_eq!(answer.0.status(), StatusCode::OK);
    assert!(Status::from_header_map(answer.0.headers()).is_none());
}

#[tokio::test]
async fn without_a_permit_a_call_is_rejected_before_its_message_is_read() {
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
async fn metadata_that_no_layer_reads_is_dropped() {
    pause();
    let request = http::Request::post(PATH)
        .header("content-type", "application/grpc")
        .header("authorization", "Bearer token")
        .header("grpc-previous-rpc-attempts", "1");
    let request = (0..1000).fold(request, |call, n| call.header(format!("x-{n}"), "x"));
    let request = request.body(message()).unwrap();
    let answer = services().oneshot(request).await.unwrap().into_body();
    // The content type.
    assert_eq!(answer.collect().await.unwrap().to_bytes(), "1");
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

fn fails() -> &'static str {
    panic!("secret")
}

#[tokio::test]
async fn a_panic_is_the_calls_own_internal_and_gives_its_permit_back() {
    for pauses in [false, true] {
        let services = stack(move |_| async move {
            if pauses {
                tokio::task::yield_now().await;
            }
            fails()
        });
        // There is one permit.
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
