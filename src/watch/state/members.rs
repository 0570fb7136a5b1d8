//! Who watches which user, and the users whom nobody watches any more: they are kept for
//! a while, so that a caller who watches again gets what is known, without a request.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::{State, User};
use crate::memory::MemoryLease;
use crate::proto::v1::user_presence_change::Cause;
use crate::watch::mailbox::{Currency, Mailbox};
use crate::watch::serve::USER_SIZE;

/// How long a user whom nobody watches any more is kept.
const KEEP: Duration = Duration::from_secs(30);

/// The users whom nobody watches, by the time since when they are kept.
#[derive(Debug)]
pub(super) struct Kept {
    users: BTreeSet<(Instant, Arc<str>)>,
    memory: MemoryLease,
}

impl Kept {
    pub(super) fn new(memory: MemoryLease) -> Self {
        Self {
            users: BTreeSet::new(),
            memory,
        }
    }

    fn forget(&mut self, key: &Arc<str>, user: &mut User) {
        if let Some(since) = user.kept_since.take() {
            self.users.remove(&(since, Arc::clone(key)));
            self.memory.release(USER_SIZE);
        }
    }
}

impl State {
    /// Adds a watch of these users, by their keys and ids. What is known is queued at
    /// once.
    pub(in crate::watch) fn join(&mut self, ids: Vec<(Arc<str>, String)>) -> u64 {
        let number = self.next_watch;
        self.next_watch += 1;
        let mut mailbox = Mailbox::new(ids);
        let mut missing = Vec::new();
        for (index, watched) in (0..).zip(&mailbox.users) {
            let user = self.users.entry(Arc::clone(&watched.key));
            let user = user.or_insert_with(|| User::new(watched.id.clone()));
            if !user.is_watched() {
                self.kept.forget(&watched.key, user);
                self.joined.push(Arc::clone(&watched.key));
            }
            if user.currency == Currency::Failed {
                // The reason may be gone: try again, for the new watch alone.
                user.currency = Currency::Stale;
            }
            user.watchers.push((number, index));
            if user.is_missing {
                missing.push(index);
            }
        }
        let keys = mailbox.users.iter().map(|watched| Arc::clone(&watched.key));
        let keys: Vec<Arc<str>> = keys.collect();
        for (index, key) in (0..).zip(keys) {
            let user = &self.users[&key];
            mailbox.recount(index, Currency::Stale, user.currency);
            if let Some(latest) = &user.latest {
                mailbox.offer(index, latest.version, Cause::Snapshot);
            }
        }
        mailbox.offer_missing(&missing);
        mailbox.offer_state(self.why.as_ref());
        self.watches.insert(number, mailbox);
        number
    }

    /// Removes a watch. The users whom nobody else watches stay until the task keeps or
    /// removes them.
    pub(in crate::watch) fn leave(&mut self, number: u64) {
        let Some(mailbox) = self.watches.remove(&number) else {
            return;
        };
        for watched in mailbox.users {
            let Some(user) = self.users.get_mut(&watched.key) else {
                continue;
            };
            user.watchers.retain(|&(watch, _)| watch != number);
            if !user.is_watched() {
                self.left.push(watched.key);
            }
        }
    }

    pub(in crate::watch) fn is_watched(&self, key: &str) -> bool {
        let user = self.users.get(key);
        user.is_some_and(User::is_watched)
    }

    pub(in crate::watch) fn is_kept(&self, key: &str) -> bool {
        let user = self.users.get(key);
        user.is_some_and(|user| user.kept_since.is_some())
    }

    /// Keeps a user whom nobody watches from now on, if half of the memory stays free:
    /// calls and other watches need it more.
    pub(in crate::watch) fn keep(&mut self, key: &Arc<str>, now: Instant) -> bool {
        let Some(user) = self.users.get_mut(key) else {
            return false;
        };
        if user.kept_since.is_none() {
            if self.kept.memory.reserve_spare(USER_SIZE).is_err() {
                return false;
            }
            user.kept_since = Some(now);
            self.kept.users.insert((now, Arc::clone(key)));
        }
        true
    }

    /// Removes a user whom nobody watches.
    pub(in crate::watch) fn remove(&mut self, key: &Arc<str>) {
        if let Some(mut user) = self.users.remove(key) {
            self.polled -= usize::from(user.currency == Currency::Polled);
            self.kept.forget(key, &mut user);
        }
    }

    /// Removes the user who was kept longest, if that is at least so long; returns it.
    fn remove_oldest(&mut self, least: Duration, now: Instant) -> Option<Arc<str>> {
        let (since, key) = self.kept.users.first()?;
        let key = (*since + least <= now).then(|| Arc::clone(key))?;
        self.remove(&key);
        Some(key)
    }

    /// Removes a user who was kept long enough; returns it.
    pub(in crate::watch) fn remove_expired(&mut self, now: Instant) -> Option<Arc<str>> {
        self.remove_oldest(KEEP, now)
    }

    /// Removes the user who was kept longest, so that another one has room; returns it.
    pub(in crate::watch) fn make_room(&mut self, now: Instant) -> Option<Arc<str>> {
        self.remove_oldest(Duration::ZERO, now)
    }

    /// Removes all users whom nobody watches.
    pub(in crate::watch) fn remove_unwatched(&mut self) {
        let unwatched = self.users.iter().filter(|(_, user)| !user.is_watched());
        let unwatched: Vec<Arc<str>> = unwatched.map(|(key, _)| Arc::clone(key)).collect();
        for key in unwatched {
            self.remove(&key);
            self.left.push(key);
        }
    }

    /// When [`Self::remove_expired`] has a user next.
    pub(in crate::watch) fn next_expiry(&self) -> Option<Instant> {
        let (since, _) = self.kept.users.first()?;
        Some(*since + KEEP)
    }

    /// Whether there is nobody to do anything for.
    pub(in crate::watch) fn is_idle(&self) -> bool {
        self.watches.is_empty() && self.users.is_empty()
    }
}
