//! Streams that never end by themselves, on a connection that reaches its age.

use tonic_health::pb::HealthCheckRequest;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_types::StatusExt;

use super::*;

const WATCH: &str = "/grpc.health.v1.Health/Watch";

const REFLECTION: &str = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";

/// Opens the stream at `path` with one message and waits until it ends. Returns
/// its duration, its status, and the messages before it.
async fn run_stream_at(
    router: Router,
    policy: ConnectionPolicy,
    path: &str,
    message: impl Message,
) -> (Duration, tonic::Status, Bytes) {
    let (mut client, _) = connect(router, policy, 1 << 16).await;
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
    let start = Instant::now();
    let response = client.send_request(call).await.unwrap();
    let body = response.into_body().collect().await;
    let duration = start.elapsed();
    let body = body.unwrap_or_else(|error| panic!("no status after {duration:?}: {error:?}"));
    let status = tonic::Status::from_header_map(body.trailers().unwrap()).unwrap();
    (duration, status, body.to_bytes())
}

#[track_caller]
fn assert_drained(status: &tonic::Status, duration: Duration) {
    assert_eq!(status.code(), tonic::Code::Unavailable, "{status:?}");
    let info = status.get_details_error_info().unwrap();
    assert_eq!(info.reason, "CONNECTION_DRAINING", "{status:?}");
    assert!(
        status.message().contains("open the stream again"),
        "{status:?}"
    );
    // The connection lives for five minutes +/- 10 %; its calls then have the
    // longest deadline to end.
    let expected = 270 + 120..=330 + 130;
    assert!(expected.contains(&duration.as_secs()), "after {duration:?}");
}

#[tokio::test]
async fn a_health_watch_ends_with_its_old_connection_and_may_be_reopened() {
    pause();
    let server = server().await;
    for router in [server.router, server.probe_router] {
        let watch = HealthCheckRequest::default();
        let (duration, status, messages) =
            run_stream_at(router, server.policy.clone(), WATCH, watch).await;
        assert_drained(&status, duration);
        assert_eq!(messages, [0, 0, 0, 0, 2, 8, 1].as_slice(), "SERVING, once");
    }
}

#[tokio::test]
async fn a_reflection_stream_ends_with_its_old_connection_and_may_be_reopened() {
    pause();
    let server = server().await;
    let request = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let (duration, status, _) =
        run_stream_at(server.router, server.policy, REFLECTION, request).await;
    assert_drained(&status, duration);
}
