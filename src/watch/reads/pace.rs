//! How often the reads are sent that can wait.

use std::time::Duration;

use tokio::time::Instant;

/// The shortest time between two paced reads.
const PACE: Duration = Duration::from_secs(1);

/// The part of a token's requests that paced reads may take, as its divisor.
const BUDGET_DIVISOR: usize = 5;

/// The paced reads of a token.
#[derive(Debug)]
pub(super) struct Pace {
    interval: Duration,
    /// When the next one may be sent.
    pub at: Option<Instant>,
}

impl Pace {
    pub(super) fn new(requests_per_minute: usize) -> Self {
        let budget = u32::try_from(requests_per_minute / BUDGET_DIVISOR).unwrap_or(u32::MAX);
        let interval = match requests_per_minute {
            0 => PACE,
            _ => PACE.max(Duration::from_mins(1) / budget.max(1)),
        };
        Self { interval, at: None }
    }

    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.at.is_none_or(|at| at <= now)
    }

    /// Records that one is sent.
    pub(super) fn send(&mut self, now: Instant) {
        self.at = Some(now + self.interval);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paced_reads_take_a_fifth_of_the_requests() {
        for (requests, seconds) in [(300, 1), (3000, 1), (0, 1), (100, 3), (5, 60), (1, 60)] {
            let interval = Pace::new(requests).interval.as_secs();
            assert_eq!(interval, seconds, "{requests}");
        }
    }
}
