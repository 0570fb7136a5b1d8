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
    /// The notifications cannot be read.
    Paced,
    /// A batch with the user was split.
    Suspect,
}

impl Reads {
    /// Takes the next batch, if there is one. `is_covered` is whether a user needs to
    /// wait no longer.
    pub(in crate::watch) fn take(
        &mut self,
        now: Instant,
        is_covered: impl Fn(&str) -> bool,
    ) -> Option<Vec<(Arc<str>, Cause)>> {
        let is_early = self.health.not_before.is_some_and(|at| now < at);
        if self.batches >= self.concurrency || is_early {
            return None;
        }
        let is_due = self.pace.is_due(now);
        let (users, is_paced) = if self.health.is_doubtful() {
            let is_paced = self.health.is_refused();
            let user = self.probe(now, is_covered).filter(|_| is_due || !is_paced);
            self.probe = Some(user?);
            (self.probe.iter().cloned().collect(), is_paced)
        } else if let Some(users) = self.ready(now, &is_covered, Kind::AtOnce) {
            (users, false)
        } else {
            // In turns, so that neither waits for all of the other.
            let kinds = match self.last_paced {
                Kind::Paced => [Kind::Suspect, Kind::Paced],
                _ => [Kind::Paced, Kind::Suspect],
            };
            let mut kinds = kinds.into_iter().filter(|_| is_due);
            let ready = |kind| Some((kind, self.ready(now, &is_covered, kind)?));
            let (kind, users) = kinds.find_map(ready)?;
            self.last_paced = kind;
            (users, true)
        };
        if is_paced {
            self.pace.send(now);
        }
        self.batches += 1;
        let batch = users.into_iter().filter_map(|user: Arc<str>| {
            let cause = self.cancel(&user)?;
            self.in_flight.insert(Arc::clone(&user), now);
            Some((user, cause))
        });
        Some(batch.collect())
    }

    /// The users of the next batch of a kind, in the order of the queue.
    fn ready(
        &self,
        now: Instant,
        is_covered: impl Fn(&str) -> bool,
        kind: Kind,
    ) -> Option<Vec<Arc<str>>> {
        let (mut users, mut size) = (Vec::new(), BATCH_SIZE);
        let mut oldest = now;
        for user in self.queue.values() {
            let wanted = &self.wanted[user];
            if self.kind(user, wanted) != kind || !self.is_ready(user, wanted, now, &is_covered) {
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

    /// A user to be read alone, at random: neighbors in the queue may have the same fault.
    fn probe(&self, now: Instant, is_covered: impl Fn(&str) -> bool) -> Option<Arc<str>> {
        if self.probe.is_some() {
            return None;
        }
        let users = self.queue.values();
        let ready = users.filter(|user| self.is_ready(user, &self.wanted[*user], now, &is_covered));
        let ready: Vec<_> = ready.collect();
        let attempts = |user: &&&Arc<str>| self.suspects.attempts(user);
        let fewest = ready.iter().map(|user| attempts(&user)).min()?;
        let users: Vec<_> = ready.iter().filter(|it| attempts(it) == fewest).collect();
        fastrand::choice(users).map(|user| Arc::clone(user))
    }

    fn is_ready(
        &self,
        user: &str,
        wanted: &Wanted,
        now: Instant,
        is_covered: impl Fn(&str) -> bool,
    ) -> bool {
        let is_patient = self.kind(user, wanted) == Kind::AtOnce
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
        } else {
            Kind::AtOnce
        }
    }

    /// When [`Self::take`] may have something next.
    pub(in crate::watch) fn next(&self, now: Instant) -> Option<Instant> {
        let (is_doubtful, is_refused) = (self.health.is_doubtful(), self.health.is_refused());
        let times = self.wanted.iter().flat_map(|(user, wanted)| {
            let Wanted { since, due, .. } = *wanted;
            let is_paced = self.kind(user, wanted) != Kind::AtOnce;
            let is_paced = if is_doubtful { is_refused } else { is_paced };
            let paced_at = self.pace.at().filter(|_| is_paced);
            let earliest = [self.suspects.not_before(user), paced_at];
            let earliest = earliest.into_iter().flatten().fold(due, Instant::max);
            let times = [due, since.max(due) + LINGER, since + PATIENCE];
            times.map(|at| at.max(earliest))
        });
        let time = times.filter(|&at| at > now).min();
        let later = self.health.not_before.filter(|&at| at > now);
        let later = later.filter(|_| !self.wanted.is_empty());
        match (time, later) {
            (Some(time), Some(later)) => Some(time.max(later)),
            (time, later) => time.or(later),
        }
    }
}
