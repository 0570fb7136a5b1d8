//! Early responses: frames that a client sends after its response are no
//! protocol violation, and do not end the connection that other calls share.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::sync::{Semaphore, mpsc};

use crate::support::http2::{
    ACK, Client, DATA, END_HEADERS, END_STREAM, Frame, GOAWAY, HEADERS, PING, RST_STREAM, frame,
    head,
};
use crate::support::in_flight::wait_for;
use crate::support::raw_http;
use crate::support::{Gateway, Limits, ReceivedRequest, Vendor, encode, method, path, reply};

const GRPC: (&str, &str) = ("content-type", "application/grpc");
const TOKEN: (&str, &str) = ("authorization", "Bearer token");
/// A deadline that expires at once.
const SHORT: (&str, &str) = ("grpc-timeout", "1m");

const READ: &str = "/genesys.presence.v1.PresenceService/GetSystempresences";
const STREAM: &str = "/genesys.presence.v1.PresenceStreamService/StreamUsersPresencesPurecloudBulk";

/// The calls of a round: more reset streams than h2 remembers.
const CALLS: u32 = 100;
/// The rounds: with their calls, more violations than h2 tolerates on a connection.
const ROUNDS: u32 = 8;

/// Calls that get early responses.
#[derive(Clone, Copy)]
struct EarlyCalls {
    path: &'static str,
    metadata: &'static [(&'static str, &'static str)],
    /// The start of the message, sent before the response.
    message_start: &'static [u8],
    limits: Limits,
}

impl EarlyCalls {
    fn new(path: &'static str, metadata: &'static [(&'static str, &'static str)]) -> Self {
        Self {
            path,
            metadata,
            message_start: &[],
            limits: Limits::default(),
        }
    }
}

/// Makes [`CALLS`] times [`ROUNDS`] such calls on one connection, each of which
/// sends more after its response, and asserts that a concurrent write on the
/// connection succeeds.
async fn assert_connection_survives(early: &EarlyCalls) {
    let (arrive, mut arrived) = mpsc::unbounded_channel();
    let gate = Arc::new(Semaphore::new(0));
    let vendor_gate = Arc::clone(&gate);
    let vendor = Vendor::start(move |_: ReceivedRequest| {
        let (arrive, gate) = (arrive.clone(), Arc::clone(&vendor_gate));
        async move {
            let _ = arrive.send(());
            gate.acquire().await.unwrap().forget();
            reply(200, "{}")
        }
    })
    .await;
    let gateway = Gateway::start_with(&vendor, early.limits).await;
    let mut client = Client::connect(gateway.address).await;

    let write = method("PatchUserPresencesPurecloud");
    let message = encode(&write, json!({"userId": "u", "body": {"message": "m"}}));
    let writer = ("authorization", "Bearer writer");
    let writer = [GRPC, writer, ("grpc-timeout", "60S")];
    let call = frame(HEADERS, END_HEADERS, 1, &head(&path(&write), &writer));
    let message = frame(DATA, END_STREAM, 1, &raw_http::frame(&message));
    client.write_frames(&[call, message]).await;
    wait_for("the write", arrived.recv()).await.unwrap();

    let call = head(early.path, early.metadata);
    for round in 0..ROUNDS {
        let streams = (0..CALLS).map(|call| 3 + 2 * (round * CALLS + call));
        let starts = streams.clone().flat_map(|stream| {
            let message_start = (!early.message_start.is_empty())
                .then(|| frame(DATA, 0, stream, early.message_start));
            [frame(HEADERS, END_HEADERS, stream, &call)]
                .into_iter()
                .chain(message_start)
        });
        client.write_frames(&starts.collect::<Vec<_>>()).await;
        for _ in 0..CALLS {
            client
                .wait_until("an early response", |frame| {
                    ends_response(reject_goaway(frame))
                })
                .await;
        }
        // Every other call completes its message, the others reset their streams.
        let rest = streams.flat_map(|stream| {
            let end = match stream % 4 {
                1 => frame(DATA, END_STREAM, stream, &[0; 100]),
                _ => frame(RST_STREAM, 0, stream, &[0; 4]),
            };
            [frame(DATA, 0, stream, &[0; 900]), end]
        });
        client.write_frames(&rest.collect::<Vec<_>>()).await;
    }
    client.write_frames(&[frame(PING, 0, 0, b"12345678")]).await;
    let is_pong = |frame: &Frame| reject_goaway(frame).kind == PING && frame.flags == ACK;
    client
        .wait_until("the acknowledgement of a ping", is_pong)
        .await;

    gate.add_permits(1);
    // An error has no DATA frame.
    let is_success = |frame: &Frame| reject_goaway(frame).stream == 1 && frame.kind == DATA;
    client
        .wait_until("the response to the write", is_success)
        .await;
}

