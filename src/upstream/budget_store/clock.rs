//! The clock of the store's server, as this process estimates it.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// A tick, in microseconds: a 32-bit number of ticks spans two days, and many
/// requests may start within the same millisecond.
const TICK: u64 = 40;

/// By how much a time may be ahead of the estimate of the present one.
const CLOCK_STEP: Duration = Duration::from_secs(1);

/// A time of the server's clock, in ticks since 1970. It names one request of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct StoreTime(pub(super) u64);

impl StoreTime {
    /// This time or, if it is not later than `last`, the tick after that: a time names
    /// one request. A time that is much earlier is by a clock that was set back.
    pub(crate) fn after(self, last: Option<Self>) -> Self {
        match last {
            Some(last) if !last.is_ahead_of(self) => self.max(Self(last.0 + 1)),
            _ => self,
        }
    }

    /// Whether it is so much later that only another setting of the clock explains it.
    pub(crate) fn is_ahead_of(self, time: Self) -> bool {
        self.0 > time.0 + ticks(CLOCK_STEP)
    }
}

#[cfg(test)]
impl StoreTime {
    pub(crate) fn from_ticks(ticks: u64) -> Self {
        Self(ticks)
    }
}

/// The number of ticks that a duration has, rounded down.
pub(super) fn ticks(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX) / TICK
}

/// The duration of a number of ticks.
pub(super) fn duration(ticks: u64) -> Duration {
    Duration::from_micros(ticks.saturating_mul(TICK))
}

/// Relates the server's clock to this process's monotonic one; the processes' own
/// wall clocks do not matter.
#[derive(Debug)]
pub(super) struct Clock(Mutex<(Instant, StoreTime)>);

impl Clock {
    /// The clock of a server whose time was `now` a moment ago.
    pub(super) fn new(now: StoreTime) -> Self {
        Self(Mutex::new((Instant::now(), now)))
    }

    /// Sets the clock by a reply that has just arrived.
    pub(super) fn set(&self, now: StoreTime) {
        *self.0.lock() = (Instant::now(), now);
    }

    /// The server's time at an instant.
    pub(super) fn at(&self, instant: Instant) -> StoreTime {
        let (reference, time) = *self.0.lock();
        StoreTime(match instant.checked_duration_since(reference) {
            Some(after) => time.0.saturating_add(ticks(after)),
            None => time
                .0
                .saturating_sub(ticks(reference.saturating_duration_since(instant))),
        })
    }
}
