//! What a request is sent with.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;

use super::rate_limit::Reservation;
use crate::access_log::AccessLog;
use crate::credentials::Caller;
use crate::deadline::Deadline;
use crate::memory::MemoryLease;

/// What the requests of one call are sent with.
#[derive(Debug, Clone)]
pub struct RequestContext {
    /// Whose token is forwarded.
    pub caller: Caller,
    /// When the call must have been answered.
    pub deadline: Deadline,
    /// The call's entry in the access log.
    pub access_log: AccessLog,
    /// The memory that the call's responses take.
    pub memory: MemoryLease,
    /// Whether the client retries the call by itself, so that the gateway must not.
    pub is_client_retry: bool,
    /// The call's reservations in the rate limiter.
    pub reservations: Reservations,
}

/// The reservations of a call of several requests. Clones share them.
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
