//! Limits the requests of each token in any minute.
//!
//! The vendor allows 300 requests a minute for each token, and reports nothing
//! until it refuses one with 429 (developer.genesys.cloud, platform API
//! limits). A sliding window is safe whatever window the vendor uses.
//!
//! Decision: docs/decisions/0014-sliding-window.md.

pub(super) mod limits;
mod permit;
mod reservation;
mod throttle;
mod window;

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use super::budget_store::{BudgetStore, Decision, Turn};
use crate::error::Error;
use crate::token_key::TokenKey;
pub(crate) use permit::{RatePermit, Ticket};
pub(crate) use reservation::Reservation;
use throttle::{Throttle, delay};
use window::{TokenWindow, TokenWindows};

/// Limits the requests of each token. Clones share the counts.
#[derive(Debug, Clone)]
pub struct RateLimiter {
    limit: usize,
    windows: Arc<Mutex<TokenWindows>>,
    /// Where all replicas count; `None` if this one counts alone.
    store: Option<BudgetStore>,
}

/// Why a request gets no permit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Denied {
    /// It could start after this delay, which is past its deadline.
    TooLate {
        delay: Duration,
        /// How long ago the vendor refused a request of the token, if that is why.
        refused: Option<Duration>,
    },
    /// More tokens are in use than the limiter can count.
    TooManyTokens,
}

impl From<Denied> for Error {
    fn from(denied: Denied) -> Self {
        match denied {
            Denied::TooLate { delay, refused } => Self::RateLimited { delay, refused },
            Denied::TooManyTokens => Self::Overloaded,
        }
    }
}

