//! Which users are to be read: each once, in batches, however many watches want it.
//!
//! Most reads are sent at once. Two kinds are paced, so that they leave the requests of
//! the token to calls: those of users whose notifications cannot be read, and those that
//! search for the user because of whom a batch fails (`suspects.rs`). If nothing can be
//! read, one user at a time is tried (`health.rs`, `probe.rs`).

mod batch;
mod health;
mod pace;
mod probe;
mod suspects;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::Settings;
use crate::proto::v1::user_presence_change::Cause;
use crate::watch::users::{UserMap, UserSet};
use batch::Kind;
use health::Health;
use pace::Pace;
use probe::{Probe, Role};
use suspects::Suspects;

/// How long the first user of a batch waits for more.
const LINGER: Duration = Duration::from_millis(20);

/// How long a user waits for notifications before the first read. Read earlier, the user
/// would have to be read again once they come.
const PATIENCE: Duration = Duration::from_secs(2);

/// Why a read failed, as far as it matters for the next ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fault {
    /// The vendor refuses it because of what it names, with this status and code.
    Refused(u16, String),
    /// It may succeed later, after this delay at the earliest.
    Failed(Option<Duration>),
    /// Too many requests were sent: none of the users is the cause.
    Limited(Duration),
}

/// A user who is to be read.
#[derive(Debug, Clone, Copy)]
struct Wanted {
    since: Instant,
    /// Not before this.
    due: Instant,
    cause: Cause,
    is_paced: bool,
    position: i64,
}

/// The users who are to be read, and those who are being read.
#[derive(Debug)]
pub(super) struct Reads {
    concurrency: usize,
    pace: Pace,
    /// The users by their positions.
    queue: BTreeMap<i64, Arc<str>>,
    wanted: UserMap<Wanted>,
    suspects: Suspects,
    /// The users who are being read, since when.
    in_flight: UserMap<Instant>,
    batches: usize,
    last_paced: Kind,
    health: Health,
    /// The users who could be read.
    read: UserSet,
    probe: Probe,
}

impl Reads {
    pub(super) fn new(settings: &Settings) -> Self {
        Self {
            concurrency: settings.concurrency,
            pace: Pace::new(settings.requests_per_minute),
            queue: BTreeMap::new(),
            wanted: UserMap::default(),
            suspects: Suspects::default(),
            in_flight: UserMap::default(),
            batches: 0,
            last_paced: Kind::Suspect,
            health: Health::default(),
            read: UserSet::default(),
            probe: Probe::default(),
        }
    }

    /// Wants a user to be read from now on: a read that is in flight does not count.
    pub(super) fn want(&mut self, user: &Arc<str>, cause: Cause, now: Instant) {
        self.want_at(user, cause, now, now);
    }

    /// Wants a user to be read at this time or earlier.
    pub(super) fn want_at(&mut self, user: &Arc<str>, cause: Cause, due: Instant, now: Instant) {
        let wanted = self.last(cause, now);
        self.insert(user, Wanted { due, ..wanted });
    }

    /// Wants a user to be read when there is room for a paced read, or earlier.
    pub(super) fn want_paced(&mut self, user: &Arc<str>, cause: Cause, now: Instant) {
        let wanted = self.last(cause, now);
        self.insert(
            user,
            Wanted {
                is_paced: true,
                ..wanted
            },
        );
    }

    /// A user who is to be read after all others.
    fn last(&self, cause: Cause, now: Instant) -> Wanted {
        let last = self.queue.last_key_value();
        Wanted {
            since: now,
            due: now,
            cause,
            is_paced: false,
            position: last.map_or(0, |(position, _)| position + 1),
        }
    }

    fn insert(&mut self, user: &Arc<str>, new: Wanted) {
        if let Some(wanted) = self.wanted.get_mut(user) {
            wanted.due = wanted.due.min(new.due);
            wanted.is_paced &= new.is_paced;
            wanted.cause = new.cause;
            return;
        }
        if self.wanted.is_empty() && self.in_flight.is_empty() {
            self.health.forget_refusals();
        }
        self.queue.insert(new.position, Arc::clone(user));
        self.wanted.insert(Arc::clone(user), new);
    }

    pub(super) fn is_in_flight(&self, user: &str) -> bool {
        self.in_flight.contains_key(user)
    }

    pub(super) fn is_wanted(&self, user: &str) -> bool {
        self.wanted.contains_key(user)
    }

