//! What a call is sent with.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::quota::Ticket;
use crate::credentials::Caller;
use crate::deadline::Deadline;
use crate::memory::Held;
use crate::record::Record;

/// What a call is sent with: whose token is forwarded, the time left, and
/// where it is noted what was done.
#[derive(Debug, Clone)]
pub struct Terms {
    /// Whose token is forwarded.
    pub caller: Caller,
    /// When the call must have been answered.
    pub deadline: Deadline,
    /// What is noted about the call.
    pub record: Record,
    /// What the call holds of the memory for answers.
    pub held: Held,
    /// Whether the client repeats the call by itself, so that nobody else should.
    pub is_repeated: bool,
    /// The turns that the call has reserved.
    pub reserved: Reserved,
}

/// Turns that are kept for a call of many requests, until the call has ended.
#[derive(Debug, Clone, Default)]
pub struct Reserved(Arc<Mutex<VecDeque<Ticket>>>);

impl Reserved {
    /// Keeps these turns instead of those that were left.
    pub(super) fn keep(&self, tickets: VecDeque<Ticket>) {
        *self.tickets() = tickets;
    }

    /// The next turn, if one is left.
    pub(crate) fn take(&self) -> Option<Ticket> {
        self.tickets().pop_front()
    }

    fn tickets(&self) -> MutexGuard<'_, VecDeque<Ticket>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl From<Option<Ticket>> for Reserved {
    fn from(ticket: Option<Ticket>) -> Self {
        Self(Arc::new(Mutex::new(ticket.into_iter().collect())))
    }
}
