//! The topics of a channel: what is subscribed, and what the vendor answers.
//!
//! One subscription is on its way at a time, for one connection; an answer that comes
//! after the end of that connection says nothing of another one. What is written next is
//! the difference between the users and what the vendor has confirmed, at that time.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::{Action, Build, ChannelSlot, Effect, Generation, LINGER, Live, Writing, is_final};
use crate::error::Failure;
use crate::jitter::jittered;
use crate::watch::backoff::Backoff;
use crate::watch::users::UserSet;
use crate::watch::vendor::Subscribed;

/// How often all users are read again although nothing indicates a gap: the vendor does
/// not promise to deliver each notification.
const REFRESH_INTERVAL: Duration = Duration::from_hours(1);

/// What the vendor has answered about the topics of a connection's channel.
#[derive(Debug, Default)]
pub(super) struct Topics {
    /// The topics that it has. One that is being removed is none of them.
    pub permitted: UserSet,
    /// The topics that an answer left out, until another one has them.
    pub unconfirmed: UserSet,
    /// The topics that it does not take: others must not fail with them.
    pub untaken: UserSet,
    /// Whether it may have others, because a subscription failed: the next one replaces
    /// all.
    is_uncertain: bool,
    /// Whether it may have had fewer for a while, because a replacement failed.
    may_have_lost: bool,
}

impl Topics {
    /// Forgets a user whom nobody watches any more. The topic stays for a while.
    pub(super) fn forget(&mut self, user: &str) {
        self.unconfirmed.remove(user);
        self.untaken.remove(user);
    }

    pub(super) fn has_given_up(&self, user: &str) -> bool {
        self.unconfirmed.contains(user) || self.untaken.contains(user)
    }

    pub(super) fn has_given_up_any(&self) -> bool {
        !self.unconfirmed.is_empty() || !self.untaken.is_empty()
    }
}

impl ChannelSlot {
    /// The users who are to be read again now although there was no gap.
    pub(in crate::watch) fn refresh(&mut self, now: Instant) -> Vec<Arc<str>> {
        let Some(live) = &self.live else {
            return Vec::new();
        };
        if self.refresh_at.is_none_or(|at| now < at) {
            return Vec::new();
        }
        self.refresh_at = Some(now + jittered(REFRESH_INTERVAL));
        let covered = self.users.intersection(&live.topics.permitted);
        covered.cloned().collect()
    }

    /// Writes the topics of a new connection, or what differs in those of a live one.
    pub(super) fn write(&mut self, now: Instant) -> Option<Action> {
        if self.writing.is_some() {
            return None;
        }
        let is_wanted = |user: &Arc<str>| self.users.contains(user);
        if let Build::Subscribing(generation, channel) = &self.build {
            let (generation, channel) = (*generation, channel.channel.id.clone());
            let mut topics = Topics::default();
            if let Some(live) = &mut self.live
                && live.channel.channel.id == channel
            {
                // They are of the same channel: this connection may not lose them.
                live.topics.permitted.retain(is_wanted);
                topics.permitted.clone_from(&live.topics.permitted);
                topics.untaken.clone_from(&live.topics.untaken);
            }
            let new = self.refusals.choose(&self.users, &topics);
            let all = topics.permitted.into_iter().chain(new).collect();
            return Some(self.subscribe(generation, channel, all, true));
        }
        let live = self.live.as_mut()?;
        if self.write_at.is_none_or(|at| now < at) {
            return None;
        }
        self.write_at = None;
        let (generation, channel) = (live.generation, live.channel.channel.id.clone());
        let topics = &mut live.topics;
        let replaces = topics.is_uncertain || !topics.permitted.iter().all(is_wanted);
        let mut users = Vec::new();
        if replaces {
            topics.permitted.retain(is_wanted);
            users.extend(topics.permitted.iter().cloned());
        }
        users.extend(self.refusals.choose(&self.users, topics));
        if users.is_empty() && !replaces {
            return None;
        }
        Some(self.subscribe(generation, channel, users, replaces))
    }

    fn subscribe(
        &mut self,
        generation: Generation,
        channel: String,
        users: Vec<Arc<str>>,
        replaces: bool,
    ) -> Action {
        self.writing = Some(Writing {
            generation,
            users: users.clone(),
            replaces,
        });
        Action::Subscribe {
            channel,
            users,
            replaces,
        }
    }

    pub(super) fn write_soon(&mut self, at: Instant) {
        let at = self.write_at.map_or(at, |known| known.min(at));
        self.write_at = self.write_not_before.max(Some(at));
    }

    /// Has the topics written that are left; after the backoff if it `is_delayed`.
    fn write_again(&mut self, is_delayed: bool, retry_after: Option<Duration>, now: Instant) {
        let mut wait = LINGER;
        if is_delayed {
            wait = self.write_backoff.next(retry_after);
            self.write_not_before = Some(now + wait);
        }
        self.write_soon(now + wait);
    }

