use std::convert::Infallible;
use std::pin::pin;

use futures_util::future::{join_all, poll_immediate};
use futures_util::stream::{self, StreamExt};
use tokio::time::{Instant, pause};

use super::*;
use crate::memory::EXPANSION_FACTOR;

const COUNT: usize = 3;

/// Room for three messages of 100 bytes each, and of 250 bytes together: a
/// quarter of the memory.
fn buffers() -> RequestBodies {
    RequestBodies::new(COUNT, 100, Some(MemoryLimit::new(1000)))
}

/// Whether no message is open or charged.
fn is_empty(buffers: &RequestBodies) -> bool {
    let memory = buffers.memory.as_ref().unwrap();
    let all = memory.lease(None).reserve(1000 / EXPANSION_FACTOR);
    buffers.slots.lock().open.is_empty() && all.is_ok()
}

/// A message of this size, after its gRPC prefix.
fn framed(bytes: usize) -> Vec<u8> {
    [
        vec![0, 0, 0, 0, u8::try_from(bytes).unwrap()],
        vec![0; bytes],
    ]
    .concat()
}

/// A complete message of this size in a body that does not end.
fn endless(bytes: usize) -> Body {
    let message = stream::iter([Ok::<_, Infallible>(framed(bytes))]);
    Body::from_stream(message.chain(stream::pending()))
}

/// A body of one message of this size.
fn complete(bytes: usize) -> Body {
    Body::from(framed(bytes))
}

#[tokio::test]
async fn above_the_count_limit_the_oldest_message_is_rejected() {
    let buffers = buffers();
    let mut slow = Vec::new();
    for _ in 0..COUNT {
        slow.push(Box::pin(buffers.read(endless(9))));
        assert!(poll_immediate(slow.last_mut().unwrap()).await.is_none());
    }
    let message = buffers.read(complete(9)).await.unwrap();
    assert_eq!(message.len(), PREFIX_LEN + 9);
    let evicted = slow.remove(0).await;
    assert!(matches!(evicted, Err(Error::MessageEvicted)), "{evicted:?}");
    assert!(poll_immediate(join_all(slow)).await.is_none());
}

#[tokio::test]
async fn above_the_byte_limit_the_oldest_message_is_rejected() {
    let buffers = buffers();
    let (mut first, mut second) = (
        pin!(buffers.read(endless(90))),
        pin!(buffers.read(endless(90))),
    );
    assert!(poll_immediate(&mut first).await.is_none());
    assert!(poll_immediate(&mut second).await.is_none());
    buffers.read(complete(90)).await.unwrap();
    let evicted = first.await;
    assert!(matches!(evicted, Err(Error::MessageEvicted)), "{evicted:?}");
    assert!(poll_immediate(&mut second).await.is_none());
}

#[tokio::test]
async fn a_message_is_assembled_from_chunks_and_its_charge_released() {
    let buffers = buffers();
    let chunks: [&[u8]; 4] = [&[0, 0], &[], &[0, 0, 3, 1], &[2, 3]];
    let chunks = stream::iter(chunks.map(Ok::<_, Infallible>));
    let message = buffers.read(Body::from_stream(chunks)).await.unwrap();
    assert_eq!(message.as_ref(), [0, 0, 0, 0, 3, 1, 2, 3]);
    assert_eq!(buffers.read(Body::empty()).await.unwrap().as_ref(), b"");
    assert!(is_empty(&buffers));
}

#[tokio::test]
async fn bytes_after_a_message_are_rejected() {
    let body = Body::from(&[0, 0, 0, 0, 1, 1, 0][..]);
    let error = buffers().read(body).await.unwrap_err();
    assert!(matches!(error, Error::ExtraMessage), "{error:?}");
}

#[tokio::test]
async fn a_message_that_is_too_large_is_rejected_at_its_prefix() {
    let buffers = buffers();
    let prefix = stream::iter([Ok::<_, Infallible>(vec![0, 0, 0, 0, 101])]);
    let body = Body::from_stream(prefix.chain(stream::pending()));
    let error = buffers.read(body).await.unwrap_err();
    assert!(matches!(error, Error::MessageTooLarge(_)), "{error:?}");
    buffers.read(complete(100)).await.unwrap();
}

#[tokio::test]
async fn a_message_must_arrive_within_ten_seconds() {
    pause();
    let buffers = buffers();
    let start = Instant::now();
    buffers.read(endless(9)).await.unwrap_err();
    assert_eq!(start.elapsed().as_secs(), 10);
    assert!(is_empty(&buffers));
}
