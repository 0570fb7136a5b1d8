//! Calls that are answered before their messages have come: what their clients
//! had on the way by then is no breach of HTTP/2, on a connection that others
//! share.

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
/// A deadline that passes at once.
const SHORT: (&str, &str) = ("grpc-timeout", "1m");

const READ: &str = "/genesys.presence.v1.PresenceService/GetSystempresences";
const STREAM: &str = "/genesys.presence.v1.PresenceStreamService/StreamUsersPresencesPurecloudBulk";

/// How many calls are made before the first of them goes on, and how often:
/// more than h2 remembers, and than it forgives.
const EXPORT_AT_ONCE: u32 = 100;
const ROUNDS: u32 = 8;

/// Calls that are answered early.
#[derive(Clone, Copy)]
struct Early {
    path: &'static str,
    metadata: &'static [(&'static str, &'static str)],
    /// What comes of the message before the answer.
    begins: &'static [u8],
    limits: Limits,
}

impl Early {
    fn new(path: &'static str, metadata: &'static [(&'static str, &'static str)]) -> Self {
        Self {
            path,
            metadata,
            begins: &[],
            limits: Limits::default(),
        }
    }
}

/// Makes very many such calls on one connection, each of which sends more when
/// it is answered, beside a write of another caller; all that is to end well.
async fn others_go_on(early: Early) {
    let (arrive, mut arrived) = mpsc::unbounded_channel();
    let answers = Arc::new(Semaphore::new(0));
    let permits = Arc::clone(&answers);
    let vendor = Vendor::start(move |_: ReceivedRequest| {
        let (arrive, permits) = (arrive.clone(), Arc::clone(&permits));
        async move {
            let _ = arrive.send(());
            permits.acquire().await.unwrap().forget();
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
        let streams = (0..EXPORT_AT_ONCE).map(|call| 3 + 2 * (round * EXPORT_AT_ONCE + call));
        let begun = streams.clone().flat_map(|stream| {
            let begins = (!early.begins.is_empty()).then(|| frame(DATA, 0, stream, early.begins));
            [frame(HEADERS, END_HEADERS, stream, &call)]
                .into_iter()
                .chain(begins)
        });
        client.write_frames(&begun.collect::<Vec<_>>()).await;
        for _ in 0..EXPORT_AT_ONCE {
            client
                .wait_until("an early answer", |frame| ends_its_call(not_hung_up(frame)))
                .await;
        }
        // Some send their messages to the end, some break off.
        let rest = streams.flat_map(|stream| {
            let ends = match stream % 4 {
                1 => frame(DATA, END_STREAM, stream, &[0; 100]),
                _ => frame(RST_STREAM, 0, stream, &[0; 4]),
            };
            [frame(DATA, 0, stream, &[0; 900]), ends]
        });
        client.write_frames(&rest.collect::<Vec<_>>()).await;
    }
    client.write_frames(&[frame(PING, 0, 0, b"anybody?")]).await;
    let pong = |frame: &Frame| not_hung_up(frame).kind == PING && frame.flags == ACK;
    client.wait_until("the answer to a ping", pong).await;

    answers.add_permits(1);
    // An error has no message.
    let answered = |frame: &Frame| not_hung_up(frame).stream == 1 && frame.kind == DATA;
    client.wait_until("the answer to the write", answered).await;
}

/// Whether an answer is there whole; what is no gRPC is answered in words.
fn ends_its_call(frame: &Frame) -> bool {
    matches!(frame.kind, HEADERS | DATA) && frame.flags & END_STREAM != 0
}

/// The same frame, which must not be the gateway's last word.
#[track_caller]
fn not_hung_up(frame: &Frame) -> &Frame {
    if frame.kind == GOAWAY {
        let (code, why) = (frame.payload[7], &frame.payload[8..]);
        let why = String::from_utf8_lossy(why);
        panic!("the gateway hung up on all calls of the connection: code {code} `{why}`");
    }
    frame
}

#[tokio::test]
async fn calls_without_a_token() {
    others_go_on(Early::new(READ, &[GRPC])).await;
}

#[tokio::test]
async fn calls_with_a_malformed_token() {
    others_go_on(Early::new(READ, &[GRPC, ("authorization", "Basic dTpw")])).await;
}

#[tokio::test]
async fn calls_of_an_unknown_method() {
    let unknown = "/genesys.presence.v1.PresenceService/GetNothing";
    others_go_on(Early::new(unknown, &[GRPC, TOKEN])).await;
    others_go_on(Early::new("/no.such.Service/Rpc", &[GRPC, TOKEN])).await;
}

#[tokio::test]
async fn what_is_no_grpc() {
    others_go_on(Early::new(READ, &[("content-type", "text/plain")])).await;
}

#[tokio::test]
async fn messages_that_are_too_large() {
    others_go_on(Early {
        begins: &[0, 0xff, 0xff, 0xff, 0xff],
        ..Early::new(READ, &[GRPC, TOKEN])
    })
    .await;
}

#[tokio::test]
async fn calls_whose_deadline_passes_before_their_message_is_there() {
    others_go_on(Early::new(READ, &[GRPC, TOKEN, SHORT])).await;
}

#[tokio::test]
async fn calls_for_which_there_is_no_place() {
    others_go_on(Early {
        limits: Limits {
            // The write has it.
            max_in_flight: 1,
            ..Limits::default()
        },
        ..Early::new(READ, &[GRPC, TOKEN])
    })
    .await;
}

#[tokio::test]
async fn messages_for_which_there_is_no_room_on_their_way() {
    others_go_on(Early {
        limits: Limits {
            // So many more may be on their way: the others are given up.
            max_in_flight: 8,
            default_deadline: Duration::from_millis(200),
            ..Limits::default()
        },
        begins: &[0, 0, 0],
        ..Early::new(READ, &[GRPC, TOKEN])
    })
    .await;
}

#[tokio::test]
async fn streams_of_ids_that_end_before_their_callers_end_them() {
    others_go_on(Early::new(STREAM, &[GRPC, TOKEN, SHORT])).await;
}

#[tokio::test]
async fn questions_about_health_that_are_too_large() {
    let check = "/grpc.health.v1.Health/Check";
    others_go_on(Early {
        begins: &[0, 0xff, 0xff, 0xff, 0xff],
        ..Early::new(check, &[GRPC])
    })
    .await;
}

#[tokio::test]
async fn who_is_answered_and_then_silent_is_reset() {
    let vendor = Vendor::with_response(200, "{}").await;
    let gateway = Gateway::start(&vendor).await;
    let mut client = Client::connect(gateway.address).await;
    let call = frame(HEADERS, END_HEADERS, 1, &head(READ, &[GRPC]));
    client.write_frames(&[call]).await;
    client.wait_until("the answer", Frame::is_status).await;
    let reset = client
        .wait_until("the reset", |frame| frame.kind == RST_STREAM)
        .await;
    // NO_ERROR: the answer stands.
    assert_eq!((reset.stream, reset.payload.as_slice()), (1, &[0; 4][..]));
}
