//! A user, as the watches of a token know them.

use std::time::SystemTime;

use crate::memory::MemoryLease;
use crate::proto::v1::UserPresence;
use crate::watch::mailbox::Currency;
use crate::watch::presence::{Latest, Order, compare, is_ahead};

/// A user whom at least one watch watches.
#[derive(Debug)]
pub(in crate::watch) struct User {
    /// The id as it is sent to the vendor.
    pub id: String,
    /// The watches, each with the position of the user in it.
    pub(super) watchers: Vec<(u64, u32)>,
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
            latest: None,
            events: 0,
            is_missing: false,
            currency: Currency::Stale,
            lease: None,
        }
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
