//! The number of requests of each sender within any minute.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::time::{Duration, Instant};

/// The window of the vendor's limit.
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
    pub(super) fn start(&mut self, key: K, now: Instant) {
        let starts = self.0.entry(key).or_default();
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
    fn each_key_has_its_peak_within_any_minute() {
        let mut counts = SlidingCounts::default();
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        // Three within the 51 seconds from 50, but at most two in a minute of the clock.
        for seconds in [0, 50, 61, 101, 170] {
            counts.start("a", at(seconds));
        }
        // Requests 60 s apart are in different windows.
        for seconds in [0, 60, 120] {
            counts.start("b", at(seconds));
        }
        assert_eq!(counts.most(), [3, 1]);
    }
}
