//! An adaptive rate limit for a token that the vendor has refused with 429:
//! the vendor's limit may be lower than ours, and it does not report it.
//!
//! Additive increase, multiplicative decrease: each request that the vendor
//! accepts raises the rate, and a refusal lowers it to what was accepted in
//! the window before. A rate that is a little too high costs one refusal in
//! each window and no throughput, because `Retry-After` says when the window
//! reopens.
//!
//! Decision: docs/decisions/0015-throttle-after-429.md.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use super::limits::WINDOW;

/// The rate after the first refusal, a second: the vendor's 300 a minute.
const FIRST_RATE: f64 = 5.0;

/// How much each accepted request raises the rate until the first window is
/// measured, as a part of the first rate: the vendor's limit is unknown and may
/// be far higher.
const FIRST_GROWTH: f64 = 0.2;

/// The highest rate until then, as a multiple of the first rate. When the
/// vendor's limit is exceeded, it refuses all requests in flight, of which a
/// higher rate would have more.
const MAX_FIRST_GROWTH: f64 = 4.0;

/// How much the rate grows in one window, as a part of itself, if as many
/// requests are accepted as in the window before.
const GROWTH: f64 = 0.2;

/// The shortest window, in seconds, that the growth is based on: each refusal
/// costs up to a second, because `Retry-After` has whole ones.
const MIN_GROWTH_WINDOW: f64 = 5.0;

/// How much longer a window seems on average than it is, because `Retry-After`
/// has whole seconds, rounded up.
const ROUNDING: Duration = Duration::from_millis(500);

/// The highest factor by which a refusal multiplies the rate, so that the rate
/// falls after each refusal.
const MIN_DECREASE: f64 = 0.95;

/// The lowest factor, so that one bad window does not stop the token.
const MAX_DECREASE: f64 = 0.5;

/// The factor by which the rate must have grown before the queue is woken again.
const WAKE_GROWTH: f64 = 1.1;

/// The longest random delay after a throttle, so that replicas with the same
/// token do not resume at the same moment.
const MAX_JITTER: Duration = Duration::from_millis(500);

/// The first backoff where the vendor sends no `Retry-After`, and the longest.
const FIRST_BACKOFF: Duration = Duration::from_secs(1);
const MAX_BACKOFF: Duration = Duration::from_mins(1);

/// How long a refusal throttles a token. `refusals` is the number of refusals
/// before it, since the vendor last accepted a request.
pub(super) fn delay(retry_after: Option<Duration>, refusals: u32) -> Duration {
    match (retry_after, refusals.checked_sub(1)) {
        (Some(retry_after), None) => retry_after,
        // The previous `Retry-After` was too short.
        (Some(retry_after), Some(before)) => retry_after.max(backoff(before)),
        (None, _) => backoff(refusals),
    }
}

/// An exponential backoff, with jitter after the first.
fn backoff(refusals: u32) -> Duration {
    let backoff = FIRST_BACKOFF * 2_u32.pow(refusals.min(6));
    let jitter = if refusals == 0 {
        1.0
    } else {
        fastrand::f64().mul_add(0.5, 0.75)
    };
    backoff.min(MAX_BACKOFF).mul_f64(jitter)
}

/// The adaptive limit of a token that was refused.
#[derive(Debug)]
pub(super) struct Throttle {
    /// How many requests start in a second.
    rate: f64,
    /// How much each accepted request raises the rate.
    step: f64,
    /// The highest rate; infinite once a window was measured.
    max_rate: f64,
    /// The rate when the queue was last woken.
    woken_at: f64,
    /// When the next request may start, by the rate.
    next_start: Instant,
    /// When the current window began, and how many requests were refused since.
    window_start: Instant,
    refused: usize,
    /// How many refusals throttled the token since it last had a request accepted.
    refusals: u32,
    /// Until when no request may start.
    pub(super) until: Instant,
    /// When the vendor last refused a request.
    pub(super) refused_at: Instant,
    /// Whether no window was measured yet.
    is_new: bool,
}

