//! The user who is read alone while nothing else can be.
//!
//! Best is a witness: a user who could be read before. If the witness can be read, those who
//! failed are the cause themselves.

use std::sync::Arc;

use tokio::time::Instant;

use super::{Reads, Wanted};
use crate::watch::users::UserSet;

/// Why a user is read alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Wanted,
    /// It is new since the first failure.
    Fresh,
    /// It is a witness whom nobody wants to be read.
    Extra,
}

#[derive(Debug, Default)]
pub(super) struct Probe {
    /// The user who is being read alone.
    user: Option<(Arc<str>, Role)>,
    /// Whether the batch that ended last was such a user.
    pub ended: Option<Role>,
    /// The witnesses that failed since the last success.
    pub failed: UserSet,
}

impl Probe {
    pub(super) fn end(&mut self, user: &str) {
        if let Some((_, role)) = self.user.take_if(|(probe, _)| **probe == *user) {
            self.ended = Some(role);
        }
    }
}

impl Reads {
    /// The next user to be read alone after a failure: a witness, or who has not failed yet,
    /// or who failed least often. At random, as neighbors in the queue may have the same
    /// fault.
    pub(super) fn probe(
        &mut self,
        now: Instant,
        is_covered: &dyn Fn(&str) -> bool,
    ) -> Option<Arc<str>> {
        if self.probe.user.is_some() || self.wanted.is_empty() {
            return None;
        }
        let wanted = self.wanted.iter().filter(|&(user, wanted)| {
            let at = if self.is_fresh(user, wanted) {
                self.health.fresh_at()
            } else {
                self.health.not_before
            };
            at <= Some(now) && self.is_ready(user, wanted, now, is_covered)
        });
        let wanted = wanted.map(|(user, _)| user);
        let witnesses = self.read.iter().filter(|user| self.is_witness(user));
        let witnesses = witnesses.filter(|_| self.health.witness_at() <= Some(now));
        let user = self.best(wanted.chain(witnesses), |user| {
            (self.has_failed(user), !self.read.contains(user))
        })?;
        let role = match self.wanted.get(&user) {
            None => Role::Extra,
            Some(wanted) if self.is_fresh(&user, wanted) => Role::Fresh,
            Some(_) => Role::Wanted,
        };
        self.probe.user = Some((Arc::clone(&user), role));
        Some(user)
    }

    /// The next user to be read alone while all are refused alike. Those who could be read
    /// before come first, or not at all.
    pub(super) fn probe_refused(
        &mut self,
        now: Instant,
        is_covered: &dyn Fn(&str) -> bool,
        takes_read: bool,
    ) -> Option<Arc<str>> {
        if self.probe.user.is_some() {
            return None;
        }
        let users = self.wanted.iter().filter(|&(user, wanted)| {
            (takes_read || !self.read.contains(user))
                && self.is_ready(user, wanted, now, is_covered)
        });
        let users = users.map(|(user, _)| user);
        let user = self.best(users, |user| (false, !self.read.contains(user)))?;
        self.probe.user = Some((Arc::clone(&user), Role::Wanted));
        Some(user)
    }

    /// One of the users with the lowest rank who failed least often.
    fn best<'a>(
        &self,
        users: impl Iterator<Item = &'a Arc<str>>,
        rank: impl Fn(&str) -> (bool, bool),
    ) -> Option<Arc<str>> {
        let users = users.map(|user| ((rank(user), self.suspects.attempts(user)), user));
        let users: Vec<_> = users.collect();
        let lowest = users.iter().map(|&(rank, _)| rank).min()?;
        let users: Vec<_> = users.iter().filter(|&&(rank, _)| rank == lowest).collect();
        fastrand::choice(users).map(|&(_, user)| Arc::clone(user))
    }

    /// Whether a user could be read before, and has not failed since.
    fn is_witness(&self, user: &str) -> bool {
        self.read.contains(user) && !self.has_failed(user) && !self.in_flight.contains_key(user)
    }

    fn has_failed(&self, user: &str) -> bool {
        self.suspects.has(user) || self.probe.failed.contains(user)
    }

    /// Whether a user is new since the first failure, and no other such user has failed since.
    fn is_fresh(&self, user: &str, wanted: &Wanted) -> bool {
        Some(wanted.since) > self.health.fresh_since
            && !self.has_failed(user)
            && !self.read.contains(user)
    }

    /// When [`Self::probe`] may have a witness or a new user next.
    pub(super) fn next_probe(&self) -> Option<Instant> {
        if self.probe.user.is_some() || !self.health.is_failing() || self.wanted.is_empty() {
            return None;
        }
        let is_any_fresh = || {
            let mut wanted = self.wanted.iter();
            wanted.any(|(user, wanted)| self.is_fresh(user, wanted))
        };
        let fresh_at = self.health.fresh_at().filter(|_| is_any_fresh());
        fresh_at.into_iter().chain(self.health.witness_at()).min()
    }
}
