//! What is known of the users of the watches of one token, and which watches watch
//! them. It has no clock and sends nothing.

mod members;
mod user;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::SystemTime;

use prost::Message;

use super::mailbox::{Currency, Mailbox};
use super::presence::{Latest, Order, is_too_old};
use super::serve::ROOM_FOR_READS;
use crate::error::{Error, Failure};
use crate::memory::MemoryLease;
use crate::proto::v1::UserPresence;
use crate::proto::v1::user_presence_change::Cause;
use crate::telemetry::WatchCounts;
use crate::watch::users::{UserMap, UserSet};

use members::Kept;
pub(super) use user::User;

/// The bytes of a presence that are part of what a watch reserves for each user. A larger
/// one is charged by itself.
const COVERED_PRESENCE: usize = 512;

/// The users and the watches of one token.
#[derive(Debug)]
pub(super) struct State {
    pub users: UserMap<User>,
    pub watches: HashMap<u64, Mailbox>,
    next_watch: u64,
    /// Users whom the task has not seen as watched yet, and whom nobody watches any more.
    pub joined: Vec<Arc<str>>,
    pub left: Vec<Arc<str>>,
    /// Users whom nobody watches, and who are kept for those who come back.
    kept: Kept,
    /// Users whose presence must be read, because a notification does not have it.
    pub unclear: UserSet,
    /// Why a watch is not live, or a read is late.
    pub why: Option<Failure>,
    /// How many users are polled.
    pub polled: usize,
    counts: WatchCounts,
    /// Where the memory for large presences is reserved.
    memory: MemoryLease,
}

impl State {
    pub(super) fn new(memory: MemoryLease, counts: WatchCounts) -> Self {
        Self {
            users: UserMap::default(),
            watches: HashMap::new(),
            next_watch: 0,
            joined: Vec::new(),
            left: Vec::new(),
            kept: Kept::new(memory.sub_lease()),
            unclear: UserSet::default(),
            why: None,
            polled: 0,
            counts,
            memory,
        }
    }

    /// Ends all watches.
    pub(super) fn end_all(&mut self, failure: &Failure) {
        for mailbox in self.watches.values_mut() {
            mailbox.end(failure.clone());
        }
    }

    /// Takes over a presence of a notification.
    pub(super) fn notify(&mut self, key: &str, presence: UserPresence, now: SystemTime) {
        let Some(user) = self.users.get_mut(key) else {
            return;
        };
        user.events += 1;
        let is_believed = !is_too_old(&presence, now);
        match user.order(&presence, now) {
            Order::Later if is_believed || user.latest.is_some() => {
                self.set(key, presence, Cause::Change);
            }
            Order::Same => {}
            Order::Earlier if is_believed => {}
            _ => self.notify_unreadable(key),
        }
    }

    /// Records a notification without a presence that can be used.
    pub(super) fn notify_unreadable(&mut self, key: &str) {
        if let Some((key, user)) = self.users.get_key_value(key)
            && user.currency != Currency::Failed
        {
            self.unclear.insert(Arc::clone(key));
        }
    }

    /// Takes over the result of a read, which began after `events` notifications of the
    /// user. Returns whether the user must be read again.
    pub(super) fn read(
        &mut self,
        key: &str,
        presence: Option<UserPresence>,
        events: u64,
        cause: Cause,
        now: SystemTime,
    ) -> bool {
        let Some(user) = self.users.get_mut(key) else {
            return false;
        };
        let Some(presence) = presence else {
            // `offer_missing` sends it, for all of a batch together.
            user.is_missing = user.latest.is_none();
            return false;
        };
        match user.order(&presence, now) {
            Order::Later => self.set(key, presence, cause),
            Order::Same | Order::Earlier => {}
            // No notification came since the read began, so it is the latest.
            Order::Unclear if user.events == events => self.set(key, presence, cause),
            Order::Unclear => return true,
        }
        false
    }

