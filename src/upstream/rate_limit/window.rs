//! What is known of each token: when its requests left, and who waits.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::throttle::Throttle;
use crate::token_key::TokenKey;

/// The vendor's minute, and how much longer one request may be on its way than another.
pub(super) const WINDOW: Duration = Duration::from_millis(60_500);

/// How many tokens are remembered at most. One that was idle for a minute is forgotten.
pub(super) const MAX_TOKENS: usize = 65_536;

/// At how many tokens the idle ones are looked for first.
pub(super) const FIRST_SWEEP: usize = 1024;

#[derive(Debug, Default)]
pub(super) struct Tokens {
    pub(super) paces: HashMap<TokenKey, TokenWindow>,
    /// At how many tokens the idle ones are looked for.
    pub(super) sweep_at: usize,
}

/// What is known of a token.
#[derive(Debug, Default)]
pub(super) struct TokenWindow {
    /// When the requests of the last minute left, in that order.
    pub(super) left: VecDeque<Instant>,
    /// How many requests may start and have not left yet.
    pub(super) starting: usize,
    /// The numbers of those that wait for their turn, in their order.
    pub(super) queue: VecDeque<u64>,
    /// The number of the next one.
    pub(super) next: u64,
    /// Told when those in the queue may have their turn at another time.
    pub(super) changed: Arc<Notify>,
    /// How often the vendor has parked the token. A request that started
    /// before the last time tells nothing of the time after it.
    pub(super) parks: u64,
    /// What is known of the vendor's limit since it refused the token; boxed,
    /// because few tokens are ever refused.
    pub(super) throttle: Option<Box<Throttle>>,
    /// Whether the vendor has taken it for a token: any text may be one.
    pub(super) is_vouched: bool,
}

impl TokenWindow {
    /// When the request at this place of the queue may start: it and all
    /// before it, should they start at the same moment, are within the limit
    /// then, and the vendor's, as far as that is known.
    pub(super) fn turn(&self, place: usize, now: Instant, limit: usize) -> Instant {
        let known = self.left.len() + self.starting;
        let mut before = known + place;
        let mut whole = Duration::ZERO;
        let room = loop {
            let Some(oldest) = before.checked_sub(limit) else {
                break now;
            };
            if let Some(&left) = self.left.get(oldest) {
                break left + WINDOW;
            }
            if oldest < known {
                // It leaves now or later.
                break now + WINDOW;
            }
            // That one is in the queue too.
            before = oldest;
            whole += WINDOW;
        };
        let turn = room.max(now) + whole;
        let throttle = self.throttle.as_ref();
        throttle.map_or(turn, |throttle| turn.max(throttle.turn(place, now)))
    }

    /// How many are before this one in the queue.
    pub(super) fn place(&self, number: u64) -> usize {
        self.queue.partition_point(|&other| other < number)
    }

    pub(super) fn forget_before(&mut self, now: Instant) {
        while self.left.front().is_some_and(|&left| left + WINDOW <= now) {
            self.left.pop_front();
        }
        if self.left.is_empty() && !self.is_used() {
            self.throttle.take_if(|throttle| throttle.is_over(now));
        }
    }

    fn is_used(&self) -> bool {
        self.starting > 0 || !self.queue.is_empty()
    }

    fn is_idle(&self) -> bool {
        self.left.is_empty() && self.throttle.is_none() && !self.is_used()
    }
}

impl Tokens {
    /// Whether one more token can be counted, after the idle ones are forgotten.
    pub(super) fn has_room(&mut self, now: Instant) -> bool {
        if self.paces.len() >= self.sweep_at {
            self.paces.retain(|_, pace| {
                pace.forget_before(now);
                !pace.is_idle()
            });
            if self.paces.len() >= MAX_TOKENS {
                // Made-up ones, that keep out those of callers.
                self.paces
                    .retain(|_, pace| pace.is_vouched || pace.is_used());
            }
            // Twice as many, so that looking costs little for each token.
            self.sweep_at = (self.paces.len() * 2).clamp(FIRST_SWEEP, MAX_TOKENS);
        }
        self.paces.len() < MAX_TOKENS
    }
}
