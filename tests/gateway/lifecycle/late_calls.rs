//! Calls that come late, over a connection that is asked to go.

use std::time::Duration;

use crate::lifecycle::drain::{Ending, HOUR, ends_soon, waiting_vendor};
use crate::support::http2::{
    ACK, Client, END_HEADERS, Frame, GOAWAY, HEADERS, PING, call_head, frame,
};

#[tokio::test]
async fn a_late_call_is_served_or_named_as_one_that_is_not() {
    let (vendor, arrived, answer) = waiting_vendor().await;
    let upstream = format!("http://{}", vendor.address);
    let ending = Ending::new(&upstream, Duration::ZERO, HOUR).await;
    let mut client = Client::connect(ending.gateway.address).await;
    client.call(1).await;
    arrived.notified().await;

    ending.stop.send(()).unwrap();
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
    // It was under way when its client was told.
    client.call(3).await;
    arrived.notified().await;
    client
        .write_frames(&[frame(PING, ACK, 0, &ping.payload)])
        .await;
    let last = client
        .wait_until("GOAWAY", |frame| frame.kind == GOAWAY)
        .await;
    assert_eq!(last.last_stream(), 3);
    // Its client was told that it is not looked at.
    client.call(5).await;
    answer.notify_one();
    answer.notify_one();
    let mut ended = Vec::new();
    while let Some(frame) = client.next().await {
        if frame.is_status() {
            ended.push(frame.stream);
        }
    }
    ended.sort_unstable();
    assert_eq!(ended, [1, 3]);
    assert_eq!(vendor.received().len(), 2);
    ends_soon(ending.serving).await;
}

#[tokio::test]
async fn a_call_that_comes_at_the_very_end_is_not_sent() {
    let (vendor, arrived, _answer) = waiting_vendor().await;
    let upstream = format!("http://{}", vendor.address);
    let drain = Duration::from_millis(300);
    let ending = Ending::new(&upstream, Duration::ZERO, drain).await;
    let mut client = Client::connect(ending.gateway.address).await;
    client.call(1).await;
    arrived.notified().await;
    // The message of this one never comes.
    let head = frame(HEADERS, END_HEADERS, 3, &call_head());
    client.write_frames(&[head]).await;
    ending.stop.send(()).unwrap();
    let mut ended = Vec::new();
    while ended.len() < 2 {
        let status = client.wait_until("two statuses", Frame::is_status);
        ended.push(status.await.stream);
    }
    ended.sort_unstable();
    assert_eq!(ended, [1, 3]);
    // It has acknowledged nothing, so that its connection is still there.
    client.call(5).await;
    while client.next().await.is_some() {}
    assert_eq!(vendor.received().len(), 1);
    ends_soon(ending.serving).await;
}
