//! The messages of calls on their way: read before a call takes a place, and
//! bounded in number, in bytes and in time.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::limits::REQUEST_BODY_TIMEOUT;
use crate::error::Error;

/// What stands before a message: whether it is compressed, and its length.
pub(super) const PREFIX: usize = 5;

/// The messages on their way. Clones are the same ones.
///
/// Where there are too many, the one that has been on its way for the longest
/// is given up: those who mean well send theirs at once, so that nobody keeps
/// them out with messages that do not end.
#[derive(Debug, Clone)]
pub(super) struct RequestBuffers {
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
    _keep: oneshot::Sender<()>,
}

/// One message on its way, counted until this is dropped.
#[derive(Debug)]
struct Slot {
    buffers: RequestBuffers,
    number: u64,
}

impl RequestBuffers {
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
        let (slot, evicted) = self.begin();
        let mut read = BytesMut::new();
        let whole = async {
            while let Some(frame) = body.frame().await {
                let frame = frame.map_err(|_| {
                    // Nobody reads it: the caller that breaks a message off has left its stream.
                    Error::Malformed("it broke off".to_owned())
                })?;
                // Trailers, which no caller sends, say nothing to us.
                let Ok(data) = frame.into_data() else {
                    continue;
                };
                slot.grow(data.len())?;
                // Not the frame itself: a small one may hold a large buffer.
                read.extend_from_slice(&data);
                if let Some(length) = declared_len(&read) {
                    if length > self.bounds.message {
                        return Err(Error::MessageTooLarge(self.bounds.message));
                    }
                    if read.len() > PREFIX + length {
                        return Err(Error::ExtraMessage);
                    }
                }
            }
            Ok(())
        };
        let whole = tokio::select! {
            biased;
            _ = evicted => Err(Error::MemoryExhausted),
            whole = timeout(REQUEST_BODY_TIMEOUT, whole) => {
                whole.unwrap_or(Err(Error::MessageLate(REQUEST_BODY_TIMEOUT)))
            },
        };
        whole.map(|()| read.freeze())
    }

    /// Waits for `body`, counted as a message on its way, for as long as one has.
    pub(super) async fn wait(&self, body: impl Future<Output = ()>) {
        let (_slot, evicted) = self.begin();
        tokio::select! {
            biased;
            _ = evicted => {}
            _ = timeout(REQUEST_BODY_TIMEOUT, body) => {}
        }
    }

    fn begin(&self) -> (Slot, oneshot::Receiver<()>) {
        let (keep, evicted) = oneshot::channel();
        let mut state = self.state();
        let number = state.next;
        state.next += 1;
        let waiting = Waiting {
            bytes: 0,
            _keep: keep,
        };
        state.waiting.insert(number, waiting);
        if state.waiting.len() > self.bounds.count {
            state.evict();
        }
        let buffers = self.clone();
        (Slot { buffers, number }, evicted)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}

impl State {
    /// Gives up the message that has been on its way for the longest.
    fn evict(&mut self) {
        if let Some((_, waiting)) = self.waiting.pop_first() {
            self.total -= waiting.bytes;
        }
    }
}

impl Slot {
    fn grow(&self, bytes: usize) -> Result<(), Error> {
        let mut state = self.buffers.state();
        let waiting = state.waiting.get_mut(&self.number);
        waiting.ok_or(Error::MemoryExhausted)?.bytes += bytes;
        state.total += bytes;
        while state.total > self.buffers.bounds.total && !state.waiting.is_empty() {
            state.evict();
        }
        let keep = state.waiting.contains_key(&self.number);
        keep.then_some(()).ok_or(Error::MemoryExhausted)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut state = self.buffers.state();
        if let Some(waiting) = state.waiting.remove(&self.number) {
            state.total -= waiting.bytes;
        }
    }
}

/// How long the message is, as its prefix says.
fn declared_len(read: &[u8]) -> Option<usize> {
    let length = read.get(1..PREFIX)?.try_into().ok()?;
    usize::try_from(u32::from_be_bytes(length)).ok()
}

#[cfg(test)]
mod tests;
