//! The context of requests upstream. `src/context.rs` has that of a call.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;

use super::rate_limit::Reservation;
use crate::access_log::AccessLog;
use crate::credentials::Caller;
use crate::deadline::Deadline;
use crate::memory::MemoryLease;

/// The context of the requests that one call sends upstream.
#[derive(Debug, Clone)]
pub struct RequestContext {
    /// Whose token is forwarded.
    pub caller: Caller,
    /// When the call must have ended.
    pub deadline: Deadline,
    /// The call's entry in the access log.
    pub access_log: AccessLog,
    /// The memory that the call's responses take.
    pub memory: MemoryLease,
    /// Whether the client has retried the call, or a watch repeats its requests, so that
    /// they must not be retried besides.
    pub is_client_retry: bool,
    /// Whether the sender repeats a request itself, after delays of its own. It is attempted
    /// once, and a 429 to it delays no other request of the token.
    pub is_repeated_by_sender: bool,
    /// The call's reservations in the rate limiter.
    pub reservations: Reservations,
}

/// The reservations of a call that sends several requests. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Reservations(Arc<Mutex<VecDeque<Reservation>>>);

impl Reservations {
    /// Replaces the reservations that are left.
    pub(super) fn replace(&self, reservations: VecDeque<Reservation>) {
        *self.0.lock() = reservations;
    }

    /// Takes the next reservation, if one is left.
    pub(crate) fn take(&self) -> Option<Reservation> {
        self.0.lock().pop_front()
    }
}

impl From<Option<Reservation>> for Reservations {
    fn from(reservation: Option<Reservation>) -> Self {
        Self(Arc::new(Mutex::new(reservation.into_iter().collect())))
    }
}
