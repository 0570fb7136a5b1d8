//! Delays between attempts, with jitter, so that gateways that lost their connections
//! together do not come back together.

use std::time::Duration;

/// The longest first delay.
const FIRST: Duration = Duration::from_secs(1);

/// The longest delay.
pub(super) const MAX: Duration = Duration::from_mins(1);

/// Delays that grow.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Backoff(u32);

impl Backoff {
    /// The next delay; not before the vendor wants it, if that is known.
    pub(super) fn next(&mut self, retry_after: Option<Duration>) -> Duration {
        let longest = FIRST.saturating_mul(2_u32.saturating_pow(self.0)).min(MAX);
        // The first loss of a connection is mended soon; repeated ones are not.
        let shortest = if self.0 == 0 {
            Duration::ZERO
        } else {
            longest / 2
        };
        self.0 = self.0.saturating_add(1);
        spread(shortest, longest).max(retry_after.unwrap_or_default())
    }
}

/// A random time between two.
pub(super) fn spread(one: Duration, other: Duration) -> Duration {
    let (shortest, longest) = (one.min(other), one.max(other));
    shortest + longest.saturating_sub(shortest).mul_f64(fastrand::f64())
}
