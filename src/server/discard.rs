//! Reads and drops the rest of requests whose response was sent before they had
//! arrived.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::BoxError;
use bytes::Bytes;
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Limited};
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::time::{Instant, timeout_at};

use super::limits::{DISCARD_IDLE_TIMEOUT, MAX_DISCARDED_BYTES, MAX_DISCARDED_REQUESTS};
use super::request_bodies::RequestBodies;

/// Discards the part of a request that arrives after its response, instead of
/// resetting its stream. Clones share the bounds.
///
/// A server may reset such a stream at once (RFC 9113, 8.1), but h2 remembers
/// only 50 streams that it has reset, for a second. It counts each DATA frame of
/// any other closed stream as a protocol violation, over the whole life of a
/// connection, and [`MAX_ERROR_RESETS`] violations end the connection for all
/// callers on it. This module can be deleted when h2 does not count them
/// (<https://github.com/hyperium/h2/issues/856>), or when a server can configure
/// in hyper how many streams h2 remembers
/// (<https://github.com/hyperium/hyper/issues/2599>).
///
/// [`MAX_ERROR_RESETS`]: super::limits::MAX_ERROR_RESETS
#[derive(Debug, Clone)]
pub(super) struct Discard {
    bodies: RequestBodies,
    /// When a part of any request last arrived on the connection.
    last: Arc<Mutex<Instant>>,
}

impl Discard {
    pub(super) fn new() -> Self {
        // Not charged to the memory limit: the bytes are dropped as they arrive.
        let bodies = RequestBodies::new(MAX_DISCARDED_REQUESTS, MAX_DISCARDED_BYTES, None);
        let last = Arc::new(Mutex::new(Instant::now()));
        Self { bodies, last }
    }

    /// The handle for one more connection, with the same bounds.
    pub(super) fn for_connection(&self) -> Self {
        let last = Arc::new(Mutex::new(Instant::now()));
        let bodies = self.bodies.clone();
        Self { bodies, last }
    }

    /// Wraps the body of a request. Its rest is discarded if it is dropped early.
    pub(super) fn wrap<B: RequestBody>(&self, body: B) -> DiscardOnDrop<B> {
        let (body, discard) = (Some(body), self.clone());
        DiscardOnDrop { body, discard }
    }

    /// Reads a body until it ends or fails, exceeds its bounds, or both it and its
    /// connection are silent for [`DISCARD_IDLE_TIMEOUT`].
    async fn rest(self, body: impl RequestBody) {
        let started = Instant::now();
        let quiet_at = || (*self.last.lock()).max(started) + DISCARD_IDLE_TIMEOUT;
        let rest = async {
            let mut body = Limited::new(body, MAX_DISCARDED_BYTES);
            loop {
                match timeout_at(quiet_at(), body.frame()).await {
                    Ok(Some(Ok(_))) => *self.last.lock() = Instant::now(),
                    Err(_) if quiet_at() > Instant::now() => {}
                    Ok(_) | Err(_) => break,
                }
            }
        };
        self.bodies.run_in_slot(rest).await;
    }
}

/// The body of a request.
pub(super) trait RequestBody:
    Body<Data = Bytes, Error: Into<BoxError>> + Send + Unpin + 'static
{
}

impl<B: Body<Data = Bytes, Error: Into<BoxError>> + Send + Unpin + 'static> RequestBody for B {}

/// The body of a request whose rest is discarded.
#[derive(Debug)]
pub(super) struct DiscardOnDrop<B: RequestBody> {
    /// None at the end.
    body: Option<B>,
    discard: Discard,
}

impl<B: RequestBody> Body for DiscardOnDrop<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let Some(body) = &mut self.body else {
            return Poll::Ready(None);
        };
        let frame = std::task::ready!(Pin::new(body).poll_frame(context));
        if matches!(frame, Some(Ok(_))) {
            *self.discard.last.lock() = Instant::now();
        } else {
            self.body = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }
}

impl<B: RequestBody> Drop for DiscardOnDrop<B> {
    fn drop(&mut self) {
        let body = self.body.take().filter(|body| !body.is_end_stream());
        if let (Some(body), Ok(runtime)) = (body, Handle::try_current()) {
            #[expect(
                clippy::disallowed_methods,
                reason = "the call holds far more, and the task ends with the connection"
            )]
            runtime.spawn(self.discard.clone().rest(body));
        }
    }
}

#[cfg(test)]
mod tests;
