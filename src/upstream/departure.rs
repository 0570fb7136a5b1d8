//! Whether a request left: what did not can have changed nothing.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

/// Tells whether a request left, or may have.
#[derive(Debug, Clone, Default)]
pub(super) struct Departure(Arc<AtomicBool>);

impl Departure {
    /// Whether a connection began to write the request. Without one, it is
    /// still on its way to a connection, or never got any.
    pub(super) fn has_begun(&self) -> bool {
        self.0.load(Relaxed)
    }
}

/// The body of a request. A connection cannot write even the head before it
/// has asked the body how long it is, or whether there is any.
pub(super) struct Departing {
    bytes: Option<Bytes>,
    departure: Departure,
}

impl Departing {
    /// A body of these bytes, or none.
    pub(super) fn new(bytes: Option<Bytes>) -> Self {
        Self {
            bytes,
            departure: Departure::default(),
        }
    }

    /// What tells of it once it is under way.
    pub(super) fn departure(&self) -> Departure {
        self.departure.clone()
    }
}

impl Body for Departing {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.departure.0.store(true, Relaxed);
        Poll::Ready(self.bytes.take().map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.departure.0.store(true, Relaxed);
        self.bytes.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
    }
}