    /// Does not want a user to be read any more.
    pub(super) fn cancel(&mut self, user: &str) -> Option<Cause> {
        let wanted = self.wanted.remove(user)?;
        self.queue.remove(&wanted.position);
        Some(wanted.cause)
    }

    /// Forgets a user whom nobody watches any more. Returns whether the user was to be read,
    /// or is being read.
    pub(super) fn forget(&mut self, user: &str) -> bool {
        self.suspects.clear(user);
        self.read.remove(user);
        self.probe.failed.remove(user);
        self.cancel(user).is_some() || self.in_flight.contains_key(user)
    }

    /// Ends a batch; returns when it began.
    pub(super) fn end<'a>(&mut self, batch: impl Iterator<Item = &'a Arc<str>>) -> Option<Instant> {
        self.batches = self.batches.saturating_sub(1);
        self.probe.ended = None;
        let begun = batch.filter_map(|user| {
            self.probe.end(user);
            self.in_flight.remove(user)
        });
        begun.min()
    }

    /// Records that users could be read.
    pub(super) fn succeed<'a>(&mut self, batch: impl Iterator<Item = &'a Arc<str>>, now: Instant) {
        let mut is_new = false;
        for user in batch {
            self.suspects.clear(user);
            is_new |= self.read.insert(Arc::clone(user));
        }
        self.probe.failed.clear();
        self.suspects.settle(self.health.shows_cause(), now);
        self.health.succeed(is_new, now);
    }

    /// Takes over that a batch of so many users, begun at this time, has failed. Those
    /// who are still watched are read again, in smaller batches or later; returns for whom
    /// a refusal stands instead.
    pub(super) fn fail(
        &mut self,
        (size, begun): (usize, Option<Instant>),
        watched: &[(Arc<str>, Cause)],
        fault: Fault,
        now: Instant,
    ) -> Vec<Arc<str>> {
        let users = || watched.iter().map(|(user, _)| user);
        if self.probe.ended == Some(Role::Fresh) {
            self.health.fresh_since = Some(now);
        }
        if self.probe.ended == Some(Role::Extra) {
            // As it was good before, and nobody wants it, the failure is not its own.
            self.probe.failed.extend(users().cloned());
            match fault {
                Fault::Limited(delay) => self.health.limit(begun, delay, now),
                Fault::Failed(delay) => self.health.back_off(begun, delay, now),
                Fault::Refused(..) => self.health.back_off(begun, None, now),
            }
            return Vec::new();
        }
        match fault {
            Fault::Limited(delay) => self.health.limit(begun, delay, now),
            Fault::Failed(delay) => {
                let succeeded_at = self.health.succeeded_at;
                if !self.suspects.fail(size, users(), delay, succeeded_at, now) {
                    self.health.back_off(begun, delay, now);
                }
            }
            Fault::Refused(status, code) => {
                let is_repeated = users().any(|user| self.suspects.attempts(user) > 0);
                let is_mixed = self.is_mixed(watched);
                let spares_read = self.health.spares_read();
                let stands = self.suspects.refuse(size, users(), now);
                let is_all = !is_mixed && self.health.refuse((status, code), size, is_repeated);
                let mut refused: Vec<Arc<str>> = Vec::new();
                if is_all {
                    let all = users().chain(self.wanted.keys());
                    let all = all.filter(|&user| !spares_read || !self.read.contains(user));
                    refused.extend(all.cloned());
                } else if stands {
                    refused.extend(users().cloned());
                }
                for user in &refused {
                    if is_all {
                        self.suspects.clear(user);
                    }
                    self.read.remove(user);
                }
                let others = watched.iter().filter(|(user, _)| !refused.contains(user));
                others.for_each(|(user, cause)| self.want(user, *cause, now));
                return refused;
            }
        }
        for (user, cause) in watched {
            self.want(user, *cause, now);
        }
        Vec::new()
    }

    /// Whether some new users could be read since these or others are refused: then the
    /// refusal is not of all of them.
    fn is_mixed(&self, watched: &[(Arc<str>, Cause)]) -> bool {
        let users = watched.iter().map(|(user, _)| user);
        let read_new_at = self.health.read_new_at;
        let mut users = users.chain(self.wanted.keys()).chain(self.in_flight.keys());
        users.any(|user| self.suspects.is_refused_before(user, read_new_at))
    }
}
