//! Divides a total fairly: several keys acquire amounts of it, and each holds at
//! most its share.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use foldhash::fast::RandomState;
use parking_lot::Mutex;

/// The part of the total that one key may hold, as its divisor.
const PER_KEY_DIVISOR: usize = 4;

/// A total. Clones share it.
#[derive(Debug, Clone)]
pub struct FairShare<K: Copy + Eq + Hash>(Arc<Mutex<State<K>>>);

#[derive(Debug)]
struct State<K> {
    total: usize,
    free: usize,
    /// Each call asks it several times, so its hashes are not cryptographic ones.
    by_key: HashMap<K, usize, RandomState>,
}

/// An amount that is held, and released when this is dropped.
#[derive(Debug)]
pub struct Share<K: Copy + Eq + Hash> {
    limit: FairShare<K>,
    key: Option<K>,
    amount: usize,
}

/// Why an amount cannot be acquired.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exceeded {
    /// Less of the total is free.
    Total,
    /// The key would hold more than its share.
    Share,
}

impl<K: Copy + Eq + Hash> FairShare<K> {
    /// A total of which nothing is held.
    #[must_use]
    pub fn new(total: usize) -> Self {
        Self(Arc::new(Mutex::new(State {
            total,
            free: total,
            by_key: HashMap::default(),
        })))
    }

    /// A share that holds nothing yet. Without a key, only the total limits it.
    #[must_use]
    pub fn share(&self, key: Option<K>) -> Share<K> {
        Share {
            limit: self.clone(),
            key,
            amount: 0,
        }
    }

    /// Acquires `amount`. It never waits.
    ///
    /// # Errors
    ///
    /// As [`Share::grow`].
    pub fn acquire(&self, key: Option<K>, amount: usize) -> Result<Share<K>, Exceeded> {
        let mut share = self.share(key);
        share.grow(amount)?;
        Ok(share)
    }

    /// The total.
    #[must_use]
    pub fn total(&self) -> usize {
        self.0.lock().total
    }

    /// How much of the total is held.
    #[must_use]
    pub fn held(&self) -> usize {
        let state = self.0.lock();
        state.total - state.free
    }

    /// How much of the total is free, and how many keys hold some of it.
    #[cfg(test)]
    pub(crate) fn usage(&self) -> (usize, usize) {
        let state = self.0.lock();
        (state.free, state.by_key.len())
    }
}

impl<K: Copy + Eq + Hash> Share<K> {
    /// Another share of the same key, which holds nothing yet.
    #[must_use]
    pub fn sibling(&self) -> Self {
        self.limit.share(self.key)
    }

    /// Acquires `amount` more. It never waits: shares that wait for one another
    /// would deadlock.
    ///
    /// # Errors
    ///
    /// If less of the total is free, or if several shares of one key would hold
    /// more than a quarter. The only share of a key may hold all: a large one
    /// could never be acquired otherwise.
    pub fn grow(&mut self, amount: usize) -> Result<(), Exceeded> {
        if amount == 0 {
            return Ok(());
        }
        let mut state = self.limit.0.lock();
        let free = state.free.checked_sub(amount).ok_or(Exceeded::Total)?;
        if let Some(key) = self.key {
            let max = state.total / PER_KEY_DIVISOR;
            let held = state.by_key.entry(key).or_default();
            if *held > self.amount && *held + amount > max {
                return Err(Exceeded::Share);
            }
            *held += amount;
        }
        state.free = free;
        self.amount += amount;
        Ok(())
    }

    /// Whether half of the total and half of the key's share would be free after
    /// `amount` more. Callers that can wait acquire only then.
    #[must_use]
    pub fn leaves_half(&self, amount: usize) -> bool {
        let state = self.limit.0.lock();
        let held = self.key.and_then(|key| state.by_key.get(&key));
        let held = held.copied().unwrap_or_default() + amount;
        held <= state.total / PER_KEY_DIVISOR / 2 && state.free >= state.total / 2 + amount
    }

    /// Releases a part of what is held.
    pub fn shrink(&mut self, amount: usize) {
        let amount = amount.min(self.amount);
        if amount == 0 {
            return;
        }
        self.amount -= amount;
        let mut state = self.limit.0.lock();
        state.free += amount;
        let Some(key) = self.key else { return };
        if let Some(held) = state.by_key.get_mut(&key) {
            *held -= amount;
            if *held == 0 {
                state.by_key.remove(&key);
            }
        }
    }
}

impl<K: Copy + Eq + Hash> Drop for Share<K> {
    fn drop(&mut self) {
        self.shrink(self.amount);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_that_holds_nothing_leaves_no_key_behind() {
        let limit = FairShare::new(100);
        drop(limit.acquire(Some("token"), 0).unwrap());
        assert_eq!(limit.usage(), (100, 0));
    }
}
