//! Streams without an end of their own, on a connection that gets old.

use tonic_health::pb::HealthCheckRequest;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_types::StatusExt;

use super::*;

const WATCH: &str = "/grpc.health.v1.Health/Watch";

const REFLECTION: &str = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";

/// Opens the stream at `path` with one message and does nothing more. Returns
/// when it ended, its status, and what the server sent before that.
async fn left_alone(
    router: Router,
    policy: ConnectionPolicy,
    path: &str,
    message: impl Message,
) -> (Duration, tonic::Status, Bytes) {
    let (mut client, _) = connected(router, policy, 1 << 16).await;
    let mut framed = Vec::new();
    framed.put_u8(0);
    framed.put_u32(u32::try_from(message.encoded_len()).unwrap());
    message.encode(&mut framed).unwrap();
    let messages = stream::iter([Ok::<_, io::Error>(Bytes::from(framed))]);
    let messages = if path == WATCH {
        messages.chain(stream::empty()).boxed()
    } else {
        messages.chain(stream::pending()).boxed()
    };
    let call = Request::post(format!("http://gateway{path}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(Body::from_stream(messages))
        .unwrap();
    let begun = Instant::now();
    let answer = client.send_request(call).await.unwrap();
    let told = answer.into_body().collect().await;
    let took = begun.elapsed();
    let told = told.unwrap_or_else(|error| panic!("no status after {took:?}: {error:?}"));
    let status = tonic::Status::from_header_map(told.trailers().unwrap()).unwrap();
    (took, status, told.to_bytes())
}

fn is_to_be_opened_again(status: &tonic::Status, took: Duration) {
    assert_eq!(status.code(), tonic::Code::Unavailable, "{status:?}");
    let info = status.get_details_error_info().unwrap();
    assert_eq!(info.reason, "CONNECTION_DRAINING", "{status:?}");
    assert!(
        status.message().contains("open the stream again"),
        "{status:?}"
    );
    // Its age is five minutes, give or take a tenth; then its calls may end.
    let expected = 270 + 120..=330 + 130;
    assert!(expected.contains(&took.as_secs()), "after {took:?}");
}

#[tokio::test]
async fn a_watch_of_health_ends_with_its_old_connection_and_is_told_to_watch_again() {
    pause();
    let server = server().await;
    for router in [server.router, server.probe_router] {
        let watch = HealthCheckRequest::default();
        let (took, status, sent) = left_alone(router, server.policy.clone(), WATCH, watch).await;
        is_to_be_opened_again(&status, took);
        assert_eq!(sent, [0, 0, 0, 0, 2, 8, 1].as_slice(), "SERVING, once");
    }
}

#[tokio::test]
async fn a_stream_of_reflection_ends_with_its_old_connection_and_is_told_so() {
    pause();
    let server = server().await;
    let question = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let (took, status, _) = left_alone(server.router, server.policy, REFLECTION, question).await;
    is_to_be_opened_again(&status, took);
}
