//! Random times, so that events do not coincide.

use std::time::Duration;

/// The most that a time differs from the average, as a share of it.
const SPREAD: f64 = 0.1;

/// A random time around `average`, so that events that start together, for example
/// all connections to a new replica, do not end together.
#[must_use]
pub fn jittered(average: Duration) -> Duration {
    average.mul_f64(1.0 - SPREAD + 2.0 * SPREAD * fastrand::f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jittered_times_are_spread_around_their_average() {
        let times: Vec<f64> = (0..1000)
            .map(|_| jittered(Duration::from_secs(100)).as_secs_f64())
            .collect();
        assert!(times.iter().all(|time| (90.0..=110.0).contains(time)));
        assert!(times.iter().any(|&time| time < 95.0));
        assert!(times.iter().any(|&time| time > 105.0));
    }
}
