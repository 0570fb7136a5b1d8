//! The sliding window of each token: the requests that were sent, and those that
//! wait.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use foldhash::fast::RandomState;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::limits::{MAX_TOKENS, WINDOW};
use super::throttle::Throttle;
use crate::token_key::TokenKey;
use crate::upstream::budget_store::{Amendment, Starts, StoreTime, Turn};

/// The number of tokens at which the first sweep removes the idle ones.
pub(super) const FIRST_SWEEP: usize = 1024;

#[derive(Debug, Default)]
pub(super) struct TokenWindows {
    pub(super) tokens: HashMap<TokenKey, TokenWindow, RandomState>,
    /// The number of tokens at which the next sweep removes the idle ones.
    pub(super) sweep_at: usize,
}

/// The requests of one token, and its throttle.
#[derive(Debug, Default)]
pub(super) struct TokenWindow {
    /// When each request of the last minute was sent, in order.
    pub(super) sent: VecDeque<Instant>,
    /// With a budget store, the time of each of them there; `None` for one that the
    /// store was not sent. Empty without a store.
    pub(super) stored: VecDeque<Option<StoreTime>>,
    /// How many permits are open: neither committed nor dropped.
    pub(super) open_permits: usize,
    /// The numbers of the reservations that wait, in order.
    pub(super) queue: VecDeque<u64>,
    /// With a budget store, the turns of these reservations, in order: the first
    /// reservation uses the first turn. Empty without a store.
    pub(super) turns: VecDeque<Turn>,
    /// The latest time in the store that this replica has chosen itself.
    pub(super) last_start: Option<StoreTime>,
    /// The number of the next reservation.
    pub(super) next_number: u64,
    /// Notified when a queued request may start at another time than before.
    pub(super) changed: Arc<Notify>,
    /// How often the vendor has throttled the token. A request of an earlier
    /// epoch says nothing about the present one.
    pub(super) epoch: u64,
    /// The adaptive limit, since the vendor refused the token; boxed, because few
    /// tokens are ever refused.
    pub(super) throttle: Option<Box<Throttle>>,
    /// Whether the vendor knows the token: callers may send any text as one.
    pub(super) is_valid: bool,
}

impl TokenWindow {
    /// When the request at this position of the queue may start. From then on,
    /// the window has room for it and for all requests before it in the queue,
    /// even if they all start at that moment; and the throttle, if there is one,
    /// allows it.
    pub(super) fn earliest_start(&self, position: usize, now: Instant, limit: usize) -> Instant {
        let started = self.sent.len() + self.open_permits;
        let mut before = started + position;
        let mut whole_windows = Duration::ZERO;
        let room = loop {
            let Some(oldest) = before.checked_sub(limit) else {
                break now;
            };
            if let Some(&sent) = self.sent.get(oldest) {
                break sent + WINDOW;
            }
            if oldest < started {
                // Its permit is open, and is committed now at the earliest.
                break now + WINDOW;
            }
            // That request is still in the queue. It starts by the same rule, and
            // this one a window after it.
            before = oldest;
            whole_windows += WINDOW;
        };
        let start = room.max(now) + whole_windows;
        let turn = self.turns.get(position);
        let start = turn.map_or(start, |turn| start.max(turn.start));
        let throttle = self.throttle.as_ref();
        throttle.map_or(start, |throttle| {
            start.max(throttle.earliest_start(position, now))
        })
    }

    /// How long ago the vendor last refused a request of the token, if that is why
    /// the one at this position of the queue starts only at `start`.
    pub(super) fn refused(
        &self,
        position: usize,
        start: Instant,
        now: Instant,
    ) -> Option<Duration> {
        let throttle = self.throttle.as_ref()?;
        let delays = throttle.earliest_start(position, now) >= start;
        delays.then(|| now.saturating_duration_since(throttle.refused_at))
    }

    /// How many requests of the queue are before the one with this number.
    pub(super) fn position(&self, number: u64) -> usize {
        self.queue.partition_point(|&other| other < number)
    }

    /// Forgets requests that are older than the window, and the throttle of a
    /// token that has been idle.
    pub(super) fn expire(&mut self, now: Instant) {
        while self.sent.front().is_some_and(|&sent| sent + WINDOW <= now) {
            self.sent.pop_front();
            self.stored.pop_front();
        }
        if self.sent.is_empty() && !self.is_in_use() {
            self.throttle.take_if(|throttle| throttle.is_expired(now));
        }
    }

