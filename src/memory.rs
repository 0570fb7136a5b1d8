//! The memory that messages and answers take, bounded for the whole process.
//!
//! Places bound how many calls there are, and this how much they hold: a few
//! calls of the largest size weigh as much as thousands of the usual one.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// How many bytes one byte on the wire becomes at most, in all its forms
/// together: as it came, as a message, and as it goes on. Measured: three.
const FORMS: usize = 4;

/// So many bytes for all calls. Clones share them.
#[derive(Debug, Clone)]
pub struct Memory(Arc<AtomicUsize>);

/// What one call holds of it; given back when the last clone is dropped.
#[derive(Debug, Clone)]
pub struct Held(Arc<Holding>);

#[derive(Debug)]
struct Holding {
    memory: Memory,
    bytes: AtomicUsize,
}

/// There is not as much left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full;

impl Memory {
    /// So many bytes for all calls together.
    #[must_use]
    pub fn new(bytes: usize) -> Self {
        Self(Arc::new(AtomicUsize::new(bytes)))
    }

    /// What a call holds that has just begun: nothing.
    #[must_use]
    pub fn held(&self) -> Held {
        Held(Arc::new(Holding {
            memory: self.clone(),
            bytes: AtomicUsize::new(0),
        }))
    }
}

impl Held {
    /// Takes the room for so many bytes from the wire. Nothing is waited for:
    /// calls that wait for one another's memory would do so for ever.
    ///
    /// # Errors
    ///
    /// If all calls together would hold more than there is.
    pub fn take(&self, wire: usize) -> Result<(), Full> {
        let bytes = wire.saturating_mul(FORMS);
        let left = &self.0.memory.0;
        left.try_update(Relaxed, Relaxed, |left| left.checked_sub(bytes))
            .map_err(|_| Full)?;
        self.0.bytes.fetch_add(bytes, Relaxed);
        Ok(())
    }
}

impl Drop for Holding {
    fn drop(&mut self) {
        self.memory.0.fetch_add(*self.bytes.get_mut(), Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_call_took_is_there_for_others_when_its_last_clone_is_gone() {
        let memory = Memory::new(100 * FORMS);
        let one = memory.held();
        one.take(60).unwrap();
        let another = memory.held();
        another.take(41).unwrap_err();
        another.take(40).unwrap();
        another.take(1).unwrap_err();
        let clone = one.clone();
        drop(one);
        another.take(1).unwrap_err();
        drop(clone);
        another.take(60).unwrap();
        another.take(1).unwrap_err();
        drop(another);
        memory.held().take(100).unwrap();
    }

    #[test]
    fn a_size_that_no_machine_has_is_refused() {
        let held = Memory::new(1 << 20).held();
        held.take(usize::MAX).unwrap_err();
        held.take(1).unwrap();
    }
}
