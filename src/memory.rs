//! The memory that messages and answers take, bounded for the whole process.
//!
//! Places bound how many calls there are, and this how much they hold: a few
//! calls of the largest size weigh as much as thousands of the usual one.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};

use crate::token_key::TokenKey;

/// How many bytes one byte on the wire becomes at most, in all its forms
/// together: as it came, as a message, and as it goes on. Measured: three.
const EXPANSION_FACTOR: usize = 4;

/// The part of it that the calls of one token may hold together, as its divisor.
const PER_TOKEN_DIVISOR: usize = 4;

/// So many bytes for all calls. Clones share them.
#[derive(Debug, Clone)]
pub struct MemoryLimit(Arc<Mutex<Ledger>>);

#[derive(Debug)]
struct Ledger {
    left: usize,
    share: usize,
    /// What the calls of each token hold together.
    tokens: HashMap<TokenKey, usize>,
}

/// What one call holds of it; given back when the last clone is dropped.
#[derive(Debug, Clone)]
pub struct MemoryLease(Arc<LeaseState>);

#[derive(Debug)]
struct LeaseState {
    memory: MemoryLimit,
    token: Option<TokenKey>,
    own: Mutex<Reserved>,
}

#[derive(Debug, Default)]
struct Reserved {
    /// What was taken from the account.
    bytes: usize,
    /// What of it is kept for what is still to come.
    ahead: usize,
}

/// There is not as much left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exhausted;

impl MemoryLimit {
    /// So many bytes for all calls together.
    #[must_use]
    pub fn new(bytes: usize) -> Self {
        Self(Arc::new(Mutex::new(Ledger {
            left: bytes,
            share: bytes / PER_TOKEN_DIVISOR,
            tokens: HashMap::new(),
        })))
    }

    /// What a call of this token holds that has just begun: nothing.
    #[must_use]
    pub fn lease(&self, token: Option<TokenKey>) -> MemoryLease {
        MemoryLease(Arc::new(LeaseState {
            memory: self.clone(),
            token,
            own: Mutex::default(),
        }))
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.0.lock()
    }
}

impl Ledger {
    /// Takes so many bytes for a call that holds `own` of them already.
    ///
    /// One token has a quarter, so that it leaves some to others; but a call
    /// that is its only one may have all, or a large one never could be made.
    fn take(&mut self, token: Option<TokenKey>, own: usize, bytes: usize) -> Result<(), Exhausted> {
        let left = self.left.checked_sub(bytes).ok_or(Exhausted)?;
        if let Some(token) = token {
            let held = self.tokens.entry(token).or_default();
            if *held > own && *held + bytes > self.share {
                return Err(Exhausted);
            }
            *held += bytes;
        }
        self.left = left;
        Ok(())
    }

    /// Whether half would be left, of all and of the token's share: for those
    /// who cannot wait.
    fn has_half_left(&self, token: Option<TokenKey>, bytes: usize) -> bool {
        let held = token.and_then(|token| self.tokens.get(&token));
        let held = held.copied().unwrap_or_default() + bytes;
        held <= self.share / 2 && self.left >= self.share * PER_TOKEN_DIVISOR / 2 + bytes
    }

    fn release(&mut self, token: Option<TokenKey>, bytes: usize) {
        self.left += bytes;
        let Some(token) = token else { return };
        if let Some(held) = self.tokens.get_mut(&token) {
            *held -= bytes;
            if *held == 0 {
                self.tokens.remove(&token);
            }
        }
    }
}

impl MemoryLease {
    /// Takes the room for so many bytes from the wire. Nothing is waited for:
    /// calls that wait for one another's memory would do so for ever.
    ///
    /// # Errors
    ///
    /// If all calls together would hold more than there is, or several of one
    /// token more than its share.
    pub fn reserve(&self, wire: usize) -> Result<(), Exhausted> {
        self.reserve_bytes(wire.saturating_mul(EXPANSION_FACTOR))
    }

    /// Takes room besides for what so many bytes from the wire become, where
    /// that is more than usual.
    ///
    /// # Errors
    ///
    /// As [`Self::reserve`].
    pub fn reserve_excess(&self, becomes: usize, wire: usize) -> Result<(), Exhausted> {
        self.reserve_bytes(becomes.saturating_sub(wire.saturating_mul(EXPANSION_FACTOR)))
    }

    /// What the same call holds for a while.
    #[must_use]
    pub fn sub_lease(&self) -> Self {
        self.0.memory.lease(self.0.token)
    }

    /// Takes the room ahead for so many bytes from the wire; what is taken
    /// later comes out of it.
    ///
    /// # Errors
    ///
    /// If less than half would be left, of all or of the token's share: who
    /// takes ahead can wait, and others cannot.
    pub fn prereserve(&self, wire: usize) -> Result<(), Exhausted> {
        let bytes = wire.saturating_mul(EXPANSION_FACTOR);
        let has_room = self.0.memory.ledger().has_half_left(self.0.token, bytes);
        if !has_room {
            return Err(Exhausted);
        }
        self.reserve_bytes(bytes)?;
        self.own().ahead += bytes;
        Ok(())
    }

    /// Gives back what was taken ahead and not used.
    pub fn release_unused(&self) {
        let mut own = self.own();
        let rest = std::mem::take(&mut own.ahead);
        own.bytes -= rest;
        if rest > 0 {
            self.0.memory.ledger().release(self.0.token, rest);
        }
    }

    fn reserve_bytes(&self, bytes: usize) -> Result<(), Exhausted> {
        let mut own = self.own();
        let ahead = own.ahead.min(bytes);
        let more = bytes - ahead;
        if more > 0 {
            let mut ledger = self.0.memory.ledger();
            ledger.take(self.0.token, own.bytes, more)?;
        }
        own.ahead -= ahead;
        own.bytes += more;
        Ok(())
    }

    fn own(&self) -> MutexGuard<'_, Reserved> {
        self.0.own.lock()
    }
}

impl Drop for LeaseState {
    fn drop(&mut self) {
        let own = self.own.get_mut();
        if own.bytes > 0 {
            self.memory.ledger().release(self.token, own.bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_call_took_is_there_for_others_when_its_last_clone_is_gone() {
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
    fn what_was_taken_ahead_is_there_for_what_comes_and_leaves_half_to_others() {
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
        assert_eq!(memory.ledger().left, 77 * EXPANSION_FACTOR);
        drop(one);
        assert_eq!(memory.ledger().left, 80 * EXPANSION_FACTOR);
        assert!(memory.ledger().tokens.is_empty());
    }

    #[test]
    fn a_size_that_no_machine_has_is_refused() {
        let held = MemoryLimit::new(1 << 20).lease(None);
        held.reserve(usize::MAX).unwrap_err();
        held.reserve(1).unwrap();
    }

    #[test]
    fn one_token_leaves_three_quarters_to_others_unless_it_is_for_one_call() {
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
        assert!(memory.ledger().tokens.is_empty());
        assert_eq!(memory.ledger().left, 100 * EXPANSION_FACTOR);
    }
}
