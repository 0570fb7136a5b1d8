//! Whether exports succeed: the log reports when they fail and when they work
//! again.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::telemetry::settings::Destination;

/// What is exported.
#[derive(Debug, Clone, Copy)]
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

/// How long after a logged failure a new one is not logged, so that a collector
/// that fails now and then does not fill the log.
const QUIET: Duration = Duration::from_mins(10);

/// The state of the export. A failure is logged when it begins, and not again
/// until all exports succeed. Signals that fail for the same reason, for
/// example because their collector is down, are logged once.
#[derive(Debug, Default)]
pub(super) struct ExportHealth(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    signals: [SignalState; 2],
    /// Whether one of the current failures was logged.
    has_logged: bool,
    logged_at: Option<Instant>,
}

#[derive(Debug, Default)]
struct SignalState {
    /// Whether the last export failed.
    is_failing: bool,
    /// Whether the log covers the current failure.
    is_logged: bool,
    failures: Failures,
}

/// The failed exports of a signal since the start.
#[derive(Debug, Clone, Default)]
pub(super) struct Failures {
    pub count: u64,
    /// The cause of the last one.
    pub last: String,
}

impl ExportHealth {
    /// Records that an export failed.
    pub(super) fn failed(&self, signal: Signal, to: &Destination, cause: &str) {
        if self.0.lock().record(signal, cause, Instant::now()) {
            tracing::warn!(
                signal = signal.name(),
                setting = %to.setting,
                endpoint = %to.url,
                error = %cause,
                "telemetry cannot be exported and is dropped; calls are not affected. Check that \
                 a collector accepts OTLP ({}) at the endpoint, or unset {}. This is logged once, \
                 until exports succeed again",
                to.protocol,
                to.setting
            );
        }
    }

    /// Records that an export succeeded.
    pub(super) fn succeeded(&self, signal: Signal) {
        let mut state = self.0.lock();
        let was_failing = std::mem::take(&mut state.signals[signal as usize].is_failing);
        if was_failing
            && state.signals.iter().all(|signal| !signal.is_failing)
            && std::mem::take(&mut state.has_logged)
        {
            tracing::info!("telemetry is exported again");
        }
    }

    /// The failed exports of a signal up to now.
    pub(super) fn failures(&self, signal: Signal) -> Failures {
        self.0.lock().signals[signal as usize].failures.clone()
    }
}

impl State {
    /// Records a failure; returns whether to log it.
    fn record(&mut self, signal: Signal, cause: &str, now: Instant) -> bool {
        let other = &self.signals[1 - signal as usize];
        let is_other_logged = other.is_failing && other.is_logged;
        let is_same = is_other_logged && other.failures.last == cause;
        let is_quiet = self.logged_at.is_some_and(|at| now - at < QUIET);
        let state = &mut self.signals[signal as usize];
        let is_logged = state.is_failing && state.is_logged || is_same;
        // A failure that is not logged now is logged later, if it lasts.
        let is_due = !is_logged && (is_other_logged || !is_quiet);
        state.is_failing = true;
        state.is_logged = is_logged || is_due;
        state.failures.count += 1;
        cause.clone_into(&mut state.failures.last);
        if is_due {
            self.has_logged = true;
            self.logged_at = Some(now);
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lasting_failure_is_logged_once_even_soon_after_another() {
        let (mut state, begun) = (State::default(), Instant::now());
        let mut is_due = |signal, why, after: u64| {
            let now = begun + Duration::from_secs(after);
            state.record(signal, why, now)
        };
        assert!(is_due(Signal::Traces, "gone", 0));
        assert!(!is_due(Signal::Traces, "gone", 1));
        assert!(!is_due(Signal::Metrics, "gone", 1), "the same failure");
        assert!(
            !is_due(Signal::Metrics, "refused", 2),
            "a failure is already logged"
        );

        for signal in &mut state.signals {
            signal.is_failing = false;
        }
        let mut is_due = |signal, why, after: u64| {
            let now = begun + Duration::from_secs(after);
            state.record(signal, why, now)
        };
        assert!(
            !is_due(Signal::Traces, "gone", 60),
            "the failure may be flapping"
        );
        assert!(!is_due(Signal::Metrics, "gone", 60));
        assert!(is_due(Signal::Traces, "gone", 660), "the failure lasts");
        assert!(!is_due(Signal::Metrics, "gone", 660));
        assert!(!is_due(Signal::Traces, "gone", 6000));
    }

    #[test]
    fn a_second_signal_that_fails_for_another_reason_is_logged() {
        let (mut state, now) = (State::default(), Instant::now());
        assert!(state.record(Signal::Traces, "refused", now));
        assert!(state.record(Signal::Metrics, "gone", now));
        assert_eq!(state.signals[1].failures.count, 1);
    }
}
