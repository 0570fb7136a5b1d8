//! What the task of a token does next, from what its channels, reads and polls want and
//! from what has happened. It has no clock and sends nothing.

mod members;
mod outcome;

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::channel::{Action, ChannelSlot, Generation};
use super::polls;
use super::reads::Reads;
use super::shared::{Inner, Notice};
use super::state::State;
use super::task::BatchUser;
use super::{Settings, WatchMode};
use crate::error::{Error, Failure};
use crate::proto::v1::user_presence_change::Cause;
use crate::telemetry::{ResyncReason, WatchCounts, WatchHoldings};
use crate::watch::users::UserSet;

/// How long nothing is waited for at most: a bound, not a period of anything.
const IDLE: Duration = Duration::from_hours(1);

/// How often texts that cannot be read, or late heartbeats, make all users of a channel be
/// read again.
const GAP_INTERVAL: Duration = Duration::from_mins(1);

/// Something for the task to do.
#[derive(Debug)]
pub(super) enum Step {
    Channel(usize, Action),
    /// Read these users by their ids.
    Read(Vec<BatchUser>, Vec<String>),
    /// Close this connection.
    Stop(Generation),
}

/// The plan of one token.
#[derive(Debug)]
pub(super) struct Plan {
    settings: Settings,
    counts: WatchCounts,
    holdings: WatchHoldings,
    slots: Vec<ChannelSlot>,
    /// Whether the users of a channel are polled, as it was last seen.
    polled_slots: Vec<bool>,
    /// Users for whom no channel has room.
    unassigned: UserSet,
    reads: Reads,
    /// Why the last read failed.
    read_why: Option<Failure>,
    poll_at: Option<Instant>,
    /// When the first user who is kept is to be removed.
    expire_at: Option<Instant>,
    /// When the users of a channel were read last because of a gap of a connection that
    /// goes on, or will be.
    gap_at: Vec<Option<Instant>>,
    next_generation: Generation,
    stops: Vec<Generation>,
}

impl Plan {
    pub(super) fn new(settings: Settings, counts: WatchCounts) -> Self {
        let channels = match settings.limits.mode {
            WatchMode::Auto => settings.limits.channels,
            WatchMode::Poll => 0,
        };
        Self {
            settings,
            holdings: WatchHoldings::new(counts.clone()),
            counts,
            slots: (0..channels)
                .map(|_| ChannelSlot::new(settings.limits.poll_after))
                .collect(),
            polled_slots: vec![false; channels],
            unassigned: UserSet::default(),
            reads: Reads::new(&settings),
            read_why: None,
            poll_at: None,
            expire_at: None,
            gap_at: vec![None; channels],
            next_generation: 0,
            stops: Vec::new(),
        }
    }

    /// Takes over what has changed, and returns what to do now.
    pub(super) fn steps(&mut self, inner: &mut Inner, now: Instant) -> Vec<Step> {
        self.take_members(inner, now);
        for (slot, generation, notice) in std::mem::take(&mut inner.notices) {
            self.take_notice(inner, slot, generation, notice, now);
        }
        for user in std::mem::take(&mut inner.state.unclear) {
            inner.state.set_stale(&user);
            if inner.state.is_watched(&user) {
                self.reads.want_paced(&user, Cause::Change, now);
            }
        }
        self.refresh(inner, now);
        self.poll(inner, now);
        let mut steps = Vec::new();
        for (index, slot) in self.slots.iter_mut().enumerate() {
            // A new channel is opened in the same step.
            while let Some(action) = slot.act(now) {
                steps.push(Step::Channel(index, action));
            }
            while let Some(generation) = slot.close(now) {
                self.stops.push(generation);
            }
        }
        while let Some(batch) = self.take_batch(inner, now) {
            steps.push(batch);
        }
        steps.extend(self.stops.drain(..).map(Step::Stop));
        self.expire_at = inner.state.next_expiry();
        inner.state.why = self.why(&inner.state);
        inner.state.offer_states();
        self.count(inner);
        steps
    }

    /// When [`Self::steps`] has something to do next.
    pub(super) fn next(&self, now: Instant) -> Instant {
        let channels = self.slots.iter().filter_map(|slot| slot.next(now));
        let others = [self.reads.next(now), self.poll_at, self.expire_at];
        let times = channels.chain(others.into_iter().flatten());
        times.min().unwrap_or(now + IDLE)
    }

