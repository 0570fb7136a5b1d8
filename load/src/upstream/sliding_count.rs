//! The number of requests of each sender within any minute.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::time::{Duration, Instant};

/// The window of the vendor's rate limit.
const MINUTE: Duration = Duration::from_secs(60);

/// The requests of each key within a sliding window.
#[derive(Debug)]
pub(super) struct SlidingCounts<K>(HashMap<K, Starts>);

/// The requests of the last minute, and the peak up to now.
#[derive(Debug, Default)]
struct Starts {
    last: VecDeque<Instant>,
    most: usize,
}

impl<K> Default for SlidingCounts<K> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<K: Eq + Hash> SlidingCounts<K> {
    /// Counts a request.
    pub(super) fn start(&mut self, who: K, now: Instant) {
        let starts = self.0.entry(who).or_default();
        starts.last.push_back(now);
        while starts
            .last
            .front()
            .is_some_and(|&first| now - first >= MINUTE)
        {
            starts.last.pop_front();
        }
        starts.most = starts.most.max(starts.last.len());
    }

    /// The peak of each key, largest first. A window with the peak ends with a
    /// request, so that none is missed.
    pub(super) fn most(&self) -> Vec<usize> {
        let mut most: Vec<usize> = self.0.values().map(|starts| starts.most).collect();
        most.sort_unstable_by(|one, other| other.cmp(one));
        most
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_within_any_minute_is_told_of_each() {
        let mut budgets = SlidingCounts::default();
        let begun = Instant::now();
        let at = |seconds| begun + Duration::from_secs(seconds);
        // Three within the 51 seconds from 50, although no calendar minute has more than two.
        for seconds in [0, 50, 61, 101, 170] {
            budgets.start("a", at(seconds));
        }
        // Requests 60 s apart are not in one window.
        for seconds in [0, 60, 120] {
            budgets.start("b", at(seconds));
        }
        assert_eq!(budgets.most(), [3, 1]);
    }
}