    /// Queues for the watches which of these users have no presence.
    pub(super) fn offer_missing<'a>(&mut self, keys: impl Iterator<Item = &'a Arc<str>>) {
        let mut by_watch: HashMap<u64, Vec<u32>> = HashMap::new();
        for key in keys {
            if let Some(user) = self.users.get(key)
                && user.is_missing
            {
                for &(watch, index) in &user.watchers {
                    by_watch.entry(watch).or_default().push(index);
                }
            }
        }
        for (watch, indexes) in by_watch {
            if let Some(mailbox) = self.watches.get_mut(&watch) {
                mailbox.offer_missing(&indexes);
            }
        }
    }

    /// Queues for the watches that these users cannot be watched.
    pub(super) fn fail<'a>(&mut self, keys: impl Iterator<Item = &'a Arc<str>>, failure: &Failure) {
        let mut by_watch: HashMap<u64, Vec<u32>> = HashMap::new();
        for key in keys {
            self.set_currency(key, Currency::Failed);
            if let Some(user) = self.users.get_mut(key) {
                // They get nothing more of the user, also if another watch tries again.
                for (watch, index) in std::mem::take(&mut user.watchers) {
                    by_watch.entry(watch).or_default().push(index);
                }
            }
        }
        for (watch, indexes) in by_watch {
            if let Some(mailbox) = self.watches.get_mut(&watch) {
                mailbox.offer_failure(&indexes, failure);
            }
        }
    }

    /// Records how current the presence of a user is.
    pub(super) fn set_currency(&mut self, key: &str, currency: Currency) {
        let Some(user) = self.users.get_mut(key) else {
            return;
        };
        let before = std::mem::replace(&mut user.currency, currency);
        if before == currency {
            return;
        }
        self.polled -= usize::from(before == Currency::Polled);
        self.polled += usize::from(currency == Currency::Polled);
        for &(watch, index) in &user.watchers {
            if let Some(mailbox) = self.watches.get_mut(&watch) {
                mailbox.recount(index, before, currency);
            }
        }
    }

    /// Queues for each watch how current it is, if that has changed.
    pub(super) fn offer_states(&mut self) {
        for mailbox in self.watches.values_mut() {
            mailbox.offer_state(self.why.as_ref());
        }
    }

    /// Records that notifications of a user may be lost, unless nothing is expected.
    pub(super) fn set_stale(&mut self, key: &str) {
        if self.currency(key) != Some(Currency::Failed) {
            self.set_currency(key, Currency::Stale);
        }
    }

    /// Whether a user's presence, or that there is none, is known.
    pub(super) fn is_known(&self, key: &str) -> bool {
        let user = self.users.get(key);
        user.is_some_and(|user| user.latest.is_some() || user.is_missing)
    }

    pub(super) fn currency(&self, key: &str) -> Option<Currency> {
        self.users.get(key).map(|user| user.currency)
    }

    /// Keeps a presence, and queues it for all watches of the user.
    fn set(&mut self, key: &str, presence: UserPresence, cause: Cause) {
        let Some(user) = self.users.get_mut(key) else {
            return;
        };
        let size = presence.encoded_len();
        user.lease = None;
        if size > COVERED_PRESENCE {
            let lease = self.memory.sub_lease();
            let size = size - COVERED_PRESENCE;
            if lease.reserve_leaving(size, ROOM_FOR_READS).is_err() {
                // The old presence is not the latest any more: a later watch gets it by a
                // read.
                user.latest = None;
                for (watch, _) in &user.watchers {
                    if let Some(mailbox) = self.watches.get_mut(watch) {
                        mailbox.end(Error::MemoryExhausted.into());
                    }
                }
                self.unclear.insert(key.into());
                self.set_currency(key, Currency::Stale);
                return;
            }
            user.lease = Some(lease);
        }
        let version = user.latest.as_ref().map_or(0, |latest| latest.version) + 1;
        user.is_missing = false;
        user.latest = Some(Latest {
            presence: Arc::new(presence),
            version,
        });
        for &(watch, index) in &user.watchers {
            if let Some(mailbox) = self.watches.get_mut(&watch) {
                let is_conflated = mailbox.offer(index, version, cause);
                if is_conflated {
                    self.counts.record_conflated();
                }
            }
        }
    }
}
