//! When a call that failed may succeed.

use std::time::Duration;

use super::Error;

/// The retry delay when the gateway is at a limit: long enough to try another
/// replica, short compared to any deadline.
const OVERLOAD_DELAY: Duration = Duration::from_millis(200);

/// The retry delay after a 429 that names none.
const THROTTLED_DELAY: Duration = Duration::from_secs(1);

impl Error {
    /// The delay after which a retry may succeed, if it is known. Nobody knows when a
    /// place of a watch is free: it may last for hours.
    #[must_use]
    pub fn retry_delay(&self) -> Option<Duration> {
        match self {
            Self::Overloaded
            | Self::TooManyStreams
            | Self::MemoryExhausted
            | Self::MessageEvicted
            | Self::TokenConcurrency
            | Self::Draining => Some(OVERLOAD_DELAY),
            Self::RateLimited { delay, .. } => Some(*delay),
            Self::UpstreamStatus(_, response) if response.status == 429 => {
                Some(response.retry_after.unwrap_or(THROTTLED_DELAY))
            }
            Self::UpstreamStatus(_, response) if response.status == 503 => response.retry_after,
            _ => None,
        }
    }
}
