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

use super::mend;
use crate::error::{Error, Reason};

/// How long a message may take after its headers, where its deadline is not
/// sooner. It is there with them, as a rule.
const ARRIVAL: Duration = Duration::from_secs(10);

/// What stands before a message: whether it is compressed, and its length.
const PREFIX: usize = 5;

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
    /// How many bytes all have, with those of the calls that are being served.
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

/// One message, counted until this is dropped.
#[derive(Debug)]
pub(super) struct Arrival {
    arrivals: Arrivals,
    number: u64,
    /// What it was counted for, once it is here.
    bytes: Option<usize>,
}

impl Arrivals {
    pub(super) fn new(bounds: Bounds) -> Self {
        let state = Arc::default();
        Self { bounds, state }
    }

    /// Reads a message to its end. What is given with it stands for its bytes
    /// for as long as the call is served.
    ///
    /// # Errors
    ///
    /// If the message is too large, late, or given up for others.
    pub(super) async fn read(&self, mut message: Body) -> Result<(Bytes, Arrival), Error> {
        let (mut arrival, pushed_out) = self.begin();
        let mut read = BytesMut::new();
        let whole = async {
            while let Some(frame) = message.frame().await {
                let frame = frame.map_err(|_| broken_off())?;
                // Trailers, which no caller sends, say nothing to us.
                let Ok(data) = frame.into_data() else {
                    continue;
                };
                if read.len() + data.len() > PREFIX + self.bounds.message {
                    return Err(mend::too_large(self.bounds.message));
                }
                arrival.grow(data.len())?;
                // Not the frame itself: a small one may hold a large buffer.
                read.extend_from_slice(&data);
                if claimed(&read).is_some_and(|length| length > self.bounds.message) {
                    return Err(mend::too_large(self.bounds.message));
                }
            }
            arrival.is_here()
        };
        let whole = tokio::select! {
            biased;
            _ = pushed_out => Err(Error::Overloaded),
            whole = timeout(ARRIVAL, whole) => whole.unwrap_or_else(|_| Err(late())),
        };
        whole.map(|()| (read.freeze(), arrival))
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
        let arrival = Arrival {
            arrivals: self.clone(),
            number,
            bytes: None,
        };
        (arrival, pushed_out)
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
    fn grow(&mut self, bytes: usize) -> Result<(), Error> {
        let mut state = self.arrivals.state();
        let waiting = state.waiting.get_mut(&self.number);
        waiting.ok_or(Error::Overloaded)?.bytes += bytes;
        state.total += bytes;
        while state.total > self.arrivals.bounds.total && !state.waiting.is_empty() {
            state.push_out();
        }
        if state.waiting.contains_key(&self.number) {
            Ok(())
        } else {
            Err(Error::Overloaded)
        }
    }

    fn is_here(&mut self) -> Result<(), Error> {
        let waiting = self.arrivals.state().waiting.remove(&self.number);
        self.bytes = Some(waiting.ok_or(Error::Overloaded)?.bytes);
        Ok(())
    }
}

impl Drop for Arrival {
    fn drop(&mut self) {
        let mut state = self.arrivals.state();
        let waiting = state.waiting.remove(&self.number);
        let bytes = self.bytes.or(waiting.map(|waiting| waiting.bytes));
        state.total -= bytes.unwrap_or_default();
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

    /// A message of which so many bytes come, and no end.
    fn endless(bytes: usize) -> Body {
        let comes = stream::iter([Ok::<_, Infallible>(vec![0; bytes])]);
        Body::from_stream(comes.chain(stream::pending()))
    }

    fn whole(bytes: usize) -> Body {
        Body::from(vec![0; bytes])
    }

    #[tokio::test]
    async fn of_too_many_the_one_that_takes_the_longest_is_given_up() {
        let arrivals = Arrivals::new(BOUNDS);
        let mut slow = Vec::new();
        for _ in 0..BOUNDS.count {
            slow.push(Box::pin(arrivals.read(endless(9))));
            assert!(poll_immediate(slow.last_mut().unwrap()).await.is_none());
        }
        let (message, _) = arrivals.read(whole(9)).await.unwrap();
        assert_eq!(message.len(), 9);
        let given_up = slow.remove(0).await;
        assert!(matches!(given_up, Err(Error::Overloaded)), "{given_up:?}");
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
        assert!(matches!(given_up, Err(Error::Overloaded)), "{given_up:?}");
        assert!(poll_immediate(&mut second).await.is_none());
    }

    #[tokio::test]
    async fn the_bytes_of_calls_that_are_served_count_until_their_ends() {
        let arrivals = Arrivals::new(BOUNDS);
        let served = [
            arrivals.read(whole(100)).await.unwrap(),
            arrivals.read(whole(100)).await.unwrap(),
        ];
        let refused = arrivals.read(whole(51)).await;
        assert!(matches!(refused, Err(Error::Overloaded)), "{refused:?}");
        arrivals.read(whole(50)).await.unwrap();
        drop(served);
        arrivals.read(whole(51)).await.unwrap();
        assert_eq!(arrivals.state().total, 0);
    }

    #[tokio::test]
    async fn a_message_that_is_too_large_is_refused_when_it_says_so() {
        let arrivals = Arrivals::new(BOUNDS);
        let says_so = stream::iter([Ok::<_, Infallible>(vec![0, 0, 0, 0, 101])]);
        let says_so = Body::from_stream(says_so.chain(stream::pending()));
        for message in [says_so, endless(PREFIX + 101)] {
            let refused = arrivals.read(message).await.unwrap_err();
            let is_told = matches!(refused, Error::Protocol(Reason::MessageTooLarge, ..));
            assert!(is_told, "{refused:?}");
        }
        arrivals.read(whole(PREFIX + 100)).await.unwrap();
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
