//! Limits the requests of each token in any minute.
//!
//! The vendor allows 300 requests a minute for each token, and reports nothing
//! until it refuses one with 429 (developer.genesys.cloud, platform API
//! limits). A sliding window is safe whatever window the vendor uses.
//!
//! Decision: docs/decisions/0014-sliding-window.md.

pub(super) mod limits;
mod permit;
mod queue;
mod reservation;
mod throttle;
mod window;

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use super::budget_store::BudgetStore;
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

    /// The requests of a token in any minute; 0 for no limit.
    pub(super) fn limit(&self) -> usize {
        self.limit
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
