//! The connection of a channel: how it is built, lost and replaced.

use std::time::Duration;

use tokio::time::Instant;

use super::{Action, Build, ChannelSlot, Effect, Generation, OwnChannel, is_final};
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

impl OwnChannel {
    /// The channel after a connection to it could not be made, or did not last. `None`, if
    /// another one is tried.
    fn failed(mut self) -> Option<Self> {
        self.failures += 1;
        (self.failures < MAX_ATTEMPTS).then_some(self)
    }
}

impl ChannelSlot {
    /// Begins to build a connection, if it is time.
    pub(super) fn build(&mut self, now: Instant) -> Option<Action> {
        if matches!(self.build, Build::Nothing) {
            let (wait, channel) = match &self.live {
                None => (Duration::ZERO, None),
                Some(live) if self.closing == Some(live.generation) => {
                    let channel = live.channel.clone();
                    let wait = self.delay_after(live.since, now);
                    let wait = wait.max(spread(Duration::ZERO, CLOSING_SPREAD));
                    (wait, Some(channel))
                }
                // However short the lives of channels are, requests are few.
                Some(live) if live.channel.replace_at <= now => {
                    (self.delay_after(live.since, now), None)
                }
                Some(_) => return None,
            };
            self.build = Build::Waiting(now + wait, channel);
        }
        match &mut self.build {
            Build::Waiting(at, channel) if *at <= now => {
                if let Some(channel) = channel.take() {
                    let address = channel.channel.address.clone();
                    self.build = Build::Opening(channel);
                    return Some(Action::Open(address));
                }
                self.build = Build::Creating;
                Some(Action::Create)
            }
            _ => None,
        }
    }

    /// How long to wait before the connection that follows one that began then.
    fn delay_after(&mut self, since: Instant, now: Instant) -> Duration {
        if since + STABLE <= now {
            self.backoff = Backoff::default();
        }
        self.backoff.next(None)
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
                let own = OwnChannel {
                    channel,
                    replace_at: now + spread(life.mul_f64(0.9), life.mul_f64(0.8)),
                    failures: 0,
                };
                // At once: the next step opens it.
                self.build = Build::Waiting(now, Some(own));
                Effect::default()
            }
            Err(failure) => self.fail(failure, None, now),
        }
    }

    /// Takes over a connection.
    pub(in crate::watch) fn opened(
        &mut self,
        result: Result<Generation, ConnectError>,
        now: Instant,
    ) -> Effect {
        let Build::Opening(channel) = std::mem::replace(&mut self.build, Build::Nothing) else {
            return Effect {
                replaced: result.ok(),
                ..Effect::default()
            };
        };
        match result {
            Ok(generation) => {
                self.build = Build::Subscribing(generation, channel);
                self.refusals.begin_connection();
                Effect::default()
            }
            Err(error) => {
                let is_same = error.kind == ConnectErrorKind::Connection;
                let channel = channel.failed().filter(|_| is_same);
                let is_final = error.kind == ConnectErrorKind::NotAllowed;
                let failure = Error::NotificationsUnavailable(error.why).into();
                let effect = self.fail(failure, channel, now);
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
        let failure = Error::NotificationsUnavailable(why.to_owned()).into();
        match &self.build {
            Build::Subscribing(of, channel) if *of == generation => {
                let channel = channel.clone().failed();
                self.fail(failure, channel, now)
            }
            _ => self.lose(generation, failure, true, now),
        }
    }

    /// Takes over that the vendor will close a connection: another one is opened before.
    pub(in crate::watch) fn closing(&mut self, generation: Generation) {
        if self.is_live(generation) || self.is_subscribing(generation) {
            self.closing = Some(generation);
        }
    }

    /// Gives up the channel if it has had no users for some time. Returns a connection that
    /// is to be closed, one after the other.
    pub(in crate::watch) fn close(&mut self, now: Instant) -> Option<Generation> {
        let is_due = self.write_at.is_some_and(|at| at <= now) && self.writing.is_none();
        if !self.users.is_empty() || !is_due {
            return None;
        }
        match self.build {
            Build::Subscribing(generation, _) => {
                self.build = Build::Nothing;
                return Some(generation);
            }
            Build::Nothing | Build::Waiting(..) => self.build = Build::Nothing,
            // Until it is done.
            Build::Creating | Build::Opening(_) => {}
        }
        self.live.take().map(|live| live.generation)
    }

    /// Takes over that the channel of a connection gets no notifications any more.
    pub(in crate::watch) fn unsubscribed(
        &mut self,
        generation: Generation,
        now: Instant,
    ) -> Effect {
        let why = "the vendor has ended the subscriptions";
        let failure = Error::NotificationsUnavailable(why.to_owned()).into();
        let is_subscribing = self.is_subscribing(generation);
        if !is_subscribing && !self.is_live(generation) {
            return Effect::default();
        }
        self.resync = ResyncReason::Unsubscribed;
        let effect = if is_subscribing {
            self.fail(failure, None, now)
        } else {
            self.lose(generation, failure, false, now)
        };
        Effect {
            replaced: Some(generation),
            ..effect
        }
    }

    /// Takes over that a connection brings no notifications any more. The next one is to
    /// the same channel, if that `has_channel` still.
    pub(super) fn lose(
        &mut self,
        generation: Generation,
        failure: Failure,
        has_channel: bool,
        now: Instant,
    ) -> Effect {
        let Some(live) = self.live.take_if(|live| live.generation == generation) else {
            return Effect::default();
        };
        self.missing_since.get_or_insert(now);
        match &mut self.build {
            Build::Nothing => {
                self.why = Some(failure);
                let wait = self.delay_after(live.since, now);
                let channel = if live.since + STABLE <= now {
                    Some(OwnChannel {
                        failures: 0,
                        ..live.channel
                    })
                } else {
                    live.channel.failed()
                };
                self.build = Build::Waiting(now + wait, channel.filter(|_| has_channel));
            }
            Build::Waiting(_, channel) if !has_channel => *channel = None,
            // The next one is on its way, and shows itself whether its channel is usable. This
            // one had to end: that is no fault.
            _ => {}
        }
        Effect {
            lost: self.users.iter().cloned().collect(),
            ..Effect::default()
        }
    }

    /// Takes over that no connection could be built. The next attempt is on this channel,
    /// or on a new one.
    pub(super) fn fail(
        &mut self,
        failure: Failure,
        channel: Option<OwnChannel>,
        now: Instant,
    ) -> Effect {
        if failure.error.is_unauthenticated() {
            return Effect {
                unauthenticated: Some(failure),
                ..Effect::default()
            };
        }
        let is_final = is_final(&failure);
        let wait = self.backoff.next(failure.error.retry_delay());
        self.build = Build::Waiting(now + wait, channel);
        self.why = Some(failure);
        if is_final {
            self.refuse(now);
        }
        Effect::default()
    }

    /// Polls until the vendor may have changed its mind.
    fn refuse(&mut self, now: Instant) {
        self.is_refused = true;
        self.build = Build::Waiting(now + jittered(REFUSED_DELAY), None);
    }
}
