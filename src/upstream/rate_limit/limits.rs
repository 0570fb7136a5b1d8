//! The fixed limits of the rate limiter.

use std::time::Duration;

/// The vendor's minute, and half a second: one request may take that much longer
/// to arrive than another.
pub(in crate::upstream) const WINDOW: Duration = Duration::from_millis(60_500);

/// The most tokens that are remembered. One that was idle for a minute is forgotten.
pub(super) const MAX_TOKENS: usize = 65_536;
