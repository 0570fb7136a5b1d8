//! The connection of a channel: how it is built, lost and replaced.

use std::time::Duration;

use tokio::time::Instant;

use super::{Action, Build, ChannelSlot, Effect, Generation, is_final};
use crate::error::{Error, Failure};
use crate::jitter::jittered;
use crate::telemetry::ResyncReason;
use crate::upstream::{ConnectError, ConnectErrorKind};
use crate::watch::backoff::{Backoff, spread};
use crate::watch::vendor::Channel;

/// How long a connection must last to end the backoff.
const STABLE: Duration = Duration::from_mins(1);

/// How long the vendor takes to close a socket that it will close: about a minute. The
/// new connection is opened within this time, so that thousands do not come at once.
const CLOSING_SPREAD: Duration = Duration::from_secs(5);

/// How long another channel is not tried after the vendor has refused one.
const REFUSED_DELAY: Duration = Duration::from_mins(10);

/// The life of a channel, if the vendor does not say it: its documented one, less an
/// hour.
const ASSUMED_LIFE: Duration = Duration::from_hours(23);

/// Attempts on one channel before another one is made.
const MAX_ATTEMPTS: u32 = 2;

impl ChannelSlot {
    /// Begins to build a connection.
    pub(in crate::watch) fn build(&mut self) -> Action {
        if let Some(channel) = &self.channel {
            self.build = Build::Opening;
            return Action::Open(channel.address.clone());
        }
        self.build = Build::Creating;
        Action::Create
    }

    /// Takes over a new channel.
    pub(in crate::watch) fn created(
        &mut self,
        result: Result<Channel, Failure>,
        now: Instant,
    ) -> Effect {
        match result {
            Ok(channel) => {
                let life = channel.life.unwrap_or(ASSUMED_LIFE);
                self.replace_at = Some(now + spread(life.mul_f64(0.9), life.mul_f64(0.8)));
                self.channel = Some(channel);
                self.attempts = 0;
                // At once: the next step opens it.
                self.build = Build::Waiting(now);
                Effect::default()
            }
            Err(failure) => self.fail(failure, now),
        }
    }

    /// Takes over a connection.
    pub(in crate::watch) fn opened(
        &mut self,
        result: Result<Generation, ConnectError>,
        now: Instant,
    ) -> Effect {
        match result {
            // Nobody may have announced the end of the channel meanwhile.
            Ok(generation) if self.channel.is_none() => {
                self.build = Build::Waiting(now);
                Effect {
                    replaced: Some(generation),
                    ..Effect::default()
                }
            }
            Ok(generation) => {
                self.build = Build::Subscribing(generation);
                self.forget_writing();
                Effect::default()
            }
            Err(error) => {
                self.attempts += 1;
                if error.kind != ConnectErrorKind::Connection || self.attempts >= MAX_ATTEMPTS {
                    self.channel = None;
                }
                let is_final = error.kind == ConnectErrorKind::NotAllowed;
                let effect = self.fail(Error::NotificationsUnavailable(error.why).into(), now);
                if is_final {
                    self.refuse(now);
                }
                effect
            }
        }
    }

    /// Takes over that a connection has ended.
    pub(in crate::watch) fn ended(
        &mut self,
        generation: Generation,
        why: &str,
        now: Instant,
    ) -> Effect {
        let failure = || Failure::from(Error::NotificationsUnavailable(why.to_owned()));
        if self.build == Build::Subscribing(generation) {
            return self.fail(failure(), now);
        }
        let Some((_, since)) = self.live.filter(|&(live, _)| live == generation) else {
            return Effect::default();
        };
        self.live = None;
        self.missing_since = Some(now);
        let is_stable = since + STABLE <= now;
        if is_stable {
            self.backoff = Backoff::default();
            self.attempts = 0;
        }
        // If another one is being built already, this one had to end: that is no fault, and
        // means nothing for the channel.
        if self.build == Build::Nothing {
            self.why = Some(failure());
            self.attempts += u32::from(!is_stable);
            if self.attempts >= MAX_ATTEMPTS {
                self.channel = None;
            }
            self.build = Build::Waiting(now + self.backoff.next(None));
        }
        Effect {
            lost: self.users.iter().cloned().collect(),
            ..Effect::default()
        }
    }

    /// Takes over that the vendor will close a connection: another one is opened before.
    pub(in crate::watch) fn closing(&mut self, generation: Generation, now: Instant) {
        if self.build == Build::Nothing && self.is_live(generation) {
            self.build = Build::Waiting(now + spread(Duration::ZERO, CLOSING_SPREAD));
        }
    }

    /// Takes over that the channel of a connection gets no notifications any more.
    pub(in crate::watch) fn unsubscribed(
        &mut self,
        generation: Generation,
        now: Instant,
    ) -> Effect {
        if !self.is_live(generation) {
            return Effect::default();
        }
        // Otherwise, the first subscription shows whether the channel is gone.
        if !matches!(self.build, Build::Subscribing(_)) {
            self.channel = None;
        }
        let why = "the vendor has ended the subscriptions";
        let mut effect = self.ended(generation, why, now);
        effect.replaced = Some(generation);
        self.resync = ResyncReason::Unsubscribed;
        effect
    }

    /// Takes over that no connection could be built.
    pub(in crate::watch) fn fail(&mut self, failure: Failure, now: Instant) -> Effect {
        self.forget_writing();
        if failure.error.is_unauthenticated() {
            return Effect {
                unauthenticated: Some(failure),
                ..Effect::default()
            };
        }
        let is_final = is_final(&failure);
        let wait = self.backoff.next(failure.error.retry_delay());
        self.build = Build::Waiting(now + wait);
        self.why = Some(failure);
        if is_final {
            self.refuse(now);
        }
        Effect::default()
    }

    /// Ignores the answer to a subscription of another connection.
    fn forget_writing(&mut self) {
        if let Some(writing) = &mut self.writing {
            writing.is_obsolete = true;
        }
    }

    /// Polls until the vendor may have changed its mind.
    pub(in crate::watch) fn refuse(&mut self, now: Instant) {
        self.channel = None;
        self.is_refused = true;
        self.build = Build::Waiting(now + jittered(REFUSED_DELAY));
    }
}
