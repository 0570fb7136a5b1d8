//! The rate limit of tokens.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

use super::bounds::MAX_TOKENS;
use super::settings::{RateWindow, Settings};

/// The requests of the last period, by token.
#[derive(Debug)]
pub(super) struct Limits {
    limit: usize,
    period: Duration,
    window: RateWindow,
    /// The times of counted requests, by token hash.
    spent: HashMap<u64, VecDeque<Instant>>,
}

impl Limits {
    /// A limit without requests.
    pub(super) fn new(settings: &Settings) -> Self {
        Self {
            limit: settings.rate_limit,
            period: settings.rate_period,
            window: settings.rate_window,
            spent: HashMap::new(),
        }
    }

    /// Counts a request, or returns the seconds until the next one is allowed.
    ///
    /// A refused request is not counted.
    pub(super) fn spend(&mut self, token: u64, now: Instant) -> Result<(), u64> {
        if self.limit == 0 {
            return Ok(());
        }
        self.make_room(token, now);
        let spent = self.spent.entry(token).or_default();
        forget(spent, self.window, self.period, now);
        if spent.len() < self.limit {
            spent.push_back(now);
            return Ok(());
        }
        let oldest = spent.front().copied().unwrap_or(now);
        let left = (oldest + self.period).saturating_duration_since(now);
        // Rounded up to whole seconds.
        let seconds = left.as_secs() + u64::from(left.subsec_nanos() > 0);
        Err(seconds.max(1))
    }

    /// Removes idle tokens, else the least recently used one.
    fn make_room(&mut self, token: u64, now: Instant) {
        if self.spent.len() < MAX_TOKENS || self.spent.contains_key(&token) {
            return;
        }
        let period = self.period;
        self.spent
            .retain(|_, spent| spent.back().is_some_and(|last| *last + period > now));
        if self.spent.len() >= MAX_TOKENS {
            let idlest = self
                .spent
                .iter()
                .min_by_key(|(_, spent)| spent.back().copied());
            if let Some(idlest) = idlest.map(|(token, _)| *token) {
                self.spent.remove(&idlest);
            }
        }
    }
}

/// Removes the times outside the window.
fn forget(spent: &mut VecDeque<Instant>, window: RateWindow, period: Duration, now: Instant) {
    let is_over = |moment: &Instant| *moment + period <= now;
    match window {
        RateWindow::Fixed if spent.front().is_some_and(is_over) => spent.clear(),
        RateWindow::Fixed => {}
        RateWindow::Sliding => {
            while spent.front().is_some_and(is_over) {
                spent.pop_front();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(limit: usize, window: RateWindow) -> Limits {
        Limits {
            limit,
            period: Duration::from_mins(1),
            window,
            spent: HashMap::new(),
        }
    }

    fn at(start: Instant, seconds: f64) -> Instant {
        start + Duration::from_secs_f64(seconds)
    }

    #[test]
    fn a_fixed_window_starts_with_the_first_request() {
        let (start, mut limits) = (Instant::now(), limits(2, RateWindow::Fixed));
        assert_eq!(limits.spend(1, start), Ok(()));
        assert_eq!(limits.spend(1, at(start, 50.0)), Ok(()));
        assert_eq!(limits.spend(1, at(start, 58.5)), Err(2));
        assert_eq!(limits.spend(2, at(start, 58.5)), Ok(()), "another token");
        assert_eq!(limits.spend(1, at(start, 60.0)), Ok(()));
        assert_eq!(limits.spend(1, at(start, 61.0)), Ok(()));
        assert_eq!(limits.spend(1, at(start, 62.0)), Err(58));
    }

    #[test]
    fn a_sliding_window_frees_one_request_at_a_time() {
        let (start, mut limits) = (Instant::now(), limits(2, RateWindow::Sliding));
        assert_eq!(limits.spend(1, start), Ok(()));
        assert_eq!(limits.spend(1, at(start, 50.0)), Ok(()));
        assert_eq!(limits.spend(1, at(start, 59.0)), Err(1));
        assert_eq!(limits.spend(1, at(start, 60.0)), Ok(()));
        assert_eq!(limits.spend(1, at(start, 61.0)), Err(49));
    }

    #[test]
    fn the_period_setting_is_the_length_of_the_window() {
        for window in [RateWindow::Fixed, RateWindow::Sliding] {
            let (start, mut limits) = (Instant::now(), limits(1, window));
            limits.period = Duration::from_secs(2);
            assert_eq!(limits.spend(1, start), Ok(()));
            assert_eq!(limits.spend(1, at(start, 0.5)), Err(2));
            assert_eq!(limits.spend(1, at(start, 1.999)), Err(1));
            assert_eq!(limits.spend(1, at(start, 2.0)), Ok(()));
        }
    }

    #[test]
    fn a_limit_of_zero_counts_nothing_and_the_table_is_limited() {
        let start = Instant::now();
        let mut none = limits(0, RateWindow::Fixed);
        assert!((0..1000).all(|_| none.spend(1, start).is_ok()));
        assert!(none.spent.is_empty());

        let mut one = limits(1, RateWindow::Sliding);
        for token in 0..2000 {
            assert_eq!(one.spend(token, start), Ok(()));
        }
        assert_eq!(one.spent.len(), MAX_TOKENS);
    }
}
