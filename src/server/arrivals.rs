//! The messages of calls on their way: read before a call takes a place, and
//! bounded in number, in bytes and in time.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use tokio::sync::oneshot;
use tokio::time::timeout;
use tonic::Code;

use crate::error::{Error, Reason};

/// How long a message may take after its headers, where its deadline is not
/// sooner. It is there with them, as a rule.
const ARRIVAL: Duration = Duration::from_secs(10);

/// What stands before a message: whether it is compressed, and its length.
pub(super) const PREFIX: usize = 5;

/// The messages on their way. Clones are the same ones.
///
/// Where there are too many, the one that has been on its way for the longest
/// is given up: those who mean well send theirs at once, so that nobody keeps
/// them out with messages that do not end.
#[derive(Debug, Clone)]
pub(super) struct Arrivals {
    bounds: Bounds,
    state: Arc<Mutex<State>>,
}

/// How much may be on its way at once.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// How many messages.
    pub count: usize,
    /// How many bytes one message has.
    pub message: usize,
    /// How many bytes all have.
    pub total: usize,
}

#[derive(Debug, Default)]
struct State {
    next: u64,
    total: usize,
    /// By the order in which they began.
    waiting: BTreeMap<u64, Waiting>,
}

#[derive(Debug)]
struct Waiting {
    bytes: usize,
    /// Dropped with this, which tells who reads it to stop.
    _stays: oneshot::Sender<()>,
}

/// One message on its way, counted until this is dropped.
#[derive(Debug)]
struct Arrival {
    arrivals: Arrivals,
    number: u64,
}

impl Arrivals {
    pub(super) fn new(bounds: Bounds) -> Self {
        let state = Arc::default();
        Self { bounds, state }
    }

    /// Reads the message of a call, and the end of the call's body after it.
    ///
    /// Less than a message is given as it is: tonic says what is wrong with it.
    ///
    /// # Errors
    ///
    /// If the message is too large, late, more than one, or given up for others.
    pub(super) async fn read(&self, mut body: Body) -> Result<Bytes, Error> {
        let (arrival, pushed_out) = self.begin();
        let mut read = BytesMut::new();
        let whole = async {
            while let Some(frame) = body.frame().await {
                let frame = frame.map_err(|_| broken_off())?;
                // Trailers, which no caller sends, say nothing to us.
                let Ok(data) = frame.into_data() else {
                    continue;
                };
                arrival.grow(data.len())?;
                // Not the frame itself: a small one may hold a large buffer.
                read.extend_from_slice(&data);
                if let Some(length) = claimed(&read) {
                    if length > self.bounds.message {
                        return Err(too_large(self.bounds.message));
                    }
                    if read.len() > PREFIX + length {
                        return Err(more_than_one());
                    }
                }
            }
            Ok(())
        };
        let whole = tokio::select! {
            biased;
            _ = pushed_out => Err(Error::NoMemory),
            whole = timeout(ARRIVAL, whole) => whole.unwrap_or_else(|_| Err(late())),
        };
        whole.map(|()| read.freeze())
    }

