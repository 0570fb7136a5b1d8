//! The limit of concurrent calls.

use crate::error::Error;
use crate::fair_share::{Exceeded, FairShare, Share};
use crate::token_key::TokenKey;

/// A number of concurrent calls, a quarter of them for one token. Clones share
/// it.
#[derive(Debug, Clone)]
pub(super) struct ConcurrencyLimit(FairShare<TokenKey>);

/// One of the concurrent calls, until this is dropped.
pub(super) type Permit = Share<TokenKey>;

impl ConcurrencyLimit {
    pub(super) fn new(max_in_flight: usize) -> Self {
        Self(FairShare::new(max_in_flight))
    }

    /// Acquires the permit of a call. It never waits: a queue would only add
    /// its own delay.
    pub(super) fn try_acquire(&self, token: TokenKey) -> Result<Permit, Error> {
        self.0
            .acquire(Some(token), 1)
            .map_err(|exceeded| match exceeded {
                Exceeded::Total => Error::Overloaded,
                Exceeded::Share => Error::TokenConcurrency,
            })
    }
}
