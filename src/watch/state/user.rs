//! A user, as the watches of a token know them.

use std::time::SystemTime;

use crate::memory::MemoryLease;
use crate::proto::v1::UserPresence;
use crate::watch::mailbox::Currency;
use crate::watch::presence::{Latest, Order, compare, is_ahead};

/// A user whom a watch watches, or did until a moment ago.
#[derive(Debug)]
pub(in crate::watch) struct User {
    /// The id as it is sent to the vendor.
    pub id: String,
    /// The watches, each with the position of the user in it.
    pub(super) watchers: Vec<(u64, u32)>,
    /// Since when nobody watches the user, who is kept for a while.
    pub(super) kept_since: Option<tokio::time::Instant>,
    pub latest: Option<Latest>,
    /// Counts the notifications of the user.
    pub events: u64,
    /// Whether the vendor returned no presence.
    pub(super) is_missing: bool,
    pub(super) currency: Currency,
    /// The memory of a large presence.
    pub(super) lease: Option<MemoryLease>,
}

impl User {
    pub(super) fn new(id: String) -> Self {
        Self {
            id,
            watchers: Vec::new(),
            kept_since: None,
            latest: None,
            events: 0,
            is_missing: false,
            currency: Currency::Stale,
            lease: None,
        }
    }

    pub(in crate::watch) fn is_watched(&self) -> bool {
        !self.watchers.is_empty()
    }

    /// How a presence relates to the latest one that is known.
    pub(super) fn order(&self, presence: &UserPresence, now: SystemTime) -> Order {
        match &self.latest {
            Some(known) => compare(presence, &known.presence, now),
            None if is_ahead(presence, now) => Order::Unclear,
            None => Order::Later,
        }
    }
}
