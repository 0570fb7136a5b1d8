//! Which users are to be read: each once, in batches, however many watches want it.
//!
//! Most reads are sent at once. Two kinds are paced, so that they leave the requests of
//! the token to calls: those of users whose notifications cannot be read, and those that
//! search for the id because of which the vendor refuses a batch (`suspects.rs`).

mod pace;
mod suspects;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::Settings;
use super::backoff::{self, Backoff};
use crate::bulk::BATCH_SIZE;
use crate::proto::v1::user_presence_change::Cause;
use pace::Pace;
pub(super) use suspects::Refusal;
use suspects::Suspects;

/// How long the first user of a batch waits for more.
const LINGER: Duration = Duration::from_millis(20);

/// How long a user waits for notifications before the first read. Read earlier, the user
/// would have to be read again once they come.
const PATIENCE: Duration = Duration::from_secs(2);

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
    wanted: HashMap<Arc<str>, Wanted>,
    suspects: Suspects,
    /// The users who are being read, since when.
    in_flight: HashMap<Arc<str>, Instant>,
    batches: usize,
    /// After a failure, nothing is read before this.
    not_before: Option<Instant>,
    /// The last failure that made the delays grow.
    failed_at: Option<Instant>,
    backoff: Backoff,
}

impl Reads {
    pub(super) fn new(settings: &Settings) -> Self {
        Self {
            concurrency: settings.concurrency,
            pace: Pace::new(settings.requests_per_minute),
            queue: BTreeMap::new(),
            wanted: HashMap::new(),
            suspects: Suspects::default(),
            in_flight: HashMap::new(),
            batches: 0,
            not_before: None,
            failed_at: None,
            backoff: Backoff::default(),
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
        self.queue.insert(new.position, Arc::clone(user));
        self.wanted.insert(Arc::clone(user), new);
    }

    /// Wants a user to be read again after a failed read. The time since when somebody
    /// waits is that of the failure.
    pub(super) fn want_again(&mut self, user: &Arc<str>, cause: Cause, now: Instant) {
        if !self.is_wanted(user) {
            self.want(user, cause, now);
        }
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
        self.cancel(user).is_some() || self.in_flight.contains_key(user)
    }

    /// Takes the next batch, if there is one. `is_covered` is whether a user needs to
    /// wait no longer.
    pub(super) fn take(
        &mut self,
        now: Instant,
        is_covered: impl Fn(&str) -> bool,
    ) -> Option<Vec<(Arc<str>, Cause)>> {
        if self.batches >= self.concurrency || self.not_before.is_some_and(|at| now < at) {
            return None;
        }
        let users = self.ready(now, is_covered, false).or_else(|| {
            let users = self.ready(now, |_| true, true)?;
            self.pace.send(now);
            Some(users)
        })?;
        self.batches += 1;
        let batch = users.into_iter().filter_map(|user| {
            let cause = self.cancel(&user)?;
            self.in_flight.insert(Arc::clone(&user), now);
            Some((user, cause))
        });
        Some(batch.collect())
    }

    /// The users of the next batch, paced or not, in the order of the queue.
    fn ready(
        &self,
        now: Instant,
        is_covered: impl Fn(&str) -> bool,
        is_paced: bool,
    ) -> Option<Vec<Arc<str>>> {
        if is_paced && !self.pace.is_due(now) {
            return None;
        }
        let (mut users, mut size) = (Vec::new(), BATCH_SIZE);
        let mut oldest = now;
        for user in self.queue.values() {
            let wanted = self.wanted[user];
            let is_patient = wanted.since + PATIENCE > now && !is_covered(user);
            if wanted.due > now
                || is_patient
                || self.in_flight.contains_key(user)
                || self.is_paced(user, &wanted) != is_paced
            {
                continue;
            }
            let most = self.suspects.most(user);
            if users.len() >= size.min(most) {
                break;
            }
            size = size.min(most);
            oldest = oldest.min(wanted.since.max(wanted.due));
            users.push(Arc::clone(user));
        }
        let is_due = users.len() >= size || oldest + LINGER <= now;
        (is_due && !users.is_empty()).then_some(users)
    }

    fn is_paced(&self, user: &str, wanted: &Wanted) -> bool {
        wanted.is_paced || self.suspects.contains(user)
    }

    /// Ends a batch; returns when it began.
    pub(super) fn end<'a>(&mut self, batch: impl Iterator<Item = &'a Arc<str>>) -> Option<Instant> {
        self.batches = self.batches.saturating_sub(1);
        batch.filter_map(|user| self.in_flight.remove(user)).min()
    }

    /// Records that the vendor answers.
    pub(super) fn succeed<'a>(&mut self, batch: impl Iterator<Item = &'a Arc<str>>) {
        batch.for_each(|user| self.suspects.clear(user));
        self.backoff = Backoff::default();
        self.not_before = None;
    }

    /// Reads nothing for a while after the failure of a batch. Those that fail together
    /// make the delays grow once.
    pub(super) fn back_off(
        &mut self,
        begun: Option<Instant>,
        retry_after: Option<Duration>,
        now: Instant,
    ) {
        // A longer one holds for the request, and not for all reads.
        let retry_after = retry_after.map(|delay| delay.min(backoff::MAX));
        let is_same = begun < self.failed_at;
        let wait = if is_same {
            retry_after.unwrap_or_default()
        } else {
            self.failed_at = Some(now);
            self.backoff.next(retry_after)
        };
        self.not_before = self.not_before.max(Some(now + wait));
    }

    /// Takes over that the vendor refuses to read a batch of so many users, of whom these
    /// are still watched. They are read again, in smaller batches or later; returns
    /// whether the refusal stands instead.
    pub(super) fn refuse(
        &mut self,
        size: usize,
        watched: &[(Arc<str>, Cause)],
        refusal: Refusal,
        now: Instant,
    ) -> bool {
        let users = watched.iter().map(|(user, _)| user);
        let Some(wait) = self.suspects.refuse(size, users, refusal) else {
            return true;
        };
        // Before all others, so that few batches are searched at a time.
        for (user, cause) in watched.iter().rev() {
            self.cancel(user);
            let first = self.queue.first_key_value();
            let position = first.map_or(0, |(position, _)| position - 1);
            let due = now + wait;
            let wanted = self.last(*cause, now);
            let first = Wanted {
                due,
                position,
                ..wanted
            };
            self.insert(user, first);
        }
        false
    }

    /// When [`Self::take`] may have something next.
    pub(super) fn next(&self, now: Instant) -> Option<Instant> {
        let times = self.wanted.iter().flat_map(|(user, wanted)| {
            let Wanted { since, due, .. } = *wanted;
            let paced_at = self.pace.at.filter(|_| self.is_paced(user, wanted));
            let times = [due, since.max(due) + LINGER, since + PATIENCE];
            times.map(|at| at.max(due).max(paced_at.unwrap_or(at)))
        });
        let time = times.filter(|&at| at > now).min();
        let later = self.not_before.filter(|&at| at > now);
        let later = later.filter(|_| !self.wanted.is_empty());
        match (time, later) {
            (Some(time), Some(later)) => Some(time.max(later)),
            (time, later) => time.or(later),
        }
    }
}
