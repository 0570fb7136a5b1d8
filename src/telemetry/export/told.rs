//! What the log is told of the export: that it fails, and that it works again.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use parking_lot::{Mutex, MutexGuard};

use crate::telemetry::settings::Destination;

/// What is exported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Signal {
    Traces,
    Metrics,
}

impl Signal {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Traces => "traces",
            Self::Metrics => "metrics",
        }
    }
}

/// How long a failure is not told again: a collector that refuses now and then
/// is one matter.
const QUIET: Duration = Duration::from_mins(10);

/// What fails, and why: each failure is told when it begins, and not again
/// until all is well. Traces and metrics that fail for the same reason, such
/// as that their collector is gone, are told of once.
#[derive(Debug, Default)]
pub(super) struct Told(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    failing: BTreeMap<Signal, Failure>,
    /// Whether the failures that there are were told.
    is_told: bool,
    told_at: Option<Instant>,
    failures: BTreeMap<Signal, Failures>,
}

/// A signal whose last export failed.
#[derive(Debug)]
struct Failure {
    why: String,
    is_told: bool,
}

/// The exports of a signal that failed since the start.
#[derive(Debug, Clone, Default)]
pub(super) struct Failures {
    /// How many there were.
    pub count: u64,
    /// Why the last one failed.
    pub last: String,
}

impl Told {
    pub(super) fn failed(&self, signal: Signal, to: &Destination, why: &str) {
        if self.lock().is_due(signal, why, Instant::now()) {
            tracing::warn!(
                signal = signal.name(),
                setting = %to.setting,
                endpoint = %to.url,
                error = %why,
                "telemetry cannot be exported and is dropped; calls are served all the same. {}. \
                 This is told once, until it works again",
                remedy(to)
            );
        }
    }

    pub(super) fn succeeded(&self, signal: Signal) {
        let mut state = self.lock();
        if state.failing.remove(&signal).is_some()
            && state.failing.is_empty()
            && std::mem::take(&mut state.is_told)
        {
            tracing::info!("telemetry is exported again");
        }
    }

    /// The exports of a signal that failed up to now.
    pub(super) fn failures(&self, signal: Signal) -> Failures {
        let state = self.lock();
        state.failures.get(&signal).cloned().unwrap_or_default()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock()
    }
}

impl State {
    /// Takes up a failure; says whether it is to be logged.
    fn is_due(&mut self, signal: Signal, why: &str, now: Instant) -> bool {
        let failures = self.failures.entry(signal).or_default();
        failures.count += 1;
        why.clone_into(&mut failures.last);
        let before = self.failing.remove(&signal);
        let is_told = before.is_some_and(|before| before.is_told);
        let mut others = self.failing.values().filter(|other| other.is_told);
        let is_first = others.clone().next().is_none();
        let is_known = others.any(|other| other.why == why);
        let is_again = self.told_at.is_some_and(|at| now - at < QUIET);
        // One that is not told now, since one like it was shortly before, is
        // told later if it lasts.
        let is_due = !(is_told || is_known || is_first && is_again);
        let failure = Failure {
            why: why.to_owned(),
            is_told: is_told || is_known || is_due,
        };
        self.failing.insert(signal, failure);
        if is_due {
            self.is_told = true;
            self.told_at = Some(now);
        }
        is_due
    }
}

/// What an operator can do, as a sentence without its point.
fn remedy(to: &Destination) -> String {
    format!(
        "See that a collector accepts OTLP ({}) there, or unset {}",
        to.protocol, to.setting
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_that_lasts_is_logged_once_also_if_it_began_shortly_after_another() {
        let (mut state, begun) = (State::default(), Instant::now());
        let mut is_due = |signal, why, after: u64| {
            let now = begun + Duration::from_secs(after);
            state.is_due(signal, why, now)
        };
        assert!(is_due(Signal::Traces, "gone", 0));
        assert!(!is_due(Signal::Traces, "gone", 1));
        assert!(!is_due(Signal::Metrics, "gone", 1), "the same matter");
        assert!(!is_due(Signal::Metrics, "refused", 2), "told already");

        state.failing.clear();
        let mut is_due = |signal, why, after: u64| {
            let now = begun + Duration::from_secs(after);
            state.is_due(signal, why, now)
        };
        assert!(!is_due(Signal::Traces, "gone", 60), "one that flaps");
        assert!(!is_due(Signal::Metrics, "gone", 60));
        assert!(is_due(Signal::Traces, "gone", 660), "one that lasts");
        assert!(!is_due(Signal::Metrics, "gone", 660));
        assert!(!is_due(Signal::Traces, "gone", 6000));
    }

    #[test]
    fn a_second_signal_that_fails_for_another_reason_is_logged_too() {
        let (mut state, now) = (State::default(), Instant::now());
        assert!(state.is_due(Signal::Traces, "refused", now));
        assert!(state.is_due(Signal::Metrics, "gone", now));
        assert_eq!(state.failures[&Signal::Metrics].count, 1);
    }
}
