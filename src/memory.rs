//! Limits the memory that messages and responses take in the process.
//!
//! Permits limit the number of calls, this limits their size: a few calls of the
//! largest size take as much as thousands of the usual size.
//!
//! Decision: docs/decisions/0008-memory-limit.md.

use std::sync::Arc;

use parking_lot::Mutex;

use crate::fair_share::{Exceeded, FairShare, Share};
use crate::token_key::TokenKey;

/// How many bytes of memory are charged for one byte on the wire, for all its
/// forms together: as received, as a message, and as sent on. Measured: three.
pub(crate) const EXPANSION_FACTOR: usize = 4;

/// A number of bytes, a quarter of them for one holder. Clones share it.
#[derive(Debug, Clone)]
pub struct MemoryLimit(FairShare<Holder>);

/// What a share of the memory belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Holder {
    /// The calls of one token.
    Token(TokenKey),
    /// The messages that are still arriving, so that slow senders never hold
    /// more than a quarter together.
    Arriving,
}

/// The bytes that one call holds; released with its last clone.
#[derive(Debug, Clone)]
pub struct MemoryLease(Arc<Mutex<Reserved>>);

#[derive(Debug)]
struct Reserved {
    share: Share<Holder>,
    /// The part of the share that is reserved early and not used yet.
    unused: usize,
}

impl MemoryLimit {
    /// A limit for all calls together.
    #[must_use]
    pub fn new(bytes: usize) -> Self {
        Self(FairShare::new(bytes))
    }

    /// The lease of a call with this token, which holds nothing yet.
    #[must_use]
    pub fn lease(&self, token: Option<TokenKey>) -> MemoryLease {
        MemoryLease::new(self.0.share(token.map(Holder::Token)))
    }

    /// The share of a message that begins to arrive, which holds nothing yet. Its
    /// bytes have one form so far, and are charged once.
    #[must_use]
    pub fn arriving(&self) -> Share<Holder> {
        self.0.share(Some(Holder::Arriving))
    }
}

impl MemoryLease {
    fn new(share: Share<Holder>) -> Self {
        Self(Arc::new(Mutex::new(Reserved { share, unused: 0 })))
    }

    /// Reserves memory for `wire` bytes on the wire.
    ///
    /// # Errors
    ///
    /// If not as much is free, or if several calls of one token would hold more
    /// than a quarter.
    pub fn reserve(&self, wire: usize) -> Result<(), Exceeded> {
        self.0.lock().take(wire.saturating_mul(EXPANSION_FACTOR))
    }

    /// Reserves memory for `wire` bytes on the wire, if `room` more are free.
    ///
    /// # Errors
    ///
    /// As [`Self::reserve`].
    pub fn reserve_leaving(&self, wire: usize, room: usize) -> Result<(), Exceeded> {
        self.reserve(wire.saturating_add(room))?;
        self.release(room);
        Ok(())
    }

    /// Releases the memory for `wire` bytes on the wire that were reserved, and are
    /// not kept.
    pub fn release(&self, wire: usize) {
        let bytes = wire.saturating_mul(EXPANSION_FACTOR);
        self.0.lock().share.shrink(bytes);
    }

    /// Reserves the rest for a body of `wire` bytes that takes `decoded` bytes when
    /// it is decoded, if that is more than `EXPANSION_FACTOR` covers.
    ///
    /// # Errors
    ///
    /// As [`Self::reserve`].
    pub fn reserve_excess(&self, decoded: usize, wire: usize) -> Result<(), Exceeded> {
        let excess = decoded.saturating_sub(wire.saturating_mul(EXPANSION_FACTOR));
        self.0.lock().take(excess)
    }

    /// A lease of the same token for a part of the call, which holds nothing yet.
    #[must_use]
    pub fn sub_lease(&self) -> Self {
        Self::new(self.0.lock().share.sibling())
    }

    /// Reserves memory for `wire` bytes that are still to arrive. Later calls of
    /// [`Self::reserve`] use it up first.
    ///
    /// # Errors
    ///
    /// If less than half would be free, of the total or of the token's share: a
    /// batch that reserves early can wait, and other calls cannot.
    pub fn prereserve(&self, wire: usize) -> Result<(), Exceeded> {
        let bytes = wire.saturating_mul(EXPANSION_FACTOR);
        let mut reserved = self.0.lock();
        reserved.take_spare(bytes)?;
        reserved.unused += bytes;
        Ok(())
    }