    /// Adds turns for reservations that were added to the queue.
    pub(super) fn add_turns(&mut self, turns: &[Turn]) {
        let is_in_order = self.turns.back().zip(turns.first());
        let is_in_order = is_in_order.is_none_or(|(last, next)| last.start <= next.start);
        self.turns.extend(turns);
        if !is_in_order {
            self.turns.make_contiguous().sort_by_key(|turn| turn.start);
            self.changed.notify_waiters();
        }
    }

    /// Removes the turns that no reservation of the queue needs any more, the latest
    /// ones, to give them back.
    pub(super) fn unused_turns(&mut self) -> Vec<StoreTime> {
        let needed = self.queue.len().min(self.turns.len());
        let unused = self.turns.drain(needed..);
        unused.filter_map(|turn| turn.stored).collect()
    }

    /// Replaces the turn at this place by one that may be later.
    pub(super) fn replace_turn(&mut self, stored: Option<StoreTime>, turn: Turn) {
        let turns = self.turns.iter_mut();
        if let Some(old) = turns.into_iter().find(|turn| turn.stored == stored) {
            *old = turn;
            self.turns.make_contiguous().sort_by_key(|turn| turn.start);
            self.changed.notify_waiters();
        }
    }

    fn amendment(
        &mut self,
        clock: &dyn Fn(Instant) -> StoreTime,
        all: bool,
        now: Instant,
    ) -> Amendment {
        let mut amendment = Amendment::default();
        for (&sent, stored) in self.sent.iter().zip(&mut self.stored) {
            match *stored {
                // One that is ahead is of a clock that was set back since.
                Some(start) if !start.is_ahead_of(clock(sent)) => {
                    if all {
                        amendment.known.push(start);
                    }
                }
                _ => {
                    let start = clock(sent).after(self.last_start);
                    self.last_start = Some(start);
                    *stored = Some(start);
                    amendment.add.push(start);
                }
            }
        }
        if all {
            let turns = self.turns.iter().filter_map(|turn| {
                let (stored, expected) = (turn.stored?, clock(turn.start));
                let is_ahead = stored.is_ahead_of(expected);
                Some(if is_ahead { expected } else { stored })
            });
            amendment.known.extend(turns);
            let throttle = self.throttle.as_ref().map(|throttle| throttle.until);
            amendment.throttle = throttle.filter(|&until| until > now).map(clock);
        }
        amendment
    }

    fn is_in_use(&self) -> bool {
        self.open_permits > 0 || !self.queue.is_empty()
    }

    fn is_idle(&self) -> bool {
        self.sent.is_empty() && self.throttle.is_none() && !self.is_in_use()
    }
}

impl TokenWindows {
    /// What the store may lack of each token: the requests of the last minute, the turns
    /// that are taken, and the throttle; unless `all`, only the requests that the store
    /// was not sent. Those have been sent to it afterwards.
    pub(super) fn starts(&mut self, clock: &dyn Fn(Instant) -> StoreTime, all: bool) -> Starts {
        let now = Instant::now();
        let mut starts = Starts::new();
        for (&token, window) in &mut self.tokens {
            window.expire(now);
            let amendment = window.amendment(clock, all, now);
            if !amendment.is_empty() {
                starts.push((token, amendment));
            }
        }
        starts
    }

    /// Whether one more token can be counted. Sweeps first if a sweep is due.
    pub(super) fn has_room(&mut self, now: Instant) -> bool {
        if self.tokens.len() >= self.sweep_at {
            self.tokens.retain(|_, window| {
                window.expire(now);
                !window.is_idle()
            });
            if self.tokens.len() >= MAX_TOKENS {
                // Tokens that the vendor has not accepted: made-up ones must not
                // keep out those of real callers.
                self.tokens
                    .retain(|_, window| window.is_valid || window.is_in_use());
            }
            // After the number of tokens has doubled, so that the cost of a sweep
            // is small for each new token.
            self.sweep_at = (self.tokens.len() * 2).clamp(FIRST_SWEEP, MAX_TOKENS);
        }
        self.tokens.len() < MAX_TOKENS
    }
}
