//! What a call is sent with.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};

use super::rate_limit::Reservation;
use crate::access_log::AccessLog;
use crate::credentials::Caller;
use crate::deadline::Deadline;
use crate::memory::MemoryLease;

/// What a call is sent with: whose token is forwarded, the time left, and
/// where it is noted what was done.
#[derive(Debug, Clone)]
pub struct RequestContext {
    /// Whose token is forwarded.
    pub caller: Caller,
    /// When the call must have been answered.
    pub deadline: Deadline,
    /// What is noted about the call.
    pub access_log: AccessLog,
    /// What the call holds of the memory for answers.
    pub memory: MemoryLease,
    /// Whether the client repeats the call by itself, so that nobody else should.
    pub is_retry: bool,
    /// The turns that the call has reserved.
    pub reservations: Reservations,
}

/// Turns that are kept for a call of many requests, until the call has ended.
#[derive(Debug, Clone, Default)]
pub struct Reservations(Arc<Mutex<VecDeque<Reservation>>>);

impl Reservations {
    /// Keeps these turns instead of those that were left.
    pub(super) fn keep(&self, tickets: VecDeque<Reservation>) {
        *self.tickets() = tickets;
    }

    /// The next turn, if one is left.
    pub(crate) fn take(&self) -> Option<Reservation> {
        self.tickets().pop_front()
    }

    fn tickets(&self) -> MutexGuard<'_, VecDeque<Reservation>> {
        self.0.lock()
    }
}

impl From<Option<Reservation>> for Reservations {
    fn from(ticket: Option<Reservation>) -> Self {
        Self(Arc::new(Mutex::new(ticket.into_iter().collect())))
    }
}
