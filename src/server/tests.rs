//! When an idle stream ends.

use std::time::Duration;

use axum::body::Body;
use bytes::{BufMut, Bytes};
use futures_util::stream::{self, StreamExt};
use http::HeaderMap;
use http_body_util::BodyExt;
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message;
use tokio::io::duplex;
use tokio::sync::watch;
use tokio::time::{Instant, pause};

use super::*;
use crate::bulk::BulkLimits;
use crate::cli::app;
use crate::config::Limits;
use crate::proto::v1::StreamUsersPresencesPurecloudBulkRequest;
use crate::server::connection::activity::ConnectionActivity;
use crate::upstream::client::ClientOptions;
use crate::upstream::endpoint::Endpoint;

mod endless;

const IDLE: Duration = Duration::from_mins(5);

type Client = SendRequest<Body>;

const STREAM: &str =
    "http://gateway/genesys.presence.v1.PresenceStreamService/StreamUsersPresencesPurecloudBulk";

/// A gateway whose upstream is unreachable.
async fn server() -> Server {
    let endpoint = Endpoint::from_url("http://127.0.0.1:1", false).unwrap();
    let limits = Limits {
        calls: CallLimits {
            max_in_flight: 10,
            message_memory: 64 << 20,
            ..CallLimits::default()
        },
        bulk: BulkLimits {
            stream_idle: IDLE,
            ..BulkLimits::default()
        },
        token_requests_per_minute: 0,
        share_reads: false,
        ..Limits::default()
    };
    let telemetry = Telemetry::default();
    let client = ClientOptions::default();
    let server = app::server(
        Regional::without_regions(endpoint),
        client,
        limits,
        None,
        telemetry,
    );
    server.await.unwrap()
}

/// A caller of the stream RPC.
struct Caller {
    /// The ids that it sends in one message before it goes idle.
    ids: Vec<String>,
    /// The `grpc-timeout` that it sends.
    timeout: Option<&'static str>,
    /// Its flow-control window: the bytes that it receives before it reads.
    window: u32,
}

/// Connects a client to `router`. Returns it with the activity of its
/// connection. It receives `window` bytes of each response before it reads.
async fn connect(
    router: Router,
    policy: ConnectionPolicy,
    window: u32,
) -> (Client, ConnectionActivity) {
    let (client, mut io) = duplex(1 << 16);
    let activity = ConnectionActivity::new();
    let policy_and_activity = (policy, activity.clone());
    #[expect(clippy::disallowed_methods, reason = "a server of the test")]
    tokio::spawn(async move {
        let (_close, closing) = watch::channel(());
        connection::opening(&mut io).await.unwrap();
        connection::serve(io, router, policy_and_activity, closing).await;
    });
    let (client, connection) = http2::Builder::new(TokioExecutor::new())
        .initial_stream_window_size(window)
        .handshake(TokioIo::new(client))
        .await
        .unwrap();
    #[expect(clippy::disallowed_methods, reason = "a client of the test")]
    tokio::spawn(connection);
    (client, activity)
}

/// The trailers of a response, or the error that came instead.
type Trailers = Result<HeaderMap, String>;

/// Runs a stream until the gateway ends it. Returns its duration, and the
/// trailers that the caller reads after that.
async fn run_stream(caller: Caller) -> (Duration, Trailers) {
    let server = server().await;
    let (mut client, activity) = connect(server.router, server.policy, caller.window).await;

    let message = StreamUsersPresencesPurecloudBulkRequest {
        ids: caller.ids,
        unordered: false,
    };
    let mut framed = Vec::new();
    framed.put_u8(0);
    framed.put_u32(u32::try_from(message.encoded_len()).unwrap());
    message.encode(&mut framed).unwrap();
    let messages = (!message.ids.is_empty()).then(|| Bytes::from(framed));
    let messages = stream::iter(messages.map(Ok::<_, io::Error>)).chain(stream::pending());
    let mut call = Request::post(STREAM)
        .header("authorization", "Bearer token")
        .header("content-type", "application/grpc")
        .header("te", "trailers");
    if let Some(timeout) = caller.timeout {
        call = call.header("grpc-timeout", timeout);
    }
    let start = Instant::now();
    let call = call.body(Body::from_stream(messages)).unwrap();
    let response = client.send_request(call).await.unwrap();
    activity.long_streams().wait_idle().await;
    let duration = start.elapsed();
    let body = response.into_body().collect().await;
    let trailers = body.map(|body| body.trailers().cloned().unwrap_or_default());
    (duration, trailers.map_err(|error| format!("{error:?}")))
}

/// The code and the message of a status.
fn status(trailers: &Trailers) -> Option<(&str, &str)> {
    let get = |name| trailers.as_ref().ok()?.get(name)?.to_str().ok();
    Some((get("grpc-status")?, get("grpc-message")?))
}

#[tokio::test]
async fn a_stream_without_an_id_ends_after_ten_seconds_with_its_reason() {
    pause();
    let caller = Caller {
        ids: Vec::new(),
        timeout: None,
        window: 1 << 16,
    };
    let (duration, trailers) = run_stream(caller).await;
    assert_eq!(duration.as_secs(), 10, "{duration:?}");
    let (code, message) = status(&trailers).unwrap_or_else(|| panic!("{trailers:?}"));
    assert_eq!(code, "10", "ABORTED: {message}");
    assert!(message.contains("within%2010s"), "{message}");
}

#[tokio::test]
async fn a_stream_after_its_first_id_ends_after_the_idle_timeout() {
    pause();
    let caller = Caller {
        // Invalid, so that no request is sent.
        ids: vec![String::new()],
        timeout: None,
        window: 1 << 16,
    };
    let (duration, trailers) = run_stream(caller).await;
    assert_eq!(duration.as_secs(), 300, "{duration:?}");
    let (code, message) = status(&trailers).unwrap_or_else(|| panic!("{trailers:?}"));
    assert_eq!(code, "10", "ABORTED: {message}");
    assert!(message.contains("--stream-idle-timeout"), "{message}");
}

#[tokio::test]
async fn a_stream_whose_results_are_not_read_is_reset() {
    pause();
    let caller = Caller {
        ids: vec![String::new(); 1000],
        timeout: None,
        window: 0,
    };
    let (duration, trailers) = run_stream(caller).await;
    // The gateway waits five seconds for room for the last message, and five
    // for the status.
    assert_eq!(duration.as_secs(), 300 + 5 + 5, "{duration:?}");
    trailers.unwrap_err();
}

#[tokio::test]
async fn a_stream_ends_a_quarter_of_a_second_before_the_callers_deadline() {
    pause();
    let caller = Caller {
        ids: vec![String::new()],
        // A value that the gateway does not take for one that a client rounded up.
        timeout: Some("3000100u"),
        window: 1 << 16,
    };
    let (duration, trailers) = run_stream(caller).await;
    assert!((2750..2760).contains(&duration.as_millis()), "{duration:?}");
    assert_eq!(
        status(&trailers).map(|(code, _)| code),
        Some("4"),
        "{trailers:?}"
    );
}
