//! Which users are read next, and together.

use std::sync::Arc;

use tokio::time::Instant;

use super::{LINGER, PATIENCE, Reads, Wanted};
use crate::bulk::BATCH_SIZE;
use crate::proto::v1::user_presence_change::Cause;

/// How a user is read: in a batch with others of the same kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    AtOnce,
    /// A batch with the user failed, and was not split.
    Again,
    /// The notifications cannot be read.
    Paced,
    /// A batch with the user was split.
    Suspect,
}

impl Kind {
    const fn is_paced(self) -> bool {
        matches!(self, Self::Paced | Self::Suspect)
    }
}

impl Reads {
    /// Takes the next batch, if there is one. `is_covered` is whether a user needs to
    /// wait no longer.
    pub(in crate::watch) fn take(
        &mut self,
        now: Instant,
        is_covered: &dyn Fn(&str) -> bool,
    ) -> Option<Vec<(Arc<str>, Cause)>> {
        if self.batches >= self.concurrency {
            return None;
        }
        // A slot is left to reads that are not paced: these may take until their timeout.
        let is_last = self.batches > 0 && self.batches + 1 >= self.concurrency;
        let is_due = self.pace.is_due(now) && !is_last;
        let (users, is_paced) = if self.health.is_failing() {
            let is_paced = self.health.is_refused();
            if is_paced && !is_due {
                return None;
            }
            (vec![self.probe(now, is_covered)?], is_paced)
        } else if self.health.is_refused() {
            self.take_refused(now, is_covered, is_due)?
        } else {
            self.take_of(now, is_covered, is_due, &|_| true)?
        };
        if is_paced {
            self.pace.send(now);
        }
        self.batches += 1;
        let batch = users.into_iter().map(|user: Arc<str>| {
            let cause = self.cancel(&user).unwrap_or(Cause::Resync);
            self.in_flight.insert(Arc::clone(&user), now);
            (user, cause)
        });
        Some(batch.collect())
    }

    /// The next batch while new users are refused alike: one of them, or those who can be
    /// read.
    fn take_refused(
        &mut self,
        now: Instant,
        is_covered: &dyn Fn(&str) -> bool,
        is_due: bool,
    ) -> Option<(Vec<Arc<str>>, bool)> {
        let spares_read = self.health.spares_read();
        if spares_read {
            let read = |user: &str| self.read.contains(user);
            if let Some(users) = self.ready_at_once(now, is_covered, &read) {
                return Some((users, false));
            }
        }
        if is_due && let Some(user) = self.probe_refused(now, is_covered, !spares_read) {
            return Some((vec![user], true));
        }
        let read = spares_read.then(|| self.read.clone())?;
        self.take_of(now, is_covered, is_due, &|user| read.contains(user))
    }

    /// The next batch of these users, and whether it is paced.
    fn take_of(
        &mut self,
        now: Instant,
        is_covered: &dyn Fn(&str) -> bool,
        is_due: bool,
        of: &dyn Fn(&str) -> bool,
    ) -> Option<(Vec<Arc<str>>, bool)> {
        if let Some(users) = self.ready_at_once(now, is_covered, of) {
            return Some((users, false));
        }
        // In turns, so that neither waits for all of the other.
        let kinds = match self.last_paced {
            Kind::Paced => [Kind::Suspect, Kind::Paced],
            _ => [Kind::Paced, Kind::Suspect],
        };
        let mut kinds = kinds.into_iter().filter(|_| is_due);
        let ready = |kind| Some((kind, self.ready(now, is_covered, kind, of)?));
        let (kind, users) = kinds.find_map(ready)?;
        self.last_paced = kind;
        Some((users, true))
    }

    fn ready_at_once(
        &self,
        now: Instant,
        is_covered: &dyn Fn(&str) -> bool,
        of: &dyn Fn(&str) -> bool,
    ) -> Option<Vec<Arc<str>>> {
        let mut kinds = [Kind::AtOnce, Kind::Again].into_iter();
        kinds.find_map(|kind| self.ready(now, is_covered, kind, of))
    }

    /// The users of the next batch of a kind, in the order of the queue.
    fn ready(
        &self,
        now: Instant,
        is_covered: &dyn Fn(&str) -> bool,
        kind: Kind,
        of: &dyn Fn(&str) -> bool,
    ) -> Option<Vec<Arc<str>>> {
        let (mut users, mut size) = (Vec::new(), BATCH_SIZE);
        let mut oldest = now;
        for user in self.queue.values() {
            let wanted = &self.wanted[user];
            if self.kind(user, wanted) != kind
                || !of(user)
                || !self.is_ready(user, wanted, now, is_covered)
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

    pub(super) fn is_ready(
        &self,
        user: &str,
        wanted: &Wanted,
        now: Instant,
        is_covered: &dyn Fn(&str) -> bool,
    ) -> bool {
        let is_patient = !self.kind(user, wanted).is_paced()
            && wanted.since + PATIENCE > now
            && !is_covered(user);
        wanted
            .due
            .max(self.suspects.not_before(user).unwrap_or(now))
            <= now
            && !is_patient
            && !self.in_flight.contains_key(user)
    }

    fn kind(&self, user: &str, wanted: &Wanted) -> Kind {
        if self.suspects.is_split(user) {
            Kind::Suspect
        } else if wanted.is_paced {
            Kind::Paced
        } else if self.suspects.has(user) {
            Kind::Again
        } else {
            Kind::AtOnce
        }
    }

    /// When [`Self::take`] may have something next.
    pub(in crate::watch) fn next(&self, now: Instant) -> Option<Instant> {
        let (is_failing, is_refused) = (self.health.is_failing(), self.health.is_refused());
        let times = self.wanted.iter().flat_map(|(user, wanted)| {
            let Wanted { since, due, .. } = *wanted;
            let is_paced = self.kind(user, wanted).is_paced();
            let is_paced = if is_failing {
                is_refused
            } else {
                is_paced || is_refused
            };
            let paced_at = self.pace.at().filter(|_| is_paced);
            let earliest = [self.suspects.not_before(user), paced_at];
            let earliest = earliest.into_iter().flatten().fold(due, Instant::max);
            let times = [due, since.max(due) + LINGER, since + PATIENCE];
            times.map(|at| at.max(earliest))
        });
        let time = times.filter(|&at| at > now).min();
        let later = self.health.not_before.filter(|&at| at > now);
        let later = later.filter(|_| !self.wanted.is_empty());
        let time = match (time, later) {
            (Some(time), Some(later)) => Some(time.max(later)),
            (time, later) => time.or(later),
        };
        let probe = self.next_probe().filter(|&at| at > now);
        time.into_iter().chain(probe).min()
    }
}
