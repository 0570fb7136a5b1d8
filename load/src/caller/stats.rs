//! The statistics of calls: outcomes and latencies.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use hdrhistogram::Histogram;
use parking_lot::{Mutex, MutexGuard};

use super::outcome::Outcome;

/// The counts of all calls.
#[derive(Debug)]
pub struct Stats(Mutex<Counts>);

#[derive(Debug)]
struct Counts {
    time: Duration,
    answered: Latencies,
    shed: Latencies,
    other: Latencies,
    ended: BTreeMap<String, u64>,
    lost: u64,
    wrong: u64,
    resent: u64,
}

/// The latencies of calls.
#[derive(Debug, Clone)]
pub struct Latencies(Histogram<u64>);

impl Default for Stats {
    fn default() -> Self {
        Self(Mutex::new(Counts {
            time: Duration::ZERO,
            answered: Latencies::default(),
            shed: Latencies::default(),
            other: Latencies::default(),
            ended: BTreeMap::new(),
            lost: 0,
            wrong: 0,
            resent: 0,
        }))
    }
}

impl Stats {
    /// Sets the time over which calls were started.
    pub fn set_duration(&self, time: Duration) {
        self.counts().time = time;
    }

    /// Counts a call with its outcome and latency.
    pub fn count(&self, outcome: &Outcome, took: Duration) {
        let mut counts = self.counts();
        let (name, latencies) = match outcome {
            Outcome::Answered => ("OK".to_owned(), &mut counts.answered),
            Outcome::WrongAnswer => (
                "OK, with the response to another query".to_owned(),
                &mut counts.other,
            ),
            Outcome::Status(code, reason) if outcome.is_shed() => {
                (format!("{code} {reason}"), &mut counts.shed)
            }
            Outcome::Status(code, reason) => (format!("{code} {reason}"), &mut counts.other),
            Outcome::NoStatus(how) => (format!("without a status: {how}"), &mut counts.other),
        };
        latencies.add(took);
        *counts.ended.entry(name).or_default() += 1;
        counts.lost += u64::from(matches!(outcome, Outcome::NoStatus(_)));
        counts.wrong += u64::from(*outcome == Outcome::WrongAnswer);
    }

    /// Counts a call that is sent again because the gateway did not process it.
    pub(super) fn count_resent(&self) {
        self.counts().resent += 1;
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.0.lock()
    }

    /// The number of calls.
    pub fn calls(&self) -> u64 {
        self.counts().ended.values().sum()
    }

    /// The number of calls without a status.
    pub fn lost(&self) -> u64 {
        self.counts().lost
    }

    /// The number of calls with the response to another query.
    pub fn wrong(&self) -> u64 {
        self.counts().wrong
    }

    /// The latencies of answered calls.
    pub fn answered(&self) -> Latencies {
        self.counts().answered.clone()
    }

    /// The latencies of calls that the gateway shed.
    pub fn shed(&self) -> Latencies {
        self.counts().shed.clone()
    }

    /// `count` per second of the time over which calls were started.
    pub fn per_second(&self, count: u64) -> f64 {
        count as f64 / self.counts().time.as_secs_f64()
    }
}

impl fmt::Display for Stats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = self.counts();
        for (name, count) in &counts.ended {
            writeln!(f, "  {count:>9}  {name}")?;
        }
        if counts.resent > 0 {
            let resent = counts.resent;
            writeln!(f, "  {resent:>9}  sent again, not processed by the gateway")?;
        }
        for (name, latencies) in [
            ("answered", &counts.answered),
            ("shed", &counts.shed),
            ("other", &counts.other),
        ] {
            if latencies.count() > 0 {
                let rate = latencies.count() as f64 / counts.time.as_secs_f64();
                writeln!(f, "  {name:>9}  {rate:.1}/s, {latencies}")?;
            }
        }
        Ok(())
    }
}

impl Default for Latencies {
    fn default() -> Self {
        // Three significant digits are always valid.
        let microseconds = Histogram::new(3);
        Self(microseconds.unwrap_or_else(|error| panic!("{error}")))
    }
}

impl Latencies {
    /// Adds a latency.
    pub fn add(&mut self, took: Duration) {
        let took = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        // The histogram resizes itself.
        let _ = self.0.record(took);
    }

    /// Those that were added after `before`.
    #[must_use]
    pub fn since(mut self, before: &Self) -> Self {
        // Both count the same calls, so that none is below zero.
        let _ = self.0.subtract(&before.0);
        self
    }

    /// The number of latencies.
    pub fn count(&self) -> u64 {
        self.0.len()
    }

    /// The quantile of the latencies, in milliseconds.
    pub fn quantile(&self, part: f64) -> f64 {
        self.0.value_at_quantile(part) as f64 / 1000.0
    }
}

impl fmt::Display for Latencies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (p50, p99) = (self.quantile(0.5), self.quantile(0.99));
        let max = self.0.max() as f64 / 1000.0;
        write!(f, "p50 {p50:.2} ms, p99 {p99:.1} ms, max {max:.1} ms")
    }
}
