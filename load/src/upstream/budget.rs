//! How often each has asked within any minute.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::time::{Duration, Instant};

/// What the vendor counts requests in.
const MINUTE: Duration = Duration::from_secs(60);

/// The starts of each who asks.
#[derive(Debug)]
pub(super) struct Budgets<K>(HashMap<K, Starts>);

/// The starts within the last minute, and the most that there ever were.
#[derive(Debug, Default)]
struct Starts {
    last: VecDeque<Instant>,
    most: usize,
}

impl<K> Default for Budgets<K> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<K: Eq + Hash> Budgets<K> {
    /// Counts a start.
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

    /// The most that each has asked within any minute, largest first. The
    /// minute with the most ends with a start, so none was missed.
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
        let mut budgets = Budgets::default();
        let begun = Instant::now();
        let at = |seconds| begun + Duration::from_secs(seconds);
        // Three in the 51 seconds from 50, although no minute of a clock has more than two.
        for seconds in [0, 50, 61, 101, 170] {
            budgets.start("a", at(seconds));
        }
        // A minute apart is not within a minute.
        for seconds in [0, 60, 120] {
            budgets.start("b", at(seconds));
        }
        assert_eq!(budgets.most(), [3, 1]);
    }
}
