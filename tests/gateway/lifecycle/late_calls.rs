//! Calls on a connection that has received GOAWAY.

use std::time::Duration;

use crate::lifecycle::drain::{HOUR, StoppableGateway, assert_stops_soon, gated_vendor};
use crate::support::http2::{
    ACK, Client, END_HEADERS, Frame, GOAWAY, HEADERS, PING, call_head, frame,
};

#[tokio::test]
async fn a_late_call_is_served_or_reported_as_not_processed() {
    let (vendor, arrived, release) = gated_vendor().await;
    let upstream = format!("http://{}", vendor.address);
    let stoppable = StoppableGateway::new(&upstream, Duration::ZERO, HOUR).await;
    let mut client = Client::connect(stoppable.gateway.address).await;
    client.call(1).await;
    arrived.notified().await;

    stoppable.stop.send(()).unwrap();
    let first = client
        .wait_until("GOAWAY", |frame| frame.kind == GOAWAY)
        .await;
    assert_eq!(
        first.last_stream(),
        u32::MAX >> 1,
        "any call may be under way"
    );
    let is_ping = |frame: &Frame| frame.kind == PING && frame.flags != ACK;
    let ping = client.wait_until("a ping", is_ping).await;
    // The client sent it before it received the last GOAWAY.
    client.call(3).await;
    arrived.notified().await;
    client
        .write_frames(&[frame(PING, ACK, 0, &ping.payload)])
        .await;
    let last = client
        .wait_until("GOAWAY", |frame| frame.kind == GOAWAY)
        .await;
    assert_eq!(last.last_stream(), 3);
    // GOAWAY has reported that the gateway does not process it.
    client.call(5).await;
    release.notify_one();
    release.notify_one();
    let mut ended = Vec::new();
    while let Some(frame) = client.next().await {
        if frame.is_status() {
            ended.push(frame.stream);
        }
    }
    ended.sort_unstable();
    assert_eq!(ended, [1, 3]);
    assert_eq!(vendor.received().len(), 2);
    assert_stops_soon(stoppable.serving).await;
}

#[tokio::test]
async fn a_call_after_the_drain_is_not_sent() {
    let (vendor, arrived, _release) = gated_vendor().await;
    let upstream = format!("http://{}", vendor.address);
    let drain = Duration::from_millis(300);
    let stoppable = StoppableGateway::new(&upstream, Duration::ZERO, drain).await;
    let mut client = Client::connect(stoppable.gateway.address).await;
    client.call(1).await;
    arrived.notified().await;
    // The message of this call is never sent.
    let head = frame(HEADERS, END_HEADERS, 3, &call_head());
    client.write_frames(&[head]).await;
    stoppable.stop.send(()).unwrap();
    let mut ended = Vec::new();
    while ended.len() < 2 {
        let status = client.wait_until("two statuses", Frame::is_status);
        ended.push(status.await.stream);
    }
    ended.sort_unstable();
    assert_eq!(ended, [1, 3]);
    // The client has acknowledged nothing, so its connection is still open.
    client.call(5).await;
    while client.next().await.is_some() {}
    assert_eq!(vendor.received().len(), 1);
    assert_stops_soon(stoppable.serving).await;
}
