//! A response body in frames of bounded size.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::body::Body;
use bytes::Bytes;
use http_body::{Frame, SizeHint};

use crate::server::limits::MAX_DATA_FRAME;

/// A response body that is handed to hyper in frames of at most
/// [`MAX_DATA_FRAME`] bytes.
///
/// hyper takes a frame of any size, and the end of the body after it, into its
/// own memory before the caller reads any of it, and drops the body. A caller
/// that does not read would leave its responses there while the guards of the
/// body (its permit and its memory lease) are already released. hyper asks for
/// the next frame only when the one before could be sent.
pub(in crate::server) struct ChunkedBody {
    inner: Body,
    rest: Bytes,
}

impl ChunkedBody {
    pub(in crate::server) fn new(inner: Body) -> Self {
        let rest = Bytes::new();
        Self { inner, rest }
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
            let frame = ready!(Pin::new(&mut self.inner).poll_frame(context));
            match frame.map(|frame| frame.map(Frame::into_data)) {
                Some(Ok(Ok(data))) => self.rest = data,
                Some(Ok(Err(trailers))) => return Poll::Ready(Some(Ok(trailers))),
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => return Poll::Ready(None),
            }
        }
        let len = self.rest.len().min(MAX_DATA_FRAME);
        Poll::Ready(Some(Ok(Frame::data(self.rest.split_to(len)))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let rest = self.rest.len() as u64;
        let after = self.inner.size_hint();
        let mut hint = SizeHint::new();
        if let Some(upper) = after.upper() {
            hint.set_upper(upper + rest);
        }
        hint.set_lower(after.lower() + rest);
        hint
    }
}
