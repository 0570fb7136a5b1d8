//! Topics that the vendor refuses: it refuses a write as a whole because of one of them.
//! So a write that is refused is halved, until the topic is alone.

use std::sync::Arc;

use tokio::time::Instant;

use super::subscription::Topics;
use super::{Build, ChannelSlot, Effect, OwnChannel, Writing, is_final};
use crate::error::Failure;
use crate::watch::users::UserSet;

/// How many topics of a connection are refused alone until the vendor is taken to refuse
/// all, if it has taken none; until writes are delayed, if it has taken one.
const MAX_ALONE: usize = 4;

/// What the vendor has refused, and how much a write may have therefore.
#[derive(Debug)]
pub(super) struct Refusals {
    /// How many new topics a write may have.
    most: usize,
    /// Whether one of those that come next was in a write that was refused.
    is_searching: bool,
    /// The users whose topics were refused alone, by any connection.
    suspects: UserSet,
    /// How many topics were refused alone since a connection was opened.
    alone: usize,
}

/// The order in which new topics are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    New,
    Suspect,
    /// An answer has left it out. Last, so that each write decides about another one.
    Unconfirmed,
}

impl Default for Refusals {
    fn default() -> Self {
        Self {
            most: usize::MAX,
            is_searching: false,
            suspects: UserSet::default(),
            alone: 0,
        }
    }
}

impl Refusals {
    /// The new topics of the next write. Suspects are in none with others, which would fail
    /// with them.
    pub(super) fn choose(&self, users: &UserSet, topics: &Topics) -> Vec<Arc<str>> {
        let rank = |user: &Arc<str>| {
            if topics.unconfirmed.contains(user) {
                Rank::Unconfirmed
            } else if self.suspects.contains(user) {
                Rank::Suspect
            } else {
                Rank::New
            }
        };
        let is_open =
            |user: &&Arc<str>| !topics.permitted.contains(*user) && !topics.untaken.contains(*user);
        let users = users.iter().filter(is_open);
        let mut users: Vec<_> = users.map(|user| (rank(user), user)).collect();
        if users.iter().any(|&(rank, _)| rank == Rank::New) {
            users.retain(|&(rank, _)| rank != Rank::Suspect);
        }
        users.sort_by_key(|&(rank, _)| rank);
        let users = users.into_iter().take(self.most);
        users.map(|(_, user)| Arc::clone(user)).collect()
    }

    /// Takes over that the vendor has accepted a write.
    pub(super) fn accept(&mut self) {
        if self.is_searching {
            // The topic is in the other half.
            self.is_searching = self.most > 1;
            self.most = self.most.div_ceil(2);
        } else {
            self.most = self.most.saturating_mul(2);
        }
    }

    /// Takes over that the vendor has refused a write of these new topics.
    pub(super) fn refuse(&mut self, new: &[Arc<str>], users: &UserSet) {
        self.is_searching = new.len() > 1;
        match new {
            [] => {}
            [user] => {
                self.alone += 1;
                self.suspects.extend(users.get(user).cloned());
            }
            _ => self.most = new.len().div_ceil(2),
        }
    }

    /// Nothing is left to write.
    pub(super) fn end_search(&mut self) {
        (self.most, self.is_searching) = (usize::MAX, false);
    }

    pub(super) fn forget(&mut self, user: &str) {
        self.suspects.remove(user);
    }

    /// Begins to count those of a new connection.
    pub(super) fn begin_connection(&mut self) {
        self.alone = 0;
    }

    /// Whether so many were refused alone that others may be, too.
    pub(super) fn are_many(&self) -> bool {
        self.alone >= MAX_ALONE
    }
}

impl ChannelSlot {
    /// Takes over that the first subscription of a connection has failed, whose channel may
    /// be used further. The connection goes on unless the vendor seems to refuse all topics.
    pub(super) fn first_failed(
        &mut self,
        writing: &Writing,
        failure: Failure,
        channel: Option<OwnChannel>,
        now: Instant,
    ) -> Effect {
        let given_up = Effect {
            replaced: Some(writing.generation),
            ..Effect::default()
        };
        if is_final(&failure) {
            self.refusals.refuse(&writing.users, &self.users);
            let id = |channel: &OwnChannel| channel.channel.id.clone();
            let live = self.live.as_ref().map(|live| id(&live.channel));
            if live.is_some() && live == channel.as_ref().map(id) {
                // A write of fewer topics would end some that the channel has.
                self.build = Build::Waiting(now, None);
                self.why = Some(failure);
                return given_up;
            }
            if self.users.is_subset(&self.refusals.suspects) {
                // All are alike.
                self.refusals.suspects.clear();
            } else if !self.refusals.are_many() {
                self.why = Some(failure);
                return Effect::default();
            }
        }
        let effect = self.fail(failure, channel, now);
        Effect {
            unauthenticated: effect.unauthenticated,
            ..given_up
        }
    }
}
