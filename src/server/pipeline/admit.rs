//! Admits a call: a permit, and the memory of its message.

use crate::credentials::Caller;
use crate::error::Error;
use crate::memory::{MemoryLease, MemoryLimit};
use crate::server::concurrency_limit::{ConcurrencyLimit, Permit};

/// Takes a permit, and the memory of a message of this size, without waiting.
///
/// # Errors
///
/// If the gateway, or the share of the caller's token, has not enough of one.
pub(super) fn admit(
    concurrency: &ConcurrencyLimit,
    memory: &MemoryLimit,
    caller: &Caller,
    size: usize,
) -> Result<(Permit, MemoryLease), Error> {
    let permit = concurrency.try_acquire(caller.key())?;
    let lease = memory.lease(Some(caller.key()));
    lease.reserve(size).map_err(|_| Error::MemoryExhausted)?;
    Ok((permit, lease))
}
