use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body as AnyBody;
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use tokio::sync::oneshot::{self, error::TryRecvError};
use tokio::time::{Instant, pause, sleep};

use super::*;

type Chunks = BoxStream<'static, Result<Bytes, Infallible>>;

/// A body of these chunks, and a receiver that closes when it is dropped.
fn body(chunks: Chunks) -> (AnyBody, oneshot::Receiver<()>) {
    let (guard, dropped) = oneshot::channel();
    let chunks = chunks.map(move |chunk| {
        let _ = &guard;
        chunk
    });
    (AnyBody::from_stream(chunks), dropped)
}

/// An endless series of chunks of this size, one per interval.
fn endless(bytes: usize, interval: Duration) -> Chunks {
    let chunk = Bytes::from(vec![0; bytes]);
    let chunks = stream::repeat(chunk).then(move |chunk| async move {
        sleep(interval).await;
        Ok(chunk)
    });
    chunks.boxed()
}

/// How long the body of a request is discarded after an immediate response, in
/// tenths of a second: each timer may fire a millisecond late.
async fn discard_time(chunks: Chunks) -> u128 {
    pause();
    let start = Instant::now();
    let (body, dropped) = body(chunks);
    drop(Discard::new().wrap(body));
    dropped.await.unwrap_err();
    start.elapsed().as_millis() / 100
}

#[tokio::test]
async fn the_rest_of_a_body_is_discarded_to_its_end() {
    let chunks = endless(1000, Duration::from_millis(100)).take(30).boxed();
    assert_eq!(discard_time(chunks).await, 30);
}

#[tokio::test]
async fn a_body_that_is_silent_for_a_second_is_dropped() {
    let chunks = endless(1000, Duration::from_millis(900)).take(3);
    let silence = stream::pending();
    let took = discard_time(chunks.chain(silence).boxed()).await;
    assert_eq!(took, 27 + 10);
}

#[tokio::test]
async fn a_silent_body_is_kept_while_another_of_its_connection_arrives() {
    pause();
    let discard = Discard::new().for_connection();
    // A slow link: the rest of one request queues behind another's.
    let slow = endless(1000, Duration::from_millis(900)).take(5).boxed();
    let mut before = discard.wrap(AnyBody::from_stream(slow));
    let late = endless(1000, Duration::from_secs(5)).take(1).boxed();
    let (late, mut dropped) = body(late);
    drop(discard.wrap(late));
    while before.frame().await.is_some() {
        assert_eq!(
            dropped.try_recv(),
            Err(TryRecvError::Empty),
            "the body was dropped"
        );
    }
    // The bodies of another connection do not count.
    let (elsewhere, reset) = body(endless(1000, Duration::from_secs(5)));
    let start = Instant::now();
    drop(discard.for_connection().wrap(elsewhere));
    dropped.await.unwrap_err();
    reset.await.unwrap_err();
    assert_eq!(start.elapsed().as_millis() / 100, 10);
}

#[tokio::test]
async fn an_endless_body_is_dropped_after_ten_seconds() {
    let took = discard_time(endless(1000, Duration::from_millis(900))).await;
    assert_eq!(took, 100);
}

#[tokio::test]
async fn a_body_larger_than_the_limit_is_dropped() {
    // The eleventh chunk exceeds the limit.
    let took = discard_time(endless(
        MAX_DISCARDED_BYTES / 10,
        Duration::from_millis(100),
    ))
    .await;
    assert_eq!(took, 11);
}

#[tokio::test]
async fn above_the_limit_the_oldest_body_is_dropped() {
    pause();
    let start = Instant::now();
    let discard = Discard::new();
    let mut silent = Vec::new();
    for _ in 0..MAX_DISCARDED_REQUESTS {
        let (body, dropped) = body(stream::pending().boxed());
        drop(discard.wrap(body));
        silent.push(dropped);
    }
    // A body counts from when its task starts.
    sleep(Duration::from_millis(1)).await;
    let mut first = silent.remove(0);
    assert_eq!(first.try_recv(), Err(TryRecvError::Empty));
    let (body, _dropped) = body(stream::pending().boxed());
    drop(discard.wrap(body));
    first.await.unwrap_err();
    assert!(
        start.elapsed() < DISCARD_IDLE_TIMEOUT,
        "{:?}",
        start.elapsed()
    );
    assert_eq!(silent[0].try_recv(), Err(TryRecvError::Empty));
}

#[tokio::test]
async fn a_body_that_was_read_to_its_end_is_dropped_at_once() {
    let (body, mut dropped) = body(stream::iter([Ok(Bytes::from("all"))]).boxed());
    let mut body = Discard::new().wrap(body);
    assert!(body.frame().await.is_some() && body.frame().await.is_none());
    assert!(body.is_end_stream());
    assert_eq!(dropped.try_recv(), Err(TryRecvError::Closed));
}
