//! Buffers of request messages that are still arriving. A call gets its permit
//! when its message is complete, so that a slow sender holds none.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::limits::REQUEST_BODY_TIMEOUT;
use crate::error::Error;
use crate::fair_share::Share;
use crate::memory::{Holder, MemoryLimit};

/// What precedes a gRPC message: whether it is compressed, and its length.
pub(super) const PREFIX: usize = 5;

/// The messages that are arriving. Clones share them.
///
/// If there are too many, or too many bytes of them, the oldest is evicted.
/// Well-behaved callers send their messages at once, so that slow senders
/// cannot lock them out.
#[derive(Debug, Clone)]
pub(super) struct RequestBuffers {
    /// The number of messages.
    count: usize,
    /// The bytes of one message.
    max_message: usize,
    /// The memory that they are charged to, unless the two others suffice.
    memory: Option<MemoryLimit>,
    slots: Arc<Mutex<Slots>>,
}

#[derive(Debug, Default)]
struct Slots {
    next: u64,
    /// In the order in which they began.
    open: BTreeMap<u64, OpenSlot>,
}

#[derive(Debug)]
struct OpenSlot {
    memory: Option<Share<Holder>>,
    /// Dropped on eviction, which the reader of the message notices.
    _keep: oneshot::Sender<()>,
}

/// One message that is arriving, until this is dropped.
#[derive(Debug)]
struct Slot<'a> {
    slots: &'a Mutex<Slots>,
    number: u64,
}

impl RequestBuffers {
    pub(super) fn new(count: usize, max_message: usize, memory: Option<MemoryLimit>) -> Self {
        Self {
            count,
            max_message,
            memory,
            slots: Arc::default(),
        }
    }

    /// Reads the message of a call, and the end of the call's body after it.
    ///
    /// Returns an incomplete message as it is: tonic reports what is wrong.
    ///
    /// # Errors
    ///
    /// If the message is too large, late, evicted, or followed by another.
    pub(super) async fn read(&self, mut body: Body) -> Result<Bytes, Error> {
        let (slot, evicted) = self.begin();
        let mut buffer = BytesMut::new();
        let read = async {
            while let Some(frame) = body.frame().await {
                // Nobody reads this status: a caller that breaks a message off
                // has reset its stream.
                let frame = frame.map_err(|_| Error::Malformed("it broke off".to_owned()))?;
                // Trailers, which no client sends, are ignored.
                let Ok(data) = frame.into_data() else {
                    continue;
                };
                slot.grow(data.len())?;
                // Copied, because a small frame may hold a large buffer.
                buffer.extend_from_slice(&data);
                if let Some(length) = declared_len(&buffer) {
                    if length > self.max_message {
                        return Err(Error::MessageTooLarge(self.max_message));
                    }
                    if buffer.len() > PREFIX + length {
                        return Err(Error::ExtraMessage);
                    }
                }
            }
            Ok(())
        };
        let read = tokio::select! {
            biased;
            _ = evicted => Err(Error::MessageEvicted),
            read = timeout(REQUEST_BODY_TIMEOUT, read) => {
                read.unwrap_or(Err(Error::MessageLate(REQUEST_BODY_TIMEOUT)))
            },
        };
        read.map(|()| buffer.freeze())
    }

    /// Waits for `body` in a slot, at most as long as a message may arrive.
    pub(super) async fn wait(&self, body: impl Future<Output = ()>) {
        let (_slot, evicted) = self.begin();
        tokio::select! {
            biased;
            _ = evicted => {}
            _ = timeout(REQUEST_BODY_TIMEOUT, body) => {}
        }
    }

    fn begin(&self) -> (Slot<'_>, oneshot::Receiver<()>) {
        let (keep, evicted) = oneshot::channel();
        let mut slots = self.slots.lock();
        let number = slots.next;
        slots.next += 1;
        let slot = OpenSlot {
            memory: self.memory.as_ref().map(MemoryLimit::arriving),
            _keep: keep,
        };
        slots.open.insert(number, slot);
        if slots.open.len() > self.count {
            slots.open.pop_first();
        }
        let slots = &self.slots;
        (Slot { slots, number }, evicted)
    }
}

impl Slot<'_> {
    /// Charges more bytes, and evicts the oldest messages until they fit.
    fn grow(&self, bytes: usize) -> Result<(), Error> {
        let mut slots = self.slots.lock();
        while let Some(slot) = slots.open.get_mut(&self.number) {
            let memory = slot.memory.as_mut();
            if memory.is_none_or(|memory| memory.grow(bytes).is_ok()) {
                return Ok(());
            }
            slots.open.pop_first();
        }
        Err(Error::MessageEvicted)
    }
}

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        self.slots.lock().open.remove(&self.number);
    }
}

/// The length of a message, as its prefix declares it.
fn declared_len(read: &[u8]) -> Option<usize> {
    let length = read.get(1..PREFIX)?.try_into().ok()?;
    usize::try_from(u32::from_be_bytes(length)).ok()
}

#[cfg(test)]
mod tests;
