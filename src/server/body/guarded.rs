//! An answer that holds something until it was taken.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use http_body::{Frame, SizeHint};

/// An answer that holds something until its caller has taken the last of it,
/// or has gone away.
pub(in crate::server) struct GuardedBody<T> {
    answer: Body,
    _held: T,
}

impl<T> GuardedBody<T> {
    pub(in crate::server) fn new(answer: Body, held: T) -> Self {
        Self {
            answer,
            _held: held,
        }
    }
}

impl<T: Unpin> http_body::Body for GuardedBody<T> {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.answer).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.answer.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.answer.size_hint()
    }
}
