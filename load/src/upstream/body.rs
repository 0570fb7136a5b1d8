//! The body of an answer: whole, in drops, or broken off.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::time::{Sleep, sleep};

/// How many drops an answer comes in, and how far apart.
const DROPS: usize = 20;
const APART: Duration = Duration::from_millis(100);

/// A body, as far as it was not sent.
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

    /// The same body, in drops.
    pub(super) fn dripping(self) -> Self {
        let piece = self.rest.len().div_ceil(DROPS);
        self.slowly(piece, usize::MAX)
    }

    /// The same body, which breaks off in the middle.
    pub(super) fn broken(self) -> Self {
        let half = self.rest.len() / 2;
        self.slowly(half, 1)
    }

    /// In so many pieces of this size, and no more.
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
