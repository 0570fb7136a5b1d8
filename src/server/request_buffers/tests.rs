use std::convert::Infallible;
use std::pin::pin;

use futures_util::future::{join_all, poll_immediate};
use futures_util::stream::{self, StreamExt};
use tokio::time::{Instant, pause};

use super::*;
use crate::memory::EXPANSION_FACTOR;

const COUNT: usize = 3;

/// Three messages of 100 bytes; all have 250 bytes, a quarter of the memory.
fn buffers() -> RequestBuffers {
    RequestBuffers::new(COUNT, 100, Some(MemoryLimit::new(1000)))
}

/// Whether nothing is charged any more.
fn is_empty(buffers: &RequestBuffers) -> bool {
    let memory = buffers.memory.as_ref().unwrap();
    let all = memory.lease(None).reserve(1000 / EXPANSION_FACTOR);
    buffers.slots.lock().open.is_empty() && all.is_ok()
}

/// A message of this size, with its prefix.
fn framed(bytes: usize) -> Vec<u8> {
    [
        vec![0, 0, 0, 0, u8::try_from(bytes).unwrap()],
        vec![0; bytes],
    ]
    .concat()
}

/// A message of this size, all of which arrives, without the end of the body.
fn endless(bytes: usize) -> Body {
    let comes = stream::iter([Ok::<_, Infallible>(framed(bytes))]);
    Body::from_stream(comes.chain(stream::pending()))
}

fn whole(bytes: usize) -> Body {
    Body::from(framed(bytes))
}

#[tokio::test]
async fn of_too_many_the_one_that_takes_the_longest_is_given_up() {
    let buffers = buffers();
    let mut slow = Vec::new();
    for _ in 0..COUNT {
        slow.push(Box::pin(buffers.read(endless(9))));
        assert!(poll_immediate(slow.last_mut().unwrap()).await.is_none());
    }
    let message = buffers.read(whole(9)).await.unwrap();
    assert_eq!(message.len(), PREFIX + 9);
    let given_up = slow.remove(0).await;
    assert!(
        matches!(given_up, Err(Error::MessageEvicted)),
        "{given_up:?}"
    );
    assert!(poll_immediate(join_all(slow)).await.is_none());
}

#[tokio::test]
async fn of_too_many_bytes_those_that_take_the_longest_are_given_up() {
    let buffers = buffers();
    let (mut first, mut second) = (
        pin!(buffers.read(endless(90))),
        pin!(buffers.read(endless(90))),
    );
    assert!(poll_immediate(&mut first).await.is_none());
    assert!(poll_immediate(&mut second).await.is_none());
    buffers.read(whole(90)).await.unwrap();
    let given_up = first.await;
    assert!(
        matches!(given_up, Err(Error::MessageEvicted)),
        "{given_up:?}"
    );
    assert!(poll_immediate(&mut second).await.is_none());
}

#[tokio::test]
async fn a_message_is_put_together_from_its_pieces_and_counts_no_more() {
    let buffers = buffers();
    let pieces: [&[u8]; 4] = [&[0, 0], &[], &[0, 0, 3, 1], &[2, 3]];
    let pieces = stream::iter(pieces.map(Ok::<_, Infallible>));
    let message = buffers.read(Body::from_stream(pieces)).await.unwrap();
    assert_eq!(message.as_ref(), [0, 0, 0, 0, 3, 1, 2, 3]);
    assert_eq!(buffers.read(Body::empty()).await.unwrap().as_ref(), b"");
    assert!(is_empty(&buffers));
}

#[tokio::test]
async fn what_follows_a_message_is_refused() {
    let more = Body::from(&[0, 0, 0, 0, 1, 1, 0][..]);
    let refused = buffers().read(more).await.unwrap_err();
    let is_told = matches!(refused, Error::ExtraMessage);
    assert!(is_told, "{refused:?}");
}

#[tokio::test]
async fn a_message_that_is_too_large_is_refused_when_it_says_so() {
    let buffers = buffers();
    let says_so = stream::iter([Ok::<_, Infallible>(vec![0, 0, 0, 0, 101])]);
    let says_so = Body::from_stream(says_so.chain(stream::pending()));
    let refused = buffers.read(says_so).await.unwrap_err();
    let is_told = matches!(refused, Error::MessageTooLarge(_));
    assert!(is_told, "{refused:?}");
    buffers.read(whole(100)).await.unwrap();
}

#[tokio::test]
async fn a_message_has_ten_seconds() {
    pause();
    let buffers = buffers();
    let begun = Instant::now();
    buffers.read(endless(9)).await.unwrap_err();
    assert_eq!(begun.elapsed().as_secs(), 10);
    assert!(is_empty(&buffers));
}