    /// Takes over the answer to the subscription that was on its way.
    pub(in crate::watch) fn subscribed(
        &mut self,
        result: Result<Subscribed, Failure>,
        now: Instant,
    ) -> Effect {
        let Some(writing) = self.writing.take() else {
            return Effect::default();
        };
        match result {
            Ok(subscribed) => {
                let first = self.go_live(writing.generation, now);
                let answered = self.confirm(writing, &subscribed);
                let missing: Vec<_> = self.missing().cloned().collect();
                if missing.is_empty() {
                    self.refusals.end_search();
                } else {
                    self.missing_since.get_or_insert(now);
                    self.write_again(self.refusals.are_many(), None, now);
                }
                // Those who came while it was on its way, and had notifications of another
                // connection.
                let lost = first.replaced.map_or_else(Vec::new, |_| missing);
                Effect {
                    lost,
                    replaced: first.replaced,
                    reason: first.reason,
                    ..answered
                }
            }
            Err(failure) if failure.error.is_unauthenticated() => Effect {
                unauthenticated: Some(failure),
                ..Effect::default()
            },
            Err(failure) => self.subscription_failed(writing, failure, now),
        }
    }

    /// Puts a connection that is now subscribed in place of the one before.
    fn go_live(&mut self, generation: Generation, now: Instant) -> Effect {
        if !self.is_subscribing(generation) {
            return Effect::default();
        }
        let build = std::mem::replace(&mut self.build, Build::Nothing);
        let Build::Subscribing(_, channel) = build else {
            return Effect::default();
        };
        self.refresh_at = Some(now + jittered(REFRESH_INTERVAL));
        self.is_refused = false;
        let before = self.live.replace(Live {
            generation,
            since: now,
            channel,
            topics: Topics::default(),
        });
        Effect {
            replaced: before.map(|live| live.generation),
            reason: std::mem::take(&mut self.resync),
            ..Effect::default()
        }
    }

    fn confirm(&mut self, writing: Writing, subscribed: &Subscribed) -> Effect {
        let mut effect = Effect::default();
        let live = self.live.as_mut();
        let Some(live) = live.filter(|live| live.generation == writing.generation) else {
            return effect;
        };
        let topics = &mut live.topics;
        let mut before = UserSet::default();
        if writing.replaces {
            topics.is_uncertain = false;
            before = std::mem::take(&mut topics.permitted);
            if std::mem::take(&mut topics.may_have_lost) {
                before.clear();
            }
        }
        for user in writing.users {
            topics.unconfirmed.remove(&user);
            self.refusals.forget(&user);
            if subscribed.permitted.contains(&user) {
                topics.permitted.insert(Arc::clone(&user));
                if self.users.contains(&user) && !before.contains(&user) {
                    effect.covered.push(user);
                }
            } else if let Some(failure) = subscribed.rejected.get(&user) {
                self.users.remove(&user);
                effect.rejected.push((user, failure.clone()));
            } else if self.users.contains(&user) {
                topics.unconfirmed.insert(user);
            }
        }
        self.refusals.accept();
        self.why = None;
        (self.write_backoff, self.write_not_before) = (Backoff::default(), None);
        effect
    }

    fn subscription_failed(&mut self, writing: Writing, failure: Failure, now: Instant) -> Effect {
        let generation = writing.generation;
        let status = failure.error.response().map(|response| response.status);
        let is_gone = matches!(status, Some(404 | 410));
        if let Build::Subscribing(of, channel) = &self.build
            && *of == generation
        {
            let channel = (!is_gone).then(|| channel.clone());
            return self.first_failed(&writing, failure, channel, now);
        }
        let live = self.live.as_mut();
        let Some(live) = live.filter(|live| live.generation == generation) else {
            return Effect::default();
        };
        if is_gone {
            let effect = self.lose(generation, failure, false, now);
            return Effect {
                replaced: Some(generation),
                ..effect
            };
        }
        let topics = &mut live.topics;
        let is_final = is_final(&failure);
        // If it is final, the vendor has what it had before.
        topics.is_uncertain |= writing.replaces || !is_final;
        topics.may_have_lost |= writing.replaces && !is_final;
        let mut is_repeated = !is_final;
        if is_final {
            let users = writing.users.into_iter();
            let new: Vec<_> = users.filter(|it| !topics.permitted.contains(it)).collect();
            if let [user] = &new[..]
                && self.users.contains(user)
            {
                topics.untaken.insert(Arc::clone(user));
            }
            self.refusals.refuse(&new, &self.users);
            let is_any_missing = self.missing().next().is_some();
            if !is_any_missing {
                self.refusals.end_search();
            }
            is_repeated = is_any_missing || writing.replaces && !new.is_empty();
        }
        if is_repeated {
            let is_delayed = !is_final || self.refusals.are_many();
            self.write_again(is_delayed, failure.error.retry_delay(), now);
        }
        self.why = Some(failure);
        Effect::default()
    }
}