    fn take_notice(
        &mut self,
        inner: &mut Inner,
        index: usize,
        generation: Generation,
        notice: Notice,
        now: Instant,
    ) {
        let slot = &mut self.slots[index];
        match notice {
            Notice::Closing => slot.closing(generation),
            Notice::Unsubscribed => {
                let effect = slot.unsubscribed(generation, now);
                self.apply(inner, effect, now);
            }
            Notice::Revoked => inner.end(&Error::TokenRevoked.into()),
            Notice::Gap if slot.is_live(generation) => {
                let covered = slot.users().filter(|user| slot.covers(user)).cloned();
                let covered: Vec<Arc<str>> = covered.collect();
                let before = self.gap_at[index];
                let at = before.map_or(now, |at| {
                    let next = if at > now { at } else { at + GAP_INTERVAL };
                    next.max(now)
                });
                self.gap_at[index] = Some(at);
                self.resync(inner, &covered, at, now);
                if before != Some(at) {
                    self.counts.record_resync(ResyncReason::Gap);
                }
            }
            Notice::Gap => {}
        }
    }

    /// Wants the users of a channel to be read from time to time, although nothing
    /// indicates a gap.
    fn refresh(&mut self, inner: &Inner, now: Instant) {
        for slot in &mut self.slots {
            let users = slot.refresh(now).into_iter();
            let users = users.filter(|user| inner.state.is_watched(user));
            let mut is_any = false;
            for user in users {
                is_any = true;
                self.reads.want(&user, Cause::Resync, now);
            }
            if is_any {
                self.counts.record_resync(ResyncReason::Periodic);
            }
        }
    }

    /// Wants the polled users to be read, when it is time.
    fn poll(&mut self, inner: &mut Inner, now: Instant) {
        for (slot, was_polled) in self.slots.iter().zip(&mut self.polled_slots) {
            let is_polled = slot.polls_any(now);
            if is_polled && !std::mem::replace(was_polled, is_polled) {
                self.poll_at = Some(now);
            }
            *was_polled = is_polled;
        }
        if self.poll_at.is_none_or(|at| now < at) {
            return;
        }
        let users = inner.state.users.iter();
        let polled = users.filter(|(user, _)| self.is_polled(user, now));
        let polled = polled.map(|(key, user)| (Arc::clone(key), user.is_watched()));
        let (polled, unwatched): (Vec<_>, Vec<_>) = polled.partition(|&(_, is_watched)| is_watched);
        for (user, _) in unwatched {
            self.remove(inner, &user, now);
        }
        if polled.is_empty() {
            self.poll_at = None;
            return;
        }
        for (user, _) in &polled {
            // A read that takes longer than the interval is of this poll, too.
            if !self.reads.is_in_flight(user) {
                self.reads.want(user, Cause::Change, now);
            }
        }
        self.poll_at = Some(now + polls::interval(polled.len(), &self.settings));
    }

    fn is_polled(&self, user: &str, now: Instant) -> bool {
        self.unassigned.contains(user) || self.slots.iter().any(|slot| slot.polls(user, now))
    }

    fn is_covered(&self, user: &str) -> bool {
        self.slots.iter().any(|slot| slot.covers(user))
    }

    fn take_batch(&mut self, inner: &Inner, now: Instant) -> Option<Step> {
        let (unassigned, slots) = (&self.unassigned, &self.slots);
        let needs_no_wait = |user: &str| {
            unassigned.contains(user)
                || slots
                    .iter()
                    .any(|slot| slot.covers(user) || slot.polls(user, now))
        };
        let batch = self.reads.take(now, &needs_no_wait)?;
        let mut ids = Vec::with_capacity(batch.len());
        let users = batch.into_iter().map(|(key, cause)| {
            let user = inner.state.users.get(&key);
            ids.push(user.map_or_else(|| key.to_string(), |user| user.id.clone()));
            (key, user.map_or(0, |user| user.events), cause)
        });
        Some(Step::Read(users.collect(), ids))
    }

    /// Why watches are not live, or reads late.
    fn why(&self, state: &State) -> Option<Failure> {
        let of_slots = self.slots.iter().find_map(|slot| slot.why.clone());
        let of_users = (state.polled > 0 || !self.unassigned.is_empty()).then(|| {
            let why = match self.settings.limits.mode {
                WatchMode::Poll => "the gateway is set to poll (--watch-mode)".to_owned(),
                WatchMode::Auto if self.unassigned.is_empty() => {
                    "the vendor has not confirmed the topics of some users".to_owned()
                }
                WatchMode::Auto => format!(
                    "the token watches more users than {} channels of the vendor hold \
                     (--watch-channels)",
                    self.slots.len()
                ),
            };
            Error::NotificationsUnavailable(why).into()
        });
        // Why users are polled holds for longer than the failure of a read, which may be of
        // another watch.
        let why = of_slots.or(of_users).or_else(|| self.read_why.clone())?;
        // All watches of the token get it, and not all watch the users of that request.
        Some(Failure {
            error: why.error.without_upstream_texts(),
            ..why
        })
    }

    fn count(&mut self, inner: &Inner) {
        let live = self.slots.iter().filter(|slot| slot.is_connected());
        let topics = self.slots.iter().map(ChannelSlot::topics).sum();
        self.holdings.set(live.count(), topics, inner.state.polled);
    }
}
