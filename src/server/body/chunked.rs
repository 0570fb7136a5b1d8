//! An answer on its way to its caller.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use bytes::Bytes;
use http_body::{Frame, SizeHint};

use crate::memory::MemoryLease;
use crate::server::concurrency_limit::Permit;

/// How much of an answer is handed over at once: one frame of HTTP/2.
const PIECE: usize = 16 * 1024;

/// An answer that keeps its call's place, and what it holds of memory, until
/// the caller has taken it.
///
/// hyper accepts a piece of any size, and the end of the answer after it, into
/// its memory before the caller takes any of it. A caller that does not read
/// would so leave its answers there without a place for them. hyper asks for a
/// further piece only when the one before could be sent.
pub(in crate::server) struct ChunkedBody {
    answer: Body,
    rest: Bytes,
    /// Given back when the answer is dropped, which is at its end or when the
    /// caller goes away.
    _held: (Permit, MemoryLease),
}

impl ChunkedBody {
    pub(in crate::server) fn new(answer: Body, held: (Permit, MemoryLease)) -> Self {
        Self {
            answer,
            rest: Bytes::new(),
            _held: held,
        }
    }
}

impl http_body::Body for ChunkedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if self.rest.is_empty() {
            let frame = std::task::ready!(Pin::new(&mut self.answer).poll_frame(context));
            match frame.map(|frame| frame.map(Frame::into_data)) {
                Some(Ok(Ok(data))) => self.rest = data,
                Some(Ok(Err(trailers))) => return Poll::Ready(Some(Ok(trailers))),
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => return Poll::Ready(None),
            }
        }
        let piece = self.rest.len().min(PIECE);
        Poll::Ready(Some(Ok(Frame::data(self.rest.split_to(piece)))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.answer.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let rest = self.rest.len() as u64;
        let after = self.answer.size_hint();
        let mut hint = SizeHint::new();
        if let Some(upper) = after.upper() {
            hint.set_upper(upper + rest);
        }
        hint.set_lower(after.lower() + rest);
        hint
    }
}
