//! Limits the request bodies that are arriving, and reads them. A call gets its
//! permit when its message is complete, so that a slow sender holds none.

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

/// The length of the prefix of a gRPC message: a byte that says whether the
/// message is compressed, and four bytes with its length.
pub(super) const PREFIX_LEN: usize = 5;

/// The request bodies that are arriving, each in a slot. Clones share the slots.
///
/// If there are too many bodies, or too many bytes of them, the oldest is
/// evicted. Most callers send their messages at once, so that slow senders
/// evict each other and not them.
#[derive(Debug, Clone)]
pub(super) struct RequestBodies {
    /// The most bodies at once.
    count: usize,
    /// The most bytes of one message.
    max_message: usize,
    /// The memory that the messages are charged to; `None` if the two other limits
    /// suffice.
    memory: Option<MemoryLimit>,
    slots: Arc<Mutex<Slots>>,
}

#[derive(Debug, Default)]
struct Slots {
    next: u64,
    /// By number, so that the first is the oldest.
    open: BTreeMap<u64, OpenSlot>,
}

#[derive(Debug)]
struct OpenSlot {
    memory: Option<Share<Holder>>,
    /// Dropped on eviction, which the reader of the message notices.
    _keep: oneshot::Sender<()>,
}

/// The slot of one body, which is released when this is dropped.
#[derive(Debug)]
struct Slot<'a> {
    slots: &'a Mutex<Slots>,
    number: u64,
}

impl RequestBodies {
    pub(super) fn new(count: usize, max_message: usize, memory: Option<MemoryLimit>) -> Self {
        Self {
            count,
            max_message,
            memory,
            slots: Arc::default(),
        }
    }

    /// Reads the only message of a call, up to the end of its body.
    ///
    /// Returns an incomplete message as it is: tonic rejects it with the reason.
    ///
    /// # Errors
    ///
    /// If the message is too large, late, evicted, or followed by another.
    pub(super) async fn read(&self, mut body: Body) -> Result<Bytes, Error> {
        let (slot, evicted) = self.open_slot();
        let mut buffer = BytesMut::new();
        let read = async {
            while let Some(frame) = body.frame().await {
                // Nobody reads this status: the caller has reset its stream, or
                // its connection broke.
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
                    if buffer.len() > PREFIX_LEN + length {
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

    /// Runs `body` in a slot, until the slot is evicted or [`REQUEST_BODY_TIMEOUT`]
    /// has passed.
    pub(super) async fn run_in_slot(&self, body: impl Future<Output = ()>) {
        let (_slot, evicted) = self.open_slot();
        tokio::select! {
            biased;
            _ = evicted => {}
            _ = timeout(REQUEST_BODY_TIMEOUT, body) => {}
        }
    }

    fn open_slot(&self) -> (Slot<'_>, oneshot::Receiver<()>) {
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
    let length = read.get(1..PREFIX_LEN)?.try_into().ok()?;
    usize::try_from(u32::from_be_bytes(length)).ok()
}

#[cfg(test)]
mod tests;
