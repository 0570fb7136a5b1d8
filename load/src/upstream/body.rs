//! Response bodies: whole, sent in small pieces, or truncated.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::time::{Sleep, sleep};

/// The number of pieces of a dripping body, and the pause between them.
const DROPS: usize = 20;
const APART: Duration = Duration::from_millis(100);

/// A body and what of it is not sent yet.
#[derive(Debug)]
pub(super) struct Body {
    rest: Bytes,
    slow: Option<Slow>,
}

#[derive(Debug)]
struct Slow {
    piece: usize,
    pieces: usize,
    pause: Pin<Box<Sleep>>,
}

impl Body {
    pub(super) fn whole(rest: Bytes) -> Self {
        Self { rest, slow: None }
    }

    /// The same body, sent in small pieces.
    pub(super) fn dripping(self) -> Self {
        let piece = self.rest.len().div_ceil(DROPS);
        self.slowly(piece, usize::MAX)
    }

    /// The same body, truncated in the middle.
    pub(super) fn broken(self) -> Self {
        let half = self.rest.len() / 2;
        self.slowly(half, 1)
    }

    /// Sends `pieces` pieces of `piece` bytes, and then fails or ends.
    fn slowly(self, piece: usize, pieces: usize) -> Self {
        let pause = Box::pin(sleep(APART));
        let slow = Some(Slow {
            piece,
            pieces,
            pause,
        });
        Self { slow, ..self }
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let Self { rest, slow } = &mut *self;
        if rest.is_empty() {
            return Poll::Ready(None);
        }
        let Some(slow) = slow else {
            return Poll::Ready(Some(Ok(Frame::data(std::mem::take(rest)))));
        };
        ready!(slow.pause.as_mut().poll(context));
        slow.pause.set(sleep(APART));
        if slow.pieces == 0 {
            return Poll::Ready(Some(Err(io::ErrorKind::ConnectionAborted.into())));
        }
        slow.pieces -= 1;
        let piece = rest.split_to(slow.piece.clamp(1, rest.len()));
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.rest.len() as u64)
    }
}