    fn begin(&self) -> (Arrival, oneshot::Receiver<()>) {
        let (stays, pushed_out) = oneshot::channel();
        let mut state = self.state();
        let number = state.next;
        state.next += 1;
        let waiting = Waiting {
            bytes: 0,
            _stays: stays,
        };
        state.waiting.insert(number, waiting);
        if state.waiting.len() > self.bounds.count {
            state.push_out();
        }
        let arrivals = self.clone();
        (Arrival { arrivals, number }, pushed_out)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Gives up the message that has been on its way for the longest.
    fn push_out(&mut self) {
        if let Some((_, waiting)) = self.waiting.pop_first() {
            self.total -= waiting.bytes;
        }
    }
}

impl Arrival {
    fn grow(&self, bytes: usize) -> Result<(), Error> {
        let mut state = self.arrivals.state();
        let waiting = state.waiting.get_mut(&self.number);
        waiting.ok_or(Error::NoMemory)?.bytes += bytes;
        state.total += bytes;
        while state.total > self.arrivals.bounds.total && !state.waiting.is_empty() {
            state.push_out();
        }
        let stays = state.waiting.contains_key(&self.number);
        stays.then_some(()).ok_or(Error::NoMemory)
    }
}

impl Drop for Arrival {
    fn drop(&mut self) {
        let mut state = self.arrivals.state();
        if let Some(waiting) = state.waiting.remove(&self.number) {
            state.total -= waiting.bytes;
        }
    }
}

/// How long the message is, as its prefix says.
fn claimed(read: &[u8]) -> Option<usize> {
    let length = read.get(1..PREFIX)?.try_into().ok()?;
    usize::try_from(u32::from_be_bytes(length)).ok()
}

fn late() -> Error {
    let text = format!(
        "the request message did not arrive within {} s of its headers; nothing was sent",
        ARRIVAL.as_secs()
    );
    Error::Protocol(Reason::DeadlineExceeded, Code::DeadlineExceeded, text)
}

fn too_large(bytes: usize) -> Error {
    let text = format!(
        "the request is larger than the {bytes} bytes that the gateway accepts; make several calls"
    );
    Error::Protocol(Reason::MessageTooLarge, Code::ResourceExhausted, text)
}

fn more_than_one() -> Error {
    let text = "the call has more than one message, of which nothing was sent; each is a call of \
                its own";
    Error::Protocol(
        Reason::MalformedRequest,
        Code::Unimplemented,
        text.to_owned(),
    )
}

/// Nobody reads it: who breaks a message off has left its stream.
fn broken_off() -> Error {
    let text = "the request message broke off".to_owned();
    Error::Protocol(Reason::MalformedRequest, Code::Internal, text)
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::pin::pin;

    use futures_util::future::{join_all, poll_immediate};
    use futures_util::stream::{self, StreamExt};
    use tokio::time::{Instant, pause};

    use super::*;

    const BOUNDS: Bounds = Bounds {
        count: 3,
        message: 100,
        total: 250,
    };

    /// A message of so many bytes, with what stands before it.
    fn framed(bytes: usize) -> Vec<u8> {
        [
            vec![0, 0, 0, 0, u8::try_from(bytes).unwrap()],
            vec![0; bytes],
        ]
        .concat()
    }

    /// A message of so many bytes, of which all come, and no end.
    fn endless(bytes: usize) -> Body {
        let comes = stream::iter([Ok::<_, Infallible>(framed(bytes))]);
        Body::from_stream(comes.chain(stream::pending()))
    }

    fn whole(bytes: usize) -> Body {
        Body::from(framed(bytes))
    }

    #[tokio::test]
    async fn of_too_many_the_one_that_takes_the_longest_is_given_up() {
        let arrivals = Arrivals::new(BOUNDS);
        let mut slow = Vec::new();
        for _ in 0..BOUNDS.count {
            slow.push(Box::pin(arrivals.read(endless(9))));
            assert!(poll_immediate(slow.last_mut().unwrap()).await.is_none());
        }
        let message = arrivals.read(whole(9)).await.unwrap();
        assert_eq!(message.len(), PREFIX + 9);
        let given_up = slow.remove(0).await;
        assert!(matches!(given_up, Err(Error::NoMemory)), "{given_up:?}");
        assert!(poll_immediate(join_all(slow)).await.is_none());
    }

    #[tokio::test]
    async fn of_too_many_bytes_those_that_take_the_longest_are_given_up() {
        let arrivals = Arrivals::new(BOUNDS);
        let (mut first, mut second) = (
            pin!(arrivals.read(endless(90))),
            pin!(arrivals.read(endless(90))),
        );
        assert!(poll_immediate(&mut first).await.is_none());
        assert!(poll_immediate(&mut second).await.is_none());
        arrivals.read(whole(90)).await.unwrap();
        let given_up = first.await;
        assert!(matches!(given_up, Err(Error::NoMemory)), "{given_up:?}");
        assert!(poll_immediate(&mut second).await.is_none());
    }

    #[tokio::test]
    async fn a_message_is_put_together_from_its_pieces_and_counts_no_more() {
        let arrivals = Arrivals::new(BOUNDS);
        let pieces: [&[u8]; 4] = [&[0, 0], &[], &[0, 0, 3, 1], &[2, 3]];
        let pieces = stream::iter(pieces.map(Ok::<_, Infallible>));
        let message = arrivals.read(Body::from_stream(pieces)).await.unwrap();
        assert_eq!(message.as_ref(), [0, 0, 0, 0, 3, 1, 2, 3]);
        assert_eq!(arrivals.read(Body::empty()).await.unwrap().as_ref(), b"");
        assert_eq!(arrivals.state().total, 0);
        assert!(arrivals.state().waiting.is_empty());
    }

    #[tokio::test]
    async fn what_follows_a_message_is_refused() {
        let more = Body::from(&[0, 0, 0, 0, 1, 1, 0][..]);
        let refused = Arrivals::new(BOUNDS).read(more).await.unwrap_err();
        let is_told = matches!(refused, Error::Protocol(_, Code::Unimplemented, _));
        assert!(is_told, "{refused:?}");
    }

    #[tokio::test]
    async fn a_message_that_is_too_large_is_refused_when_it_says_so() {
        let arrivals = Arrivals::new(BOUNDS);
        let says_so = stream::iter([Ok::<_, Infallible>(vec![0, 0, 0, 0, 101])]);
        let says_so = Body::from_stream(says_so.chain(stream::pending()));
        let refused = arrivals.read(says_so).await.unwrap_err();
        let is_told = matches!(refused, Error::Protocol(Reason::MessageTooLarge, ..));
        assert!(is_told, "{refused:?}");
        arrivals.read(whole(100)).await.unwrap();
    }

    #[tokio::test]
    async fn a_message_has_ten_seconds() {
        pause();
        let arrivals = Arrivals::new(BOUNDS);
        let begun = Instant::now();
        arrivals.read(endless(9)).await.unwrap_err();
        assert_eq!(begun.elapsed().as_secs(), 10);
        assert_eq!(arrivals.state().total, 0);
    }
}