impl RateLimiter {
    /// Allows `limit` requests in any minute for each token; 0 sets no limit.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            windows: Arc::default(),
            store: None,
        }
    }

    /// Allows them in all replicas together that use the same store.
    #[must_use]
    pub fn with_store(mut self, store: BudgetStore) -> Self {
        let windows = Arc::downgrade(&self.windows);
        store.send_after_connect(move |clock, all| {
            let windows = windows.upgrade();
            windows.map_or_else(Vec::new, |windows| windows.lock().starts(clock, all))
        });
        self.store = Some(store);
        self
    }

    /// Reserves `count` places at the end of the token's queue, or none if the
    /// last request could not start before `deadline`.
    pub(crate) async fn reserve(
        &self,
        token: TokenKey,
        count: usize,
        deadline: Instant,
    ) -> Result<VecDeque<Reservation>, Denied> {
        let numbers = self.enqueue(token, count, deadline).await?;
        Ok(numbers
            .map(|number| self.reservation(token, number))
            .collect())
    }

    /// Reserves one place, as [`Self::reserve`] does.
    pub(crate) async fn reserve_one(
        &self,
        token: TokenKey,
        deadline: Instant,
    ) -> Result<Reservation, Denied> {
        let numbers = self.enqueue(token, 1, deadline).await?;
        Ok(self.reservation(token, numbers.start))
    }

    async fn enqueue(
        &self,
        token: TokenKey,
        count: usize,
        deadline: Instant,
    ) -> Result<Range<u64>, Denied> {
        if !self.is_enabled() {
            return Ok(0..count as u64);
        }
        let Some(store) = &self.store else {
            return self.enqueue_at_end(token, count, deadline, None);
        };
        // Known without the store: it would allow no earlier start.
        self.check(token, count, deadline)?;
        let turns = self.take(store, token, count, deadline).await?;
        let numbers = self.enqueue_at_end(token, count, deadline, Some(&turns));
        numbers.inspect_err(|_| give_back(store, token, &turns))
    }

    /// Checks that the last of `count` more requests could start before `deadline`.
    fn check(&self, token: TokenKey, count: usize, deadline: Instant) -> Result<(), Denied> {
        let now = Instant::now();
        let mut windows = self.windows.lock();
        let Some(window) = windows.tokens.get_mut(&token) else {
            return Ok(());
        };
        window.expire(now);
        let last = window.queue.len() + count.saturating_sub(1);
        let start = window.earliest_start(last, now, self.limit);
        check_deadline(window, last, start, deadline, now)
    }

    /// Takes turns from the store or, without it, turns that this replica counts alone.
    async fn take(
        &self,
        store: &BudgetStore,
        token: TokenKey,
        count: usize,
        deadline: Instant,
    ) -> Result<Vec<Turn>, Denied> {
        match store.take(token, self.limit, count, deadline).await {
            Decision::Taken(turns, throttle) => {
                let _ = self.adopt_throttle(token, throttle);
                Ok(turns)
            }
            Decision::TooLate(delay, throttle) => {
                let refused = self.adopt_throttle(token, throttle);
                Err(Denied::TooLate { delay, refused })
            }
            Decision::Local => Ok(vec![Turn::local(); count]),
        }
    }

    fn enqueue_at_end(
        &self,
        token: TokenKey,
        count: usize,
        deadline: Instant,
        turns: Option<&[Turn]>,
    ) -> Result<Range<u64>, Denied> {
        let now = Instant::now();
        let mut windows = self.windows.lock();
        if !windows.tokens.contains_key(&token) && !windows.has_room(now) {
            return Err(Denied::TooManyTokens);
        }
        let window = windows.tokens.entry(token).or_default();
        window.expire(now);
        let last = window.queue.len() + count.saturating_sub(1);
        let start = window.earliest_start(last, now, self.limit);
        check_deadline(window, last, start, deadline, now)?;
        let numbers = window.next_number..window.next_number + count as u64;
        window.next_number = numbers.end;
        window.queue.extend(numbers.clone());
        window.add_turns(turns.unwrap_or_default());
        Ok(numbers)
    }

    /// Reserves the place that a request had before, to send it again, unless
    /// it could not start before `deadline`.
    pub(crate) async fn requeue(
        &self,
        token: TokenKey,
        ticket: Ticket,
        deadline: Instant,
    ) -> Result<Reservation, Denied> {
        let number = ticket.number;
        let Some(store) = self.store.as_ref().filter(|_| self.is_enabled()) else {
            if self.is_enabled() {
                self.enqueue_again(token, number, deadline, &[])?;
            }
            return Ok(self.reservation(token, number));
        };
        let turns = self.take(store, token, 1, deadline).await?;
        let queued = self.enqueue_again(token, number, deadline, &turns);
        queued.inspect_err(|_| give_back(store, token, &turns))?;
        Ok(self.reservation(token, number))
    }

    fn enqueue_again(
        &self,
        token: TokenKey,
        number: u64,
        deadline: Instant,
        turns: &[Turn],
    ) -> Result<(), Denied> {
        let now = Instant::now();
        let mut windows = self.windows.lock();
        let window = windows.tokens.entry(token).or_default();
        window.expire(now);
        let position = window.position(number);
        let start = window.earliest_start(position, now, self.limit);
        check_deadline(window, position, start, deadline, now)?;
        window.queue.insert(position, number);
        window.next_number = window.next_number.max(number + 1);
        window.add_turns(turns);
        Ok(())
    }

    fn reservation(&self, token: TokenKey, number: u64) -> Reservation {
        Reservation {
            limiter: self.clone(),
            token,
            number,
            is_queued: self.is_enabled(),
        }
    }

    /// Waits until a request with this token may start, in a test.
    #[cfg(test)]
    pub(crate) async fn acquire(
        &self,
        token: TokenKey,
        deadline: Instant,
    ) -> Result<RatePermit, Denied> {
        let reservation = self.reserve_one(token, deadline).await?;
        reservation.wait(|| deadline, |_, _| {}).await
    }

    /// How long one more request with this token would wait for its permit.
    pub(crate) fn delay(&self, token: TokenKey) -> Duration {
        let now = Instant::now();
        let windows = self.windows.lock();
        let window = windows.tokens.get(&token);
        window.map_or(Duration::ZERO, |window| {
            let start = window.earliest_start(window.queue.len(), now, self.limit);
            start.saturating_duration_since(now)
        })
    }

    /// Whether there is a limit at all.
    pub(crate) fn is_enabled(&self) -> bool {
        self.limit > 0
    }

    /// Throttles a token after a 429: sends nothing with it for `retry_after`,
    /// and limits its rate from then on. Returns the time until the next
    /// request may start.
    ///
    /// The delay is an exponential backoff where the vendor sends no
    /// `Retry-After`, or has sent one that was too short. The request had this
    /// ticket, and was refused `refusals` times before.
    pub(crate) fn throttle(
        &self,
        token: TokenKey,
        ticket: Ticket,
        retry_after: Option<Duration>,
        refusals: u32,
    ) -> Duration {
        let mut windows = self.windows.lock();
        let Some(window) = windows.tokens.get_mut(&token) else {
            return delay(retry_after, refusals);
        };
        let now = Instant::now();
        let (limit, sent) = (self.limit, &window.sent);
        let throttle = window
            .throttle
            .get_or_insert_with(|| Box::new(Throttle::new(sent, limit, now)));
        if ticket.epoch == window.epoch {
            window.epoch += 1;
            throttle.refuse(retry_after, now);
        } else {
            throttle.refuse_late(retry_after, now);
        }
        window.changed.notify_waiters();
        let delay = throttle.until.saturating_duration_since(now);
        if let Some(store) = &self.store {
            store.set_throttle(token, delay);
        }
        delay
    }

    /// Throttles a token that another replica has throttled. Returns how long ago the
    /// vendor refused a request of it, as far as this replica knows.
    fn adopt_throttle(&self, token: TokenKey, delay: Duration) -> Option<Duration> {
        if delay.is_zero() {
            return None;
        }
        let mut windows = self.windows.lock();
        let window = windows.tokens.entry(token).or_default();
        let now = Instant::now();
        let (limit, sent) = (self.limit, &window.sent);
        let throttle = window
            .throttle
            .get_or_insert_with(|| Box::new(Throttle::new(sent, limit, now)));
        if throttle.adopt(now + delay) {
            window.changed.notify_waiters();
        }
        Some(now.saturating_duration_since(throttle.refused_at))
    }

    /// Throttles a token as a 429 to a request that was just sent does, in a test.
    #[cfg(test)]
    pub(crate) fn throttle_for(&self, token: TokenKey, retry_after: Duration) {
        let epoch = self
            .windows
            .lock()
            .tokens
            .get(&token)
            .map_or(0, |window| window.epoch);
        let _ = self.throttle(token, Ticket { number: 0, epoch }, Some(retry_after), 0);
    }

    /// Records a response which shows that the vendor knows the token and did
    /// not throttle it.
    pub(crate) fn record_success(&self, token: TokenKey, ticket: Ticket) {
        if let Some(window) = self.windows.lock().tokens.get_mut(&token) {
            window.is_valid = true;
            if let Some(throttle) = &mut window.throttle
                && ticket.epoch == window.epoch
                && throttle.record_success(&window.sent)
            {
                window.changed.notify_waiters();
            }
        }
    }

    /// Records whether the vendor knows the token. An unknown one is counted
    /// too, but is the first to be forgotten when the limiter is full.
    pub(crate) fn mark_valid(&self, token: TokenKey, is_valid: bool) {
        if let Some(window) = self.windows.lock().tokens.get_mut(&token) {
            window.is_valid = is_valid;
        }
    }
}

/// Gives turns back that no request will use.
fn give_back(store: &BudgetStore, token: TokenKey, turns: &[Turn]) {
    store.give_back(token, turns.iter().filter_map(|turn| turn.stored).collect());
}

/// Checks that the request at this position of the queue, which may start at
/// `start`, does so before the deadline.
fn check_deadline(
    window: &TokenWindow,
    position: usize,
    start: Instant,
    deadline: Instant,
    now: Instant,
) -> Result<(), Denied> {
    if start < deadline {
        return Ok(());
    }
    Err(Denied::TooLate {
        delay: start.saturating_duration_since(now),
        refused: window.refused(position, start, now),
    })
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
