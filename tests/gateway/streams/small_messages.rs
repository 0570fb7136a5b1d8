//! Streams whose ids come one in a message, faster than the vendor answers: what
//! waits of them at the gateway is no breach of HTTP/2.

use std::convert::Infallible;
use std::future::pending;

use axum::response::Response;
use serde_json::json;

use crate::http2::{
    ACK, Client, DATA, END_HEADERS, Frame, GOAWAY, HEADERS, PING, SETTINGS, frame, head,
};
use crate::support::{Gateway, Received, Vendor, encoded, method, path};
use crate::wire;

/// How many streams wait at once on one connection, as behind a proxy.
const STREAMS: u32 = 6;

/// How many ids each of them sends: as many as fit into its window.
const IDS: usize = 1500;

#[tokio::test]
async fn many_small_messages_that_wait_do_not_end_the_connection() {
    let vendor = Vendor::start(async |_: Received| {
        let Ok::<Response, Infallible>(answer) = pending().await;
        answer
    })
    .await;
    let gateway = Gateway::before(&vendor).await;
    let mut client = Client::connect(gateway.address).await;
    // The windows of streams are as long as HTTP/2's own until then.
    let settings = |frame: &Frame| frame.kind == SETTINGS && frame.flags != ACK;
    client.until("the settings", settings).await;
    client.say(&[frame(SETTINGS, ACK, 0, &[])]).await;

    let rpc = method("StreamUsersPresencesPurecloudBulk");
    // Each is asked once, so that those that are asked already would not wait.
    let messages: Vec<_> = (0..IDS)
        .map(|n| json!({"ids": [format!("00000000-0000-4000-8000-{n:012}")]}))
        .map(|request| wire::frame(&encoded(&rpc, request)))
        .collect();
    for stream in (0..STREAMS).map(|stream| 1 + 2 * stream) {
        let token = format!("Bearer token-{stream}");
        let metadata = [
            ("content-type", "application/grpc"),
            ("authorization", token.as_str()),
        ];
        let call = frame(HEADERS, END_HEADERS, stream, &head(&path(&rpc), &metadata));
        let ids = messages
            .iter()
            .map(|message| frame(DATA, 0, stream, message));
        let said: Vec<_> = std::iter::once(call).chain(ids).collect();
        client.say(&said).await;
    }
    client.say(&[frame(PING, 0, 0, b"anybody?")]).await;

    let pong = |frame: &Frame| {
        let why = String::from_utf8_lossy(&frame.payload);
        assert_ne!(frame.kind, GOAWAY, "the gateway hung up: {why:?}");
        frame.kind == PING && frame.flags == ACK
    };
    client.until("the answer to a ping", pong).await;
}
