//! What the log is told of the export: that it fails, and that it works again.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::telemetry::settings::Destination;

/// What is exported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Signal {
    Traces,
    Metrics,
}

impl Signal {
    fn name(self) -> &'static str {
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
    failing: BTreeMap<Signal, String>,
    /// Whether the failures that there are were told.
    is_told: bool,
    told_at: Option<Instant>,
}

impl Told {
    pub(super) fn failed(&self, signal: Signal, to: &Destination, why: &str) {
        let mut state = self.lock();
        if state.failing.contains_key(&signal) {
            return;
        }
        let is_known = state.failing.values().any(|other| other == why);
        let is_first = state.failing.is_empty();
        state.failing.insert(signal, why.to_owned());
        let is_again = is_first && state.told_at.is_some_and(|at| at.elapsed() < QUIET);
        if is_known || is_again {
            return;
        }
        state.is_told = true;
        state.told_at = Some(Instant::now());
        tracing::warn!(
            signal = signal.name(),
            setting = %to.setting,
            endpoint = %to.url,
            error = %why,
            "telemetry cannot be exported and is dropped; calls are served all the same. {}. This \
             is told once, until it works again",
            remedy(to)
        );
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

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What an operator can do, as a sentence without its point.
fn remedy(to: &Destination) -> String {
    format!(
        "See that a collector accepts OTLP ({}) there, or unset {}",
        to.protocol, to.setting
    )
}
