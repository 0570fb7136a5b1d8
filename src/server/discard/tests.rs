use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body as AnyBody;
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use tokio::sync::oneshot::{self, error::TryRecvError};
use tokio::time::{Instant, pause, sleep};

use super::*;

type Pieces = BoxStream<'static, Result<Bytes, Infallible>>;

/// A body of these pieces, and a receiver that closes when it is dropped.
fn body(pieces: Pieces) -> (AnyBody, oneshot::Receiver<()>) {
    let (held, dropped) = oneshot::channel();
    let pieces = pieces.map(move |piece| {
        let _ = &held;
        piece
    });
    (AnyBody::from_stream(pieces), dropped)
}

/// An endless series of pieces of this size, one at each interval.
fn endless(bytes: usize, every: Duration) -> Pieces {
    let piece = Bytes::from(vec![0; bytes]);
    let pieces = stream::repeat(piece).then(move |piece| async move {
        sleep(every).await;
        Ok(piece)
    });
    pieces.boxed()
}

/// How long the body of a request that was answered at once is discarded, in
/// tenths of a second: each timer may take a millisecond more.
async fn discarded(pieces: Pieces) -> u128 {
    pause();
    let begun = Instant::now();
    let (body, dropped) = body(pieces);
    drop(Discard::new().wrap(body));
    dropped.await.unwrap_err();
    begun.elapsed().as_millis() / 100
}

#[tokio::test]
async fn what_still_comes_is_taken_in_to_its_end() {
    let pieces = endless(1000, Duration::from_millis(100)).take(30).boxed();
    assert_eq!(discarded(pieces).await, 30);
}

#[tokio::test]
async fn who_is_silent_for_a_second_is_not_waited_for() {
    let pieces = endless(1000, Duration::from_millis(900)).take(3);
    let silence = stream::pending();
    let took = discarded(pieces.chain(silence).boxed()).await;
    assert_eq!(took, 27 + 10);
}

#[tokio::test]
async fn who_is_silent_behind_others_of_its_connection_is_waited_for() {
    pause();
    let discard = Discard::new().for_connection();
    // A slow link: the rest of one request is behind another's.
    let slowly = endless(1000, Duration::from_millis(900)).take(5).boxed();
    let mut before = discard.wrap(AnyBody::from_stream(slowly));
    let late = endless(1000, Duration::from_secs(5)).take(1).boxed();
    let (late, mut dropped) = body(late);
    drop(discard.wrap(late));
    while before.frame().await.is_some() {
        assert_eq!(dropped.try_recv(), Err(TryRecvError::Empty), "it was reset");
    }
    // Another connection does not count.
    let (elsewhere, reset) = body(endless(1000, Duration::from_secs(5)));
    let begun = Instant::now();
    drop(discard.for_connection().wrap(elsewhere));
    dropped.await.unwrap_err();
    reset.await.unwrap_err();
    assert_eq!(begun.elapsed().as_millis() / 100, 10);
}

#[tokio::test]
async fn who_sends_without_end_is_reset_after_ten_seconds() {
    let took = discarded(endless(1000, Duration::from_millis(900))).await;
    assert_eq!(took, 100);
}

#[tokio::test]
async fn who_sends_very_much_is_reset_after_that() {
    // The piece that exceeds the limit.
    let took = discarded(endless(
        MAX_DISCARDED_BYTES / 10,
        Duration::from_millis(100),
    ))
    .await;
    assert_eq!(took, 11);
}

#[tokio::test]
async fn of_too_many_the_one_that_takes_the_longest_is_reset() {
    pause();
    let begun = Instant::now();
    let discard = Discard::new();
    let mut silent = Vec::new();
    for _ in 0..MAX_DISCARDED_REQUESTS {
        let (body, dropped) = body(stream::pending().boxed());
        drop(discard.wrap(body));
        silent.push(dropped);
    }
    // They are counted when their tasks start.
    sleep(Duration::from_millis(1)).await;
    let mut first = silent.remove(0);
    assert_eq!(first.try_recv(), Err(TryRecvError::Empty));
    let (body, _dropped) = body(stream::pending().boxed());
    drop(discard.wrap(body));
    first.await.unwrap_err();
    assert!(
        begun.elapsed() < DISCARD_IDLE_TIMEOUT,
        "{:?}",
        begun.elapsed()
    );
    assert_eq!(silent[0].try_recv(), Err(TryRecvError::Empty));
}

#[tokio::test]
async fn a_body_that_was_read_to_its_end_is_let_go_at_once() {
    let (body, mut dropped) = body(stream::iter([Ok(Bytes::from("all"))]).boxed());
    let mut body = Discard::new().wrap(body);
    assert!(body.frame().await.is_some() && body.frame().await.is_none());
    assert!(body.is_end_stream());
    assert_eq!(dropped.try_recv(), Err(TryRecvError::Closed));
}
