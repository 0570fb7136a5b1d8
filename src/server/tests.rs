//! When streams end whose callers do nothing.

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

/// A gateway without an upstream.
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
    let shutdown = ShutdownTimeouts {
        lame_duck: Duration::ZERO,
        drain_timeout: Duration::ZERO,
    };
    let telemetry = Telemetry::default();
    let client = ClientOptions::default();
    let server = app::server(endpoint, client, limits, shutdown, telemetry);
    server.await.unwrap()
}

/// What a caller of a stream does.
struct Caller {
    /// The ids that it sends; after them it sends nothing.
    ids: Vec<String>,
    /// The deadline that it sets.
    timeout: Option<&'static str>,
    /// How many bytes of results it reads.
    takes: u32,
}

/// A client of a connection to `router`, and the activity of that connection.
/// The client receives `takes` bytes of each response before it reads it.
async fn connected(
    router: Router,
    policy: ConnectionPolicy,
    takes: u32,
) -> (Client, ConnectionActivity) {
    let (client, mut served) = duplex(1 << 16);
    let activity = ConnectionActivity::new();
    let terms = (policy, activity.clone());
    #[expect(clippy::disallowed_methods, reason = "a server of the test")]
    tokio::spawn(async move {
        let (_close, closing) = watch::channel(());
        let first = connection::preface(&mut served).await.unwrap();
        connection::serve(served, first, router, terms, closing).await;
    });
    let (client, connection) = http2::Builder::new(TokioExecutor::new())
        .initial_stream_window_size(takes)
        .handshake(TokioIo::new(client))
        .await
        .unwrap();
    #[expect(clippy::disallowed_methods, reason = "a client of the test")]
    tokio::spawn(connection);
    (client, activity)
}

/// When the stream of a caller ended for the gateway, and the trailers if the
/// caller reads them at last.
async fn ended(caller: Caller) -> (Duration, Result<HeaderMap, String>) {
    let server = server().await;
    let (mut client, activity) = connected(server.router, server.policy, caller.takes).await;

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
    let begun = Instant::now();
    let call = call.body(Body::from_stream(messages)).unwrap();
    let answer = client.send_request(call).await.unwrap();
    activity.long_streams().wait_idle().await;
    let took = begun.elapsed();
    let told = answer.into_body().collect().await;
    let told = told.map(|told| told.trailers().cloned().unwrap_or_default());
    (took, told.map_err(|error| format!("{error:?}")))
}

/// The code and the message that a caller receives.
fn status(told: &Result<HeaderMap, String>) -> Option<(&str, &str)> {
    let of = |name| told.as_ref().ok()?.get(name)?.to_str().ok();
    Some((of("grpc-status")?, of("grpc-message")?))
}

#[tokio::test]
async fn a_stream_without_any_id_ends_after_ten_seconds_and_is_told_why() {
    pause();
    let caller = Caller {
        ids: Vec::new(),
        timeout: None,
        takes: 1 << 16,
    };
    let (took, told) = ended(caller).await;
    assert_eq!(took.as_secs(), 10, "{took:?}");
    let (code, message) = status(&told).unwrap_or_else(|| panic!("{told:?}"));
    assert_eq!(code, "10", "ABORTED: {message}");
    assert!(message.contains("within%2010s"), "{message}");
}

#[tokio::test]
async fn a_stream_that_has_had_an_id_may_be_idle_for_as_long_as_is_set() {
    pause();
    let caller = Caller {
        // Invalid, so that no request is sent.
        ids: vec![String::new()],
        timeout: None,
        takes: 1 << 16,
    };
    let (took, told) = ended(caller).await;
    assert_eq!(took.as_secs(), 300, "{took:?}");
    let (code, message) = status(&told).unwrap_or_else(|| panic!("{told:?}"));
    assert_eq!(code, "10", "ABORTED: {message}");
    assert!(message.contains("--stream-idle-timeout"), "{message}");
}

#[tokio::test]
async fn a_stream_whose_results_are_not_taken_is_reset() {
    pause();
    let caller = Caller {
        ids: vec![String::new(); 1000],
        timeout: None,
        takes: 0,
    };
    let (took, told) = ended(caller).await;
    // The last message, and then the status, have five seconds each.
    assert_eq!(took.as_secs(), 300 + 5 + 5, "{took:?}");
    told.unwrap_err();
}

#[tokio::test]
async fn a_stream_ends_a_quarter_of_a_second_before_the_callers_deadline() {
    pause();
    let caller = Caller {
        ids: vec![String::new()],
        // Not a timeout that looks as if a client had rounded it up.
        timeout: Some("3000100u"),
        takes: 1 << 16,
    };
    let (took, told) = ended(caller).await;
    assert!((2750..2760).contains(&took.as_millis()), "{took:?}");
    assert_eq!(status(&told).map(|(code, _)| code), Some("4"), "{told:?}");
}
