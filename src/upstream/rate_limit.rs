//! How often a token may call the vendor: so many times in any minute.
//!
//! The vendor allows 300 requests a minute for each token, and tells nothing
//! until it refuses one with 429 (developer.genesys.cloud, platform API limits).
//! A sliding window is safe whatever window it keeps.

mod permit;
mod reservation;
mod throttle;
mod window;

use std::collections::VecDeque;
use std::iter;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use tokio::time::Instant;

use crate::error::Error;
use crate::token_key::TokenKey;
pub use permit::{Permit, Recall, Turn};
pub use reservation::Reservation;
use throttle::{Throttle, delay};
use window::Tokens;

/// How many requests each token may start. Clones share the count.
#[derive(Debug, Clone)]
pub struct RateLimiter {
    limit: usize,
    tokens: Arc<Mutex<Tokens>>,
}

/// Why a request is not started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denied {
    /// Its turn comes after its deadline: in so long.
    TooLate(Duration),
    /// More tokens are in use than can be counted.
    TooManyTokens,
}

impl From<Denied> for Error {
    fn from(denied: Denied) -> Self {
        match denied {
            Denied::TooLate(delay) => Self::RateLimited(delay),
            Denied::TooManyTokens => Self::Overloaded,
        }
    }
}

impl RateLimiter {
    /// So many starts in any minute for each token; 0 sets no limit.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            tokens: Arc::default(),
        }
    }

    /// Places in the order of the token's requests for so many, one after the
    /// other.
    ///
    /// # Errors
    ///
    /// At once where the last one's turn comes after `end`: it costs nothing then.
    pub fn line_up(
        &self,
        token: TokenKey,
        count: usize,
        end: Instant,
    ) -> Result<VecDeque<Reservation>, Denied> {
        let ticket = |number| Reservation {
            quota: self.clone(),
            token,
            number,
            is_used: self.limit == 0,
        };
        if self.limit == 0 {
            return Ok(iter::repeat_with(|| ticket(0)).take(count).collect());
        }
        let now = Instant::now();
        let mut tokens = self.lock();
        if !tokens.paces.contains_key(&token) && !tokens.has_room(now) {
            return Err(Denied::TooManyTokens);
        }
        let pace = tokens.paces.entry(token).or_default();
        pace.forget_before(now);
        let last = pace.queue.len() + count.saturating_sub(1);
        in_time(pace.turn(last, now, self.limit), end, now)?;
        let numbers = (pace.next..).take(count);
        pace.next += count as u64;
        pace.queue.extend(numbers.clone());
        drop(tokens);
        Ok(numbers.map(ticket).collect())
    }

    /// Places one request in that order, as [`Self::line_up`] does.
    ///
    /// # Errors
    ///
    /// At once where its turn comes after `end`: it costs nothing then.
    pub fn line_up_one(&self, token: TokenKey, end: Instant) -> Result<Reservation, Denied> {
        let mut tickets = self.line_up(token, 1, end)?;
        tickets.pop_front().ok_or(Denied::TooManyTokens)
    }

    /// Places a request in that order that had its turn already, where it was.
    ///
    /// # Errors
    ///
    /// At once where its turn comes after `end`: it costs nothing then.
    pub fn line_up_again(
        &self,
        token: TokenKey,
        turn: Turn,
        end: Instant,
    ) -> Result<Reservation, Denied> {
        let number = turn.number;
        if self.limit > 0 {
            let now = Instant::now();
            let mut tokens = self.lock();
            let pace = tokens.paces.entry(token).or_default();
            pace.forget_before(now);
            let place = pace.place(number);
            in_time(pace.turn(place, now, self.limit), end, now)?;
            pace.queue.insert(place, number);
            pace.next = pace.next.max(number + 1);
        }
        Ok(Reservation {
            quota: self.clone(),
            token,
            number,
            is_used: self.limit == 0,
        })
    }

    /// Waits until a request with this token may start, in a test.
    #[cfg(test)]
    pub(crate) async fn admit(&self, token: TokenKey, end: Instant) -> Result<Permit, Denied> {
        self.line_up_one(token, end)?.turn(|| end, |_| {}).await
    }

    /// How long one more request with this token would wait for its turn.
    #[must_use]
    pub fn delay(&self, token: TokenKey) -> Duration {
        let now = Instant::now();
        let tokens = self.lock();
        let pace = tokens.paces.get(&token);
        pace.map_or(Duration::ZERO, |pace| {
            let turn = pace.turn(pace.queue.len(), now, self.limit);
            turn.saturating_duration_since(now)
        })
    }

    /// Whether requests wait for their turn at all.
    #[must_use]
    pub fn is_paced(&self) -> bool {
        self.limit > 0
    }

    /// Takes from a 429 that a request with this token, which had this turn
    /// and was refused so often before, was one too many: parks the token for
    /// as long as the vendor asks, and starts fewer requests with it from then
    /// on. Gives the time until the next one may start.
    ///
    /// Where the vendor asks for no time, or has asked for too little, it is
    /// an exponential backoff.
    #[must_use]
    pub fn refuse(
        &self,
        token: TokenKey,
        turn: Turn,
        asked: Option<Duration>,
        before: u32,
    ) -> Duration {
        let mut tokens = self.lock();
        let Some(pace) = tokens.paces.get_mut(&token) else {
            return delay(asked, before);
        };
        let now = Instant::now();
        let (limit, left) = (self.limit, &pace.left);
        let throttle = pace
            .throttle
            .get_or_insert_with(|| Box::new(Throttle::new(left, limit, now)));
        if turn.parks == pace.parks {
            pace.parks += 1;
            throttle.park(asked, now);
        } else {
            throttle.park_longer(asked, now);
        }
        pace.changed.notify_waiters();
        throttle.reopens.saturating_duration_since(now)
    }

    /// Parks a token by a refusal of a request that just left, in a test.
    #[cfg(test)]
    pub(crate) fn park(&self, token: TokenKey, asked: Duration) {
        let parks = self.lock().paces.get(&token).map_or(0, |pace| pace.parks);
        let _ = self.refuse(token, Turn { number: 0, parks }, Some(asked), 0);
    }

    /// Takes from an answer that the vendor knows the token, and did not mind
    /// how often it calls.
    pub fn accept(&self, token: TokenKey, turn: Turn) {
        if let Some(pace) = self.lock().paces.get_mut(&token) {
            pace.is_vouched = true;
            if let Some(throttle) = &mut pace.throttle
                && turn.parks == pace.parks
                && throttle.accept(&pace.left)
            {
                pace.changed.notify_waiters();
            }
        }
    }

    /// Takes from an answer whether the vendor knows the token. One that it
    /// does not know is counted too, but makes place where there is no other.
    pub fn vouch(&self, token: TokenKey, is_known: bool) {
        if let Some(pace) = self.lock().paces.get_mut(&token) {
            pace.is_vouched = is_known;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Tokens> {
        self.tokens.lock()
    }
}

fn in_time(at: Instant, end: Instant, now: Instant) -> Result<(), Denied> {
    if at < end {
        Ok(())
    } else {
        Err(Denied::TooLate(at.saturating_duration_since(now)))
    }
}

#[cfg(test)]
#[allow(
    clippy::cast_precision_loss,
    clippy::unchecked_time_subtraction,
    reason = "a test fails where it stands"
)]
mod simulation;
#[cfg(test)]
#[allow(
    clippy::unchecked_time_subtraction,
    reason = "a test fails where it stands"
)]
mod tests;