    /// Reserves memory for `wire` bytes that save time and nobody waits for.
    ///
    /// # Errors
    ///
    /// As [`Self::prereserve`].
    pub fn reserve_spare(&self, wire: usize) -> Result<(), Exceeded> {
        let bytes = wire.saturating_mul(EXPANSION_FACTOR);
        self.0.lock().take_spare(bytes)
    }

    /// Releases the memory that was reserved early and not used.
    pub fn release_unused(&self) {
        let mut reserved = self.0.lock();
        let unused = std::mem::take(&mut reserved.unused);
        reserved.share.shrink(unused);
    }
}

impl Reserved {
    /// Takes from the memory that was reserved early, and acquires the rest.
    fn take(&mut self, bytes: usize) -> Result<(), Exceeded> {
        let used = self.unused.min(bytes);
        self.share.grow(bytes - used)?;
        self.unused -= used;
        Ok(())
    }

    /// Acquires memory if half stays free.
    fn take_spare(&mut self, bytes: usize) -> Result<(), Exceeded> {
        if !self.share.leaves_half(bytes) {
            return Err(Exceeded::Total);
        }
        self.take(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_memory_of_a_call_is_released_with_the_last_clone_of_its_lease() {
        let memory = MemoryLimit::new(100 * EXPANSION_FACTOR);
        let one = memory.lease(None);
        one.reserve(60).unwrap();
        let another = memory.lease(None);
        another.reserve(41).unwrap_err();
        another.reserve(40).unwrap();
        another.reserve(1).unwrap_err();
        let clone = one.clone();
        drop(one);
        another.reserve(1).unwrap_err();
        drop(clone);
        another.reserve(60).unwrap();
        another.reserve(1).unwrap_err();
        drop(another);
        memory.lease(None).reserve(100).unwrap();
    }

    #[test]
    fn a_prereservation_covers_later_ones_and_leaves_half_of_the_memory_free() {
        let memory = MemoryLimit::new(80 * EXPANSION_FACTOR);
        let token = |name: &str| Some(TokenKey::new(&name.parse().unwrap()));
        let one = memory.lease(token("Bearer a"));
        one.prereserve(11).unwrap_err();
        one.prereserve(10).unwrap();
        memory.lease(token("Bearer a")).prereserve(1).unwrap_err();
        let other = memory.lease(token("Bearer b"));
        other.reserve(40).unwrap();
        memory.lease(token("Bearer c")).prereserve(1).unwrap_err();
        other.reserve(30).unwrap();
        other.reserve(1).unwrap_err();
        one.reserve(10).unwrap();
        one.reserve(1).unwrap_err();
        drop(other);
        one.reserve(2).unwrap();
        drop(one);
        let one = memory.lease(token("Bearer a"));
        one.prereserve(10).unwrap();
        one.reserve(3).unwrap();
        one.release_unused();
        assert_eq!(memory.0.usage(), (77 * EXPANSION_FACTOR, 1));
        drop(one);
        assert_eq!(memory.0.usage(), (80 * EXPANSION_FACTOR, 0));
    }

    #[test]
    fn a_huge_reservation_fails_without_overflow() {
        let lease = MemoryLimit::new(1 << 20).lease(None);
        lease.reserve(usize::MAX).unwrap_err();
        lease.reserve(1).unwrap();
    }

    #[test]
    fn the_calls_of_one_token_share_a_quarter_of_the_memory() {
        let token = |name: &str| Some(TokenKey::new(&name.parse().unwrap()));
        let memory = MemoryLimit::new(100 * EXPANSION_FACTOR);
        let one = memory.lease(token("Bearer a"));
        one.reserve(20).unwrap();
        let second = memory.lease(token("Bearer a"));
        second.reserve(6).unwrap_err();
        second.reserve(5).unwrap();
        one.reserve(1).unwrap_err();
        let other = memory.lease(token("Bearer b"));
        other.reserve(70).unwrap();
        other.reserve(5).unwrap();
        other.reserve(1).unwrap_err();
        drop((one, second, other));
        assert_eq!(memory.0.usage(), (100 * EXPANSION_FACTOR, 0));
    }

    #[test]
    fn arriving_messages_share_a_quarter_of_the_memory() {
        let memory = MemoryLimit::new(100);
        let (mut first, mut second) = (memory.arriving(), memory.arriving());
        first.grow(20).unwrap();
        second.grow(6).unwrap_err();
        second.grow(5).unwrap();
        memory.lease(None).reserve(75 / EXPANSION_FACTOR).unwrap();
        drop((first, second));
        assert_eq!(memory.0.usage(), (100, 0));
    }
}
