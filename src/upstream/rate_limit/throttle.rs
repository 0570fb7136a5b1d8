//! An adaptive rate limit for a token that the vendor has refused with 429:
//! the vendor's limit may be lower than ours, and it does not tell.
//!
//! Additive increase, multiplicative decrease: each request that the vendor
//! takes raises the rate, and a refusal lowers it to what was taken in the
//! window before. Running a little too fast costs a refusal in each window and
//! no throughput, because the vendor tells when its window reopens.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use super::window::WINDOW;

/// The rate after the first refusal, a second: the vendor's 300 a minute.
const FIRST_RATE: f64 = 5.0;

/// By which part of it the rate grows at first with each request that is
/// taken, since the vendor's limit is not known yet, and up to which multiple:
/// those on their way are refused too when it is found.
const FIRST_GROWTH: f64 = 0.2;
const MAX_UNKNOWN: f64 = 4.0;

/// By which part the rate grows while as many requests are taken as in the
/// last window, or in [`SHORTEST`].
const GROWTH: f64 = 0.2;

/// Windows count as no shorter than this for the growth: each refusal costs up
/// to a second, because `Retry-After` has whole ones.
const SHORTEST: f64 = 5.0;

/// How much longer a window seems on average than it is, because `Retry-After`
/// has whole seconds, rounded up.
const ROUNDING: Duration = Duration::from_millis(500);

/// The least that a refusal takes from the rate, and the most.
const LEAST_DECREASE: f64 = 0.95;
const MOST_DECREASE: f64 = 0.5;

/// By how much the rate must have grown for those in the queue to look anew.
const NOTICED: f64 = 1.1;

/// The longest of the random waits by which replicas that share a token do
/// not all come back at the same moment.
const MAX_JITTER: Duration = Duration::from_millis(500);

/// The first backoff where the vendor names no delay, and the longest.
const FIRST_BACKOFF: Duration = Duration::from_secs(1);
const MAX_BACKOFF: Duration = Duration::from_mins(1);

/// How long a token is parked, or a request waits, after so many refusals
/// before with nothing taken in between.
pub(super) fn delay(asked: Option<Duration>, refusals: u32) -> Duration {
    match (asked, refusals.checked_sub(1)) {
        (Some(asked), None) => asked,
        // What was asked for before was not enough.
        (Some(asked), Some(before)) => asked.max(backoff(before)),
        (None, _) => backoff(refusals),
    }
}

/// An exponential backoff, any but the first with jitter.
fn backoff(refusals: u32) -> Duration {
    let backoff = FIRST_BACKOFF * 2_u32.pow(refusals.min(6));
    let jitter = if refusals == 0 {
        1.0
    } else {
        fastrand::f64().mul_add(0.5, 0.75)
    };
    backoff.min(MAX_BACKOFF).mul_f64(jitter)
}

/// What is known of the limit of a token that was refused.
#[derive(Debug)]
pub(super) struct Throttle {
    /// How many requests start in a second.
    rate: f64,
    /// How much each one that the vendor takes adds to that.
    step: f64,
    /// How many start at most, until a window was measured.
    most: f64,
    /// The rate that those in the queue have reckoned with.
    noticed: f64,
    /// When the next request may start.
    next: Instant,
    /// When the window began that is measured, and how many requests were
    /// refused since.
    opened: Instant,
    refused: usize,
    /// How often the token was parked since the vendor took a request of it.
    parks: u32,
    /// When the last park ends.
    pub(super) reopens: Instant,
    /// Whether no window was measured yet.
    is_new: bool,
}

impl Throttle {
    /// That of a token that is refused for the first time, whose requests of
    /// the last minute left then; the limit is ours.
    pub(super) fn new(left: &VecDeque<Instant>, limit: usize, now: Instant) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "it need not be exact")]
        let ours = limit as f64 / WINDOW.as_secs_f64();
        let rate = FIRST_RATE.max(ours);
        Self {
            rate,
            step: FIRST_GROWTH * rate,
            most: MAX_UNKNOWN * rate,
            noticed: rate,
            next: now,
            opened: left.front().copied().unwrap_or(now),
            refused: 0,
            parks: 0,
            reopens: now,
            is_new: true,
        }
    }

    /// Parks the token, because a request was refused that had started since
    /// the last park, for as long as the vendor asks, if it does.
    pub(super) fn park(&mut self, asked: Option<Duration>, now: Instant) {
        self.reopens = self.reopens.max(now + delay(asked, self.parks));
        self.parks += 1;
        self.refused += 1;
        let jitter = self.interval().min(MAX_JITTER).mul_f64(fastrand::f64());
        self.next = self.reopens + jitter;
    }

    /// Counts a refusal of a request that had started before the last park.
    pub(super) fn park_longer(&mut self, asked: Option<Duration>, now: Instant) {
        self.refused += 1;
        self.reopens = self.reopens.max(now + asked.unwrap_or_default());
        self.next = self.next.max(self.reopens);
    }

    /// Counts a request that the vendor took, and that had started since the
    /// last park; tells whether those in the queue should look anew.
    pub(super) fn accept(&mut self, left: &VecDeque<Instant>) -> bool {
        if self.parks > 0 {
            self.measure(left);
            self.parks = 0;
        } else {
            self.rate = (self.rate + self.step).min(self.most);
        }
        let is_noticed = self.rate > self.noticed * NOTICED || self.rate < self.noticed;
        if is_noticed {
            self.noticed = self.rate;
        }
        is_noticed
    }

    /// Takes the rate of the window that was closed by the last park, and
    /// begins another.
    fn measure(&mut self, left: &VecDeque<Instant>) {
        let opened = left
            .front()
            .map_or(self.opened, |&left| left.max(self.opened));
        let started = left.partition_point(|&left| left < self.reopens)
            - left.partition_point(|&left| left < opened);
        let taken = started.saturating_sub(self.refused).max(1);
        let window = self.reopens.saturating_duration_since(opened);
        let window = window.saturating_sub(ROUNDING).max(ROUNDING);
        (self.opened, self.refused) = (self.reopens, 0);
        // The first one may have begun at any time before.
        if std::mem::take(&mut self.is_new) {
            return;
        }
        #[expect(clippy::cast_precision_loss, reason = "it need not be exact")]
        let taken = taken as f64;
        self.most = f64::INFINITY;
        let least = self.rate.min(FIRST_RATE) * MOST_DECREASE;
        let most = self.rate * LEAST_DECREASE;
        self.rate = (taken / window.as_secs_f64()).max(least).min(most);
        self.step = GROWTH * self.rate / taken.max(self.rate * SHORTEST);
    }

    /// When the request may start that is at this place of the queue.
    pub(super) fn turn(&self, place: usize, now: Instant) -> Instant {
        #[expect(clippy::cast_precision_loss, reason = "it need not be exact")]
        let before = place as f64 / self.rate;
        self.next.max(self.reopens).max(now) + Duration::from_secs_f64(before)
    }

    /// Counts a request that starts.
    pub(super) fn start(&mut self, now: Instant) {
        self.next = (self.next + self.interval()).max(now);
    }

    fn interval(&self) -> Duration {
        Duration::from_secs_f64(1.0 / self.rate)
    }

    /// Whether the token was left alone for so long that nothing of this need
    /// hold any more.
    pub(super) fn is_over(&self, now: Instant) -> bool {
        self.reopens + WINDOW <= now
    }
}
