//! How often the reads are sent that can wait.

use std::time::Duration;

use tokio::time::Instant;

/// How many paced reads may be sent at once, after a time without any.
const BURST: u32 = 12;

/// The shortest time between two paced reads after these.
const PACE: Duration = Duration::from_secs(1);

/// The part of a token's requests that paced reads may take, as its divisor.
const BUDGET_DIVISOR: usize = 5;

/// The paced reads of a token.
#[derive(Debug)]
pub(super) struct Pace {
    interval: Duration,
    /// How much earlier than by the interval one may be sent.
    ahead: Duration,
    /// When the next one would be sent by the interval alone.
    next: Option<Instant>,
}

impl Pace {
    pub(super) fn new(requests_per_minute: usize) -> Self {
        let budget = u32::try_from(requests_per_minute / BUDGET_DIVISOR).unwrap_or(u32::MAX);
        let (interval, burst) = match requests_per_minute {
            0 => (PACE, BURST),
            _ => (
                PACE.max(Duration::from_mins(1) / budget.max(1)),
                BURST.min(budget.max(1)),
            ),
        };
        Self {
            interval,
            ahead: interval * (burst - 1),
            next: None,
        }
    }

    /// When the next one may be sent.
    pub(super) fn at(&self) -> Option<Instant> {
        self.next.and_then(|next| next.checked_sub(self.ahead))
    }

    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.at().is_none_or(|at| at <= now)
    }

    /// Records that one is sent.
    pub(super) fn send(&mut self, now: Instant) {
        let next = self.next.map_or(now, |next| next.max(now));
        self.next = Some(next + self.interval);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many paced reads are sent in a time.
    fn sent(requests_per_minute: usize, seconds: u32) -> usize {
        let (mut pace, begin) = (Pace::new(requests_per_minute), Instant::now());
        let mut sent = 0;
        for second in 0..seconds {
            let now = begin + Duration::from_secs(1) * second;
            while pace.is_due(now) {
                pace.send(now);
                sent += 1;
            }
        }
        sent
    }

    #[test]
    fn paced_reads_take_a_fifth_of_the_requests_after_a_burst() {
        for (requests, burst, seconds) in [
            (300, 12, 1),
            (3000, 12, 1),
            (0, 12, 1),
            (100, 12, 3),
            (20, 4, 15),
            (5, 1, 60),
            (1, 1, 60),
        ] {
            assert_eq!(sent(requests, 1), burst, "{requests}");
            let more = usize::try_from(600 / seconds).unwrap();
            assert_eq!(sent(requests, 601), burst + more, "{requests}");
        }
    }
}
