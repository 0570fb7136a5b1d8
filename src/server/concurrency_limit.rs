//! The permits of the calls in flight: so many in all, and a quarter of them
//! for one token at most.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::Error;
use crate::token_key::TokenKey;

/// The part of all permits that one token may hold, as its divisor.
const PER_TOKEN_DIVISOR: usize = 4;

/// All permits. Clones are the same ones.
#[derive(Debug, Clone)]
pub(super) struct ConcurrencyLimit {
    all: Arc<Semaphore>,
    share: usize,
    held: Arc<Mutex<HashMap<TokenKey, usize>>>,
}

/// A place that a call holds; given back when it is dropped.
#[derive(Debug)]
pub(super) struct Permit {
    _place: OwnedSemaphorePermit,
    _holder: Option<TokenPermit>,
}

#[derive(Debug)]
struct TokenPermit {
    token: TokenKey,
    held: Arc<Mutex<HashMap<TokenKey, usize>>>,
}

impl ConcurrencyLimit {
    pub(super) fn new(count: usize) -> Self {
        Self {
            all: Arc::new(Semaphore::new(count)),
            share: (count / PER_TOKEN_DIVISOR).max(1),
            held: Arc::default(),
        }
    }

    /// Takes a place for a call with this token. Nothing is waited for.
    pub(super) fn try_acquire(&self, token: Option<TokenKey>) -> Result<Permit, Error> {
        let place = Arc::clone(&self.all).try_acquire_owned();
        let place = place.map_err(|_| Error::Overloaded)?;
        let holder = token.map(|token| self.hold(token)).transpose()?;
        Ok(Permit {
            _place: place,
            _holder: holder,
        })
    }

    fn hold(&self, token: TokenKey) -> Result<TokenPermit, Error> {
        let mut held = self.held.lock();
        let count = held.entry(token).or_default();
        if *count >= self.share {
            return Err(Error::TokenConcurrency);
        }
        *count += 1;
        Ok(TokenPermit {
            token,
            held: Arc::clone(&self.held),
        })
    }
}

impl Drop for TokenPermit {
    fn drop(&mut self) {
        let mut held = self.held.lock();
        if let Some(count) = held.get_mut(&self.token) {
            *count -= 1;
            if *count == 0 {
                held.remove(&self.token);
            }
        }
    }
}
