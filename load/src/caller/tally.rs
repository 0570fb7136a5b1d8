//! What calls came to: how many ended how, and how long they took.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hdrhistogram::Histogram;

use super::outcome::Outcome;

/// The counts of all calls.
#[derive(Debug)]
pub struct Tally(Mutex<Counts>);

#[derive(Debug)]
struct Counts {
    time: Duration,
    answered: Times,
    shed: Times,
    other: Times,
    ended: BTreeMap<String, u64>,
    lost: u64,
    wrong: u64,
    resent: u64,
}

/// How long calls took.
#[derive(Debug, Clone)]
pub struct Times(Histogram<u64>);

impl Default for Tally {
    fn default() -> Self {
        Self(Mutex::new(Counts {
            time: Duration::ZERO,
            answered: Times::default(),
            shed: Times::default(),
            other: Times::default(),
            ended: BTreeMap::new(),
            lost: 0,
            wrong: 0,
            resent: 0,
        }))
    }
}

impl Tally {
    /// Notes for how long calls were begun.
    pub fn over(&self, time: Duration) {
        self.counts().time = time;
    }

    /// Counts a call that ended so, after so long.
    pub fn count(&self, outcome: &Outcome, took: Duration) {
        let mut counts = self.counts();
        let (name, times) = match outcome {
            Outcome::Answered => ("OK".to_owned(), &mut counts.answered),
            Outcome::Wrong => (
                "OK, but no answer to the question".to_owned(),
                &mut counts.other,
            ),
            Outcome::Refused(code, reason) if outcome.is_shed() => {
                (format!("{code} {reason}"), &mut counts.shed)
            }
            Outcome::Refused(code, reason) => (format!("{code} {reason}"), &mut counts.other),
            Outcome::Lost(how) => (format!("without a status: {how}"), &mut counts.other),
        };
        times.add(took);
        *counts.ended.entry(name).or_default() += 1;
        counts.lost += u64::from(matches!(outcome, Outcome::Lost(_)));
        counts.wrong += u64::from(*outcome == Outcome::Wrong);
    }

    /// Counts a call that is sent again because it never arrived.
    pub(super) fn resent(&self) {
        self.counts().resent += 1;
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many calls there were.
    pub fn calls(&self) -> u64 {
        self.counts().ended.values().sum()
    }

    /// How many ended without a status.
    pub fn lost(&self) -> u64 {
        self.counts().lost
    }

    /// How many were answered with something that was not asked.
    pub fn wrong(&self) -> u64 {
        self.counts().wrong
    }

    /// The times of the calls that were answered.
    pub fn answered(&self) -> Times {
        self.counts().answered.clone()
    }

    /// The times of the calls for which there was no place.
    pub fn shed(&self) -> Times {
        self.counts().shed.clone()
    }

    /// So many a second of the time in which calls were made.
    pub fn a_second(&self, count: u64) -> f64 {
        count as f64 / self.counts().time.as_secs_f64()
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = self.counts();
        for (name, count) in &counts.ended {
            writeln!(f, "  {count:>9}  {name}")?;
        }
        if counts.resent > 0 {
            let resent = counts.resent;
            writeln!(f, "  {resent:>9}  sent again, since they had not arrived")?;
        }
        for (name, times) in [
            ("answered", &counts.answered),
            ("shed", &counts.shed),
            ("other", &counts.other),
        ] {
            if times.count() > 0 {
                let rate = times.count() as f64 / counts.time.as_secs_f64();
                writeln!(f, "  {name:>9}  {rate:.1}/s, {times}")?;
            }
        }
        Ok(())
    }
}

impl Default for Times {
    fn default() -> Self {
        // It has this number of digits.
        let microseconds = Histogram::new(3);
        Self(microseconds.unwrap_or_else(|error| panic!("{error}")))
    }
}

impl Times {
    fn add(&mut self, took: Duration) {
        let took = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        // It grows with what it is given.
        let _ = self.0.record(took);
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.0.len()
    }

    /// The time, in milliseconds, that this part of the calls did not exceed.
    pub fn at(&self, part: f64) -> f64 {
        self.0.value_at_quantile(part) as f64 / 1000.0
    }
}

impl fmt::Display for Times {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (p50, p99) = (self.at(0.5), self.at(0.99));
        let max = self.0.max() as f64 / 1000.0;
        write!(f, "p50 {p50:.1} ms, p99 {p99:.1} ms, most {max:.1} ms")
    }
}
