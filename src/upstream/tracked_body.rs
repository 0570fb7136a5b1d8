//! Tracks whether a request was sent: a request that was not sent has changed
//! nothing.
//!
//! Decision: docs/decisions/0005-write-outcomes.md.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::rate_limit::RatePermit;

/// The request waits for a connection, or a connection is about to write it.
const QUEUED: u8 = 0;
/// A connection began to write it.
const STARTED: u8 = 1;
/// It was dropped before that.
const NEVER_SENT: u8 = 2;

/// Whether a request was sent, or may have been. Clones share the state.
#[derive(Debug, Clone, Default)]
pub(super) struct SendState(Arc<AtomicU8>);

impl SendState {
    /// Whether the request was dropped before a connection began to write it.
    ///
    /// It is not enough that no connection has begun: one may have taken the
    /// request on another thread, and begin at this moment.
    pub(super) fn never_sent(&self) -> bool {
        self.0.load(Relaxed) == NEVER_SENT
    }

    /// Whether the state is final: the request was sent, or never will be.
    pub(super) fn is_settled(&self) -> bool {
        self.0.load(Relaxed) != QUEUED
    }
}

/// The body of a request. A connection cannot write even the head before it
/// has asked the body for its length, or whether it is empty.
pub(super) struct TrackedBody {
    bytes: Option<Bytes>,
    state: SendState,
    permit: RatePermit,
}

impl TrackedBody {
    /// The body of a request with this permit: these bytes, or none.
    pub(super) fn new(bytes: Option<Bytes>, permit: RatePermit) -> Self {
        Self {
            bytes,
            state: SendState::default(),
            permit,
        }
    }

    /// The state of the request, to be read after the body is gone.
    pub(super) fn state(&self) -> SendState {
        self.state.clone()
    }

    fn start(&self) {
        if self.state.0.swap(STARTED, Relaxed) == QUEUED {
            self.permit.commit();
        }
    }
}

impl Drop for TrackedBody {
    fn drop(&mut self) {
        let state = &self.state.0;
        // A request that was started stays so.
        let _ = state.compare_exchange(QUEUED, NEVER_SENT, Relaxed, Relaxed);
    }
}

impl Body for TrackedBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.start();
        Poll::Ready(self.bytes.take().map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.start();
        self.bytes.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::HeaderValue;
    use tokio::time::{Instant, sleep};

    use super::*;
    use crate::token_key::TokenKey;
    use crate::upstream::rate_limit::RateLimiter;

    fn token() -> TokenKey {
        TokenKey::new(&HeaderValue::from_static("Bearer token"))
    }

    fn in_time() -> Instant {
        Instant::now() + Duration::from_secs(100)
    }

    async fn body(bytes: Option<Bytes>, limiter: &RateLimiter) -> TrackedBody {
        let permit = limiter.acquire(token(), in_time()).await;
        TrackedBody::new(bytes, permit.unwrap())
    }

    #[tokio::test]
    async fn an_unwritten_request_that_was_dropped_was_never_sent() {
        let body = body(Some(Bytes::from_static(b"{}")), &RateLimiter::new(0)).await;
        let state = body.state();
        drop(body);
        assert!(state.never_sent());
    }

    #[tokio::test]
    async fn a_dropped_request_that_a_connection_took_may_still_be_sent() {
        let body = body(None, &RateLimiter::new(0)).await;
        let state = body.state();
        // The caller drops it, but the connection has it in its queue.
        assert!(!state.never_sent());
        body.is_end_stream();
        assert!(!state.never_sent());
        drop(body);
        assert!(!state.never_sent(), "the connection may still send it");
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_counts_from_its_first_write_to_a_connection() {
        let begun = Instant::now();
        let limiter = RateLimiter::new(1);
        let body = body(None, &limiter).await;
        // The connection takes this long.
        sleep(Duration::from_secs(3)).await;
        body.is_end_stream();
        sleep(Duration::from_secs(3)).await;
        body.is_end_stream();
        let next = limiter.acquire(token(), in_time()).await;
        let waited = begun.elapsed().as_secs();
        assert!(next.is_ok() && waited == 63, "after {waited} s: {next:?}");
    }
}