/// Whether the frame ends a response. A call that is not gRPC gets DATA frames.
fn ends_response(frame: &Frame) -> bool {
    matches!(frame.kind, HEADERS | DATA) && frame.flags & END_STREAM != 0
}

/// Returns the frame. Panics if it is a GOAWAY.
#[track_caller]
fn reject_goaway(frame: &Frame) -> &Frame {
    if frame.kind == GOAWAY {
        let (code, reason) = (frame.payload[7], &frame.payload[8..]);
        let reason = String::from_utf8_lossy(reason);
        panic!("the gateway ended the connection: code {code} `{reason}`");
    }
    frame
}

#[tokio::test]
async fn calls_without_a_token_keep_the_connection() {
    assert_connection_survives(&EarlyCalls::new(READ, &[GRPC])).await;
}

#[tokio::test]
async fn calls_with_a_malformed_token_keep_the_connection() {
    assert_connection_survives(&EarlyCalls::new(
        READ,
        &[GRPC, ("authorization", "Basic dTpw")],
    ))
    .await;
}

#[tokio::test]
async fn calls_of_an_unknown_method_keep_the_connection() {
    let unknown = "/genesys.presence.v1.PresenceService/GetNothing";
    assert_connection_survives(&EarlyCalls::new(unknown, &[GRPC, TOKEN])).await;
    assert_connection_survives(&EarlyCalls::new("/no.such.Service/Rpc", &[GRPC, TOKEN])).await;
}

#[tokio::test]
async fn calls_that_are_not_grpc_keep_the_connection() {
    assert_connection_survives(&EarlyCalls::new(READ, &[("content-type", "text/plain")])).await;
}

#[tokio::test]
async fn calls_with_a_too_large_message_keep_the_connection() {
    assert_connection_survives(&EarlyCalls {
        message_start: &[0, 0xff, 0xff, 0xff, 0xff],
        ..EarlyCalls::new(READ, &[GRPC, TOKEN])
    })
    .await;
}

#[tokio::test]
async fn calls_that_expire_before_their_message_arrives_keep_the_connection() {
    assert_connection_survives(&EarlyCalls::new(READ, &[GRPC, TOKEN, SHORT])).await;
}

#[tokio::test]
async fn calls_over_the_concurrency_limit_keep_the_connection() {
    assert_connection_survives(&EarlyCalls {
        limits: Limits {
            // The write holds the only permit.
            max_in_flight: 1,
            ..Limits::default()
        },
        ..EarlyCalls::new(READ, &[GRPC, TOKEN])
    })
    .await;
}

#[tokio::test]
async fn evicted_messages_keep_the_connection() {
    assert_connection_survives(&EarlyCalls {
        limits: Limits {
            // Also bounds the messages that are arriving: the gateway evicts the oldest.
            max_in_flight: 8,
            default_deadline: Duration::from_millis(200),
            ..Limits::default()
        },
        message_start: &[0, 0, 0],
        ..EarlyCalls::new(READ, &[GRPC, TOKEN])
    })
    .await;
}

#[tokio::test]
async fn expired_streams_of_ids_keep_the_connection() {
    assert_connection_survives(&EarlyCalls::new(STREAM, &[GRPC, TOKEN, SHORT])).await;
}

#[tokio::test]
async fn health_checks_with_a_too_large_message_keep_the_connection() {
    let check = "/grpc.health.v1.Health/Check";
    assert_connection_survives(&EarlyCalls {
        message_start: &[0, 0xff, 0xff, 0xff, 0xff],
        ..EarlyCalls::new(check, &[GRPC])
    })
    .await;
}

#[tokio::test]
async fn a_call_that_sends_nothing_after_an_early_response_is_reset() {
    let vendor = Vendor::with_response(200, "{}").await;
    let gateway = Gateway::start(&vendor).await;
    let mut client = Client::connect(gateway.address).await;
    let call = frame(HEADERS, END_HEADERS, 1, &head(READ, &[GRPC]));
    client.write_frames(&[call]).await;
    client.wait_until("the response", Frame::is_status).await;
    let reset = client
        .wait_until("the reset", |frame| frame.kind == RST_STREAM)
        .await;
    // NO_ERROR, so that the client keeps the response.
    assert_eq!((reset.stream, reset.payload.as_slice()), (1, &[0; 4][..]));
}
