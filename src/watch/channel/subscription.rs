//! The topics of a channel: what is subscribed, and what the vendor answers.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::{Action, Build, ChannelSlot, Effect, Writing, is_final};
use crate::error::Failure;
use crate::jitter::jittered;
use crate::watch::vendor::Subscribed;

/// How often all users are read again although nothing indicates a gap: the vendor does
/// not promise to deliver each notification.
const REFRESH_INTERVAL: Duration = Duration::from_hours(1);

impl ChannelSlot {
    /// The users who are to be read again now although there was no gap.
    pub(in crate::watch) fn refresh(&mut self, now: Instant) -> Vec<Arc<str>> {
        if self.live.is_none() || self.refresh_at.is_none_or(|at| now < at) {
            return Vec::new();
        }
        self.refresh_at = Some(now + jittered(REFRESH_INTERVAL));
        let covered = self.users.intersection(&self.subscribed);
        covered.cloned().collect()
    }

    pub(in crate::watch) fn subscribe_all(&mut self) -> Option<Action> {
        let users: Vec<_> = self.users.iter().cloned().collect();
        self.write_at = None;
        self.subscribe(users, true)
    }

    pub(in crate::watch) fn subscribe(
        &mut self,
        users: Vec<Arc<str>>,
        replaces: bool,
    ) -> Option<Action> {
        let channel = self.channel.as_ref()?.id.clone();
        self.writing = Some(Writing {
            users: users.clone(),
            is_obsolete: false,
        });
        Some(Action::Subscribe {
            channel,
            users,
            replaces,
        })
    }

    /// Writes what has changed in the topics of a channel that is live.
    pub(in crate::watch) fn write(&mut self, now: Instant) -> Option<Action> {
        if self.writing.is_some() || self.write_at.is_none_or(|at| now < at) {
            return None;
        }
        self.write_at = None;
        let is_new =
            |user: &&Arc<str>| !self.subscribed.contains(*user) && !self.untaken.contains(*user);
        let new: Vec<_> = self.users.iter().filter(is_new).cloned().collect();
        let has_old = self
            .subscribed
            .iter()
            .any(|user| !self.users.contains(user));
        if has_old {
            return self.subscribe_all();
        }
        if new.is_empty() {
            return None;
        }
        self.subscribe(new, false)
    }

    pub(in crate::watch) fn write_soon(&mut self, at: Instant) {
        self.write_at = Some(self.write_at.map_or(at, |known| known.min(at)));
    }

    /// Takes over the answer to a subscription.
    pub(in crate::watch) fn subscribed(
        &mut self,
        replaces: bool,
        result: Result<Subscribed, Failure>,
        now: Instant,
    ) -> Effect {
        let Some(Writing {
            users: written,
            is_obsolete: false,
        }) = self.writing.take()
        else {
            return Effect::default();
        };
        let subscribed = match result {
            Ok(subscribed) => subscribed,
            Err(failure) => return self.subscription_failed(failure, written, now),
        };
        let mut effect = Effect::default();
        // The topics of a new connection are all new.
        let is_first = self.build != Build::Nothing;
        let before = if replaces {
            std::mem::take(&mut self.subscribed)
        } else {
            HashSet::new()
        };
        for user in written {
            self.unconfirmed.remove(&user);
            self.untaken.remove(&user);
            if subscribed.permitted.contains(&user) {
                self.subscribed.insert(Arc::clone(&user));
                if is_first || !before.contains(&user) {
                    effect.covered.push(user);
                }
            } else if let Some(failure) = subscribed.rejected.get(&user) {
                self.users.remove(&user);
                effect.rejected.push((user, failure.clone()));
            } else if self.users.contains(&user) {
                self.unconfirmed.insert(Arc::clone(&user));
            }
        }
        if let Build::Subscribing(generation) = self.build {
            self.build = Build::Nothing;
            let before = self.live.replace((generation, now));
            effect.replaced = before.map(|(generation, _)| generation);
            effect.reason = std::mem::take(&mut self.resync);
            self.refresh_at = Some(now + jittered(REFRESH_INTERVAL));
            self.is_refused = false;
            self.why = None;
        }
        effect
    }

    pub(in crate::watch) fn subscription_failed(
        &mut self,
        failure: Failure,
        written: Vec<Arc<str>>,
        now: Instant,
    ) -> Effect {
        let status = failure.error.response().map(|response| response.status);
        if let Some(404 | 410) = status {
            // The channel is gone.
            self.channel = None;
        }
        if let Build::Subscribing(generation) = self.build {
            let mut effect = self.fail(failure, now);
            effect.replaced = Some(generation);
            return effect;
        }
        if failure.error.is_unauthenticated() {
            return Effect {
                unauthenticated: Some(failure),
                ..Effect::default()
            };
        }
        let is_final = is_final(&failure);
        let wait = self.backoff.next(failure.error.retry_delay());
        self.why = Some(failure);
        if is_final {
            let new = written
                .into_iter()
                .filter(|it| !self.subscribed.contains(it));
            self.untaken.extend(new);
            return Effect::default();
        }
        if self.channel.is_none() {
            self.build = Build::Waiting(now + wait);
        }
        self.write_soon(now + wait);
        Effect::default()
    }
}
