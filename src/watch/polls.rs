//! How often users without notifications are read.

use std::time::Duration;

use super::Settings;
use crate::bulk::BATCH_SIZE;

/// The part of a token's requests that polls may take, as its divisor: calls need the
/// rest.
const BUDGET_DIVISOR: usize = 2;

/// The time between two polls of so many users: the setting, or longer if they would take
/// more than their part of the token's requests.
pub(super) fn interval(users: usize, settings: &Settings) -> Duration {
    let batches = u32::try_from(users.div_ceil(BATCH_SIZE)).unwrap_or(u32::MAX);
    let budget = u32::try_from(settings.requests_per_minute / BUDGET_DIVISOR);
    let least = match budget {
        // Without a limit, or with one that leaves none.
        Ok(0) if settings.requests_per_minute == 0 => Duration::ZERO,
        Ok(budget) => Duration::from_mins(1).saturating_mul(batches) / budget.max(1),
        Err(_) => Duration::ZERO,
    };
    settings.limits.poll_interval.max(least)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn polls_take_at_most_half_of_the_requests() {
        for (users, requests, seconds) in [
            (50, 300, 30),
            (3750, 300, 30),
            (3751, 300, 30),
            (7500, 300, 60),
            (100, 2, 120),
            (100, 1, 120),
            (100_000, 0, 30),
        ] {
            let settings = Settings {
                requests_per_minute: requests,
                ..Settings::default()
            };
            let interval = interval(users, &settings).as_secs();
            assert_eq!(interval, seconds, "{users} users, {requests} requests");
        }
    }
}