impl Throttle {
    /// The throttle of a token that is refused for the first time. `sent` has
    /// its requests of the last minute; `limit` is ours.
    pub(super) fn new(sent: &VecDeque<Instant>, limit: usize, now: Instant) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "it need not be exact")]
        let ours = limit as f64 / WINDOW.as_secs_f64();
        let rate = FIRST_RATE.max(ours);
        Self {
            rate,
            step: FIRST_GROWTH * rate,
            max_rate: MAX_FIRST_GROWTH * rate,
            woken_at: rate,
            next_start: now,
            window_start: sent.front().copied().unwrap_or(now),
            refused: 0,
            refusals: 0,
            until: now,
            refused_at: now,
            is_new: true,
        }
    }

    /// Records the refusal of a request of this epoch, which ends the epoch.
    pub(super) fn refuse(&mut self, retry_after: Option<Duration>, now: Instant) {
        self.refused_at = now;
        self.until = self.until.max(now + delay(retry_after, self.refusals));
        self.refusals += 1;
        self.refused += 1;
        let jitter = self.interval().min(MAX_JITTER).mul_f64(fastrand::f64());
        self.next_start = self.until + jitter;
    }

    /// Records the refusal of a request of an earlier epoch.
    pub(super) fn refuse_late(&mut self, retry_after: Option<Duration>, now: Instant) {
        self.refused_at = now;
        self.refused += 1;
        self.until = self.until.max(now + retry_after.unwrap_or_default());
        self.next_start = self.next_start.max(self.until);
    }

    /// Takes over a throttle of another replica, until about this time. Returns
    /// whether it is news.
    pub(super) fn adopt(&mut self, until: Instant) -> bool {
        // The same throttle, whose end is measured by two clocks.
        if until <= self.until + MAX_JITTER {
            return false;
        }
        self.until = until;
        self.refused_at = Instant::now();
        let jitter = self.interval().min(MAX_JITTER).mul_f64(fastrand::f64());
        self.next_start = self.next_start.max(until + jitter);
        true
    }

    /// Records that the vendor accepted a request of this epoch. Returns
    /// whether the queue should be woken.
    pub(super) fn record_success(&mut self, sent: &VecDeque<Instant>) -> bool {
        if self.refusals > 0 {
            self.measure(sent);
            self.refusals = 0;
        } else {
            self.rate = (self.rate + self.step).min(self.max_rate);
        }
        let wakes = self.rate > self.woken_at * WAKE_GROWTH || self.rate < self.woken_at;
        if wakes {
            self.woken_at = self.rate;
        }
        wakes
    }

    /// Sets the rate to the one of the window that the last refusal ended, and
    /// begins a new window.
    fn measure(&mut self, sent: &VecDeque<Instant>) {
        let start = sent
            .front()
            .map_or(self.window_start, |&sent| sent.max(self.window_start));
        let started = sent.partition_point(|&sent| sent < self.until)
            - sent.partition_point(|&sent| sent < start);
        let accepted = started.saturating_sub(self.refused).max(1);
        let window = self.until.saturating_duration_since(start);
        let window = window.saturating_sub(ROUNDING).max(ROUNDING);
        (self.window_start, self.refused) = (self.until, 0);
        // The vendor's first window may have begun at any time before.
        if std::mem::take(&mut self.is_new) {
            return;
        }
        #[expect(clippy::cast_precision_loss, reason = "it need not be exact")]
        let accepted = accepted as f64;
        self.max_rate = f64::INFINITY;
        let lowest = self.rate.min(FIRST_RATE) * MAX_DECREASE;
        let highest = self.rate * MIN_DECREASE;
        self.rate = (accepted / window.as_secs_f64()).max(lowest).min(highest);
        self.step = GROWTH * self.rate / accepted.max(self.rate * MIN_GROWTH_WINDOW);
    }

    /// When the request at this position of the queue may start.
    pub(super) fn earliest_start(&self, position: usize, now: Instant) -> Instant {
        #[expect(clippy::cast_precision_loss, reason = "it need not be exact")]
        let before = position as f64 / self.rate;
        self.next_start.max(self.until).max(now) + Duration::from_secs_f64(before)
    }

    /// Counts a request that starts.
    pub(super) fn record_start(&mut self, now: Instant) {
        self.next_start = (self.next_start + self.interval()).max(now);
    }

    fn interval(&self) -> Duration {
        Duration::from_secs_f64(1.0 / self.rate)
    }

    /// Whether the token was idle for so long that the measured rate is out of date.
    pub(super) fn is_expired(&self, now: Instant) -> bool {
        self.until + WINDOW <= now
    }
}
