//! Which users are to be read: each once, in batches, however many watches want it.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::backoff::Backoff;
use crate::bulk::BATCH_SIZE;
use crate::proto::v1::user_presence_change::Cause;

/// How long the first user of a batch waits for more.
const LINGER: Duration = Duration::from_millis(20);

/// How long a user waits for notifications before the first read. Read earlier, the user
/// would have to be read again once they come.
const PATIENCE: Duration = Duration::from_secs(2);

/// A user who is to be read.
#[derive(Debug, Clone, Copy)]
struct Wanted {
    since: Instant,
    cause: Cause,
}

/// The users who are to be read, and those who are being read.
#[derive(Debug)]
pub(super) struct Reads {
    queue: VecDeque<Arc<str>>,
    wanted: HashMap<Arc<str>, Wanted>,
    in_flight: HashSet<Arc<str>>,
    batches: usize,
    /// After a failure, nothing is read before this.
    not_before: Option<Instant>,
    backoff: Backoff,
}

impl Reads {
    pub(super) fn new() -> Self {
        Self {
            queue: VecDeque::new(),
            wanted: HashMap::new(),
            in_flight: HashSet::new(),
            batches: 0,
            not_before: None,
            backoff: Backoff::default(),
        }
    }

    /// Wants a user to be read from now on: a read that is in flight does not count.
    pub(super) fn want(&mut self, user: &Arc<str>, cause: Cause, now: Instant) {
        let wanted = Wanted { since: now, cause };
        if self.wanted.insert(Arc::clone(user), wanted).is_none() {
            self.queue.push_back(Arc::clone(user));
        }
    }

    /// Wants a user to be read again after a failed read. The time since when somebody
    /// waits is that of the failure.
    pub(super) fn want_again(&mut self, user: &Arc<str>, cause: Cause, now: Instant) {
        if !self.wanted.contains_key(user) {
            self.want(user, cause, now);
        }
    }

    pub(super) fn is_wanted(&self, user: &str) -> bool {
        self.wanted.contains_key(user)
    }

    /// Does not want a user to be read any more.
    pub(super) fn forget(&mut self, user: &str) {
        self.wanted.remove(user);
    }

    /// Takes the next batch, if there is one. `is_covered` is whether a user needs to
    /// wait no longer.
    pub(super) fn take(
        &mut self,
        now: Instant,
        concurrency: usize,
        is_covered: impl Fn(&str) -> bool,
    ) -> Option<Vec<(Arc<str>, Cause)>> {
        if self.batches >= concurrency || self.not_before.is_some_and(|at| now < at) {
            return None;
        }
        self.queue.retain(|user| self.wanted.contains_key(user));
        let is_ready = |user: &&Arc<str>| {
            let wanted = self.wanted[*user];
            let is_patient = wanted.since + PATIENCE > now && !is_covered(user);
            !is_patient && !self.in_flight.contains(*user)
        };
        let ready = self.queue.iter().filter(is_ready).take(BATCH_SIZE);
        let ready: Vec<Arc<str>> = ready.cloned().collect();
        let oldest = ready.iter().map(|user| self.wanted[user].since).min()?;
        if ready.len() < BATCH_SIZE && now < oldest + LINGER {
            return None;
        }
        self.batches += 1;
        self.in_flight.extend(ready.iter().cloned());
        let batch = ready.into_iter().filter_map(|user| {
            let wanted = self.wanted.remove(&user)?;
            Some((user, wanted.cause))
        });
        Some(batch.collect())
    }

    /// Ends a batch. Its users are read again after a delay if it failed.
    pub(super) fn end<'a>(&mut self, batch: impl Iterator<Item = &'a Arc<str>>) {
        self.batches = self.batches.saturating_sub(1);
        for user in batch {
            self.in_flight.remove(user);
        }
    }

    /// Records that the vendor answers.
    pub(super) fn succeed(&mut self) {
        self.backoff = Backoff::default();
        self.not_before = None;
    }

    /// Reads nothing for a while.
    pub(super) fn back_off(&mut self, retry_after: Option<Duration>, now: Instant) {
        self.not_before = Some(now + self.backoff.next(retry_after));
    }

    /// When [`Self::take`] may have something next.
    pub(super) fn next(&self, now: Instant) -> Option<Instant> {
        if self.wanted.is_empty() {
            return None;
        }
        let since = self.wanted.values().map(|wanted| wanted.since);
        let times = since.flat_map(|since| [since + LINGER, since + PATIENCE]);
        let time = times.filter(|&at| at > now).min();
        let later = self.not_before.filter(|&at| at > now);
        match (time, later) {
            (Some(time), Some(later)) => Some(time.max(later)),
            (time, later) => time.or(later),
        }
    }
}
