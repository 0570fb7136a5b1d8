//! What the log is told of the export: that it fails, and that it works again.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

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

/// What fails, and why: each failure is told when it begins, and not again
/// until all is well. Traces and metrics that fail for the same reason, such
/// as that their collector is gone, are told of once.
#[derive(Debug, Default)]
pub(super) struct Told(Mutex<BTreeMap<Signal, String>>);

impl Told {
    pub(super) fn failed(&self, signal: Signal, to: &Destination, why: &str) {
        let mut failing = self.lock();
        if failing.contains_key(&signal) {
            return;
        }
        let is_known = failing.values().any(|other| other == why);
        failing.insert(signal, why.to_owned());
        if is_known {
            return;
        }
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
        let mut failing = self.lock();
        if failing.remove(&signal).is_some() && failing.is_empty() {
            tracing::info!("telemetry is exported again");
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Signal, String>> {
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
