//! The last export, when the process ends.
//!
//! The exporters record whether it succeeded, since the SDK does not say: its
//! `shutdown` of traces returns `Ok` when the last export failed, and reports a
//! timeout as an internal failure.
//! <https://github.com/open-telemetry/opentelemetry-rust/pull/3538> would fix that.

use std::sync::Arc;
use std::time::Duration;

use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::health::{ExportHealth, Signal};

/// How long the last export may take.
const FLUSH: Duration = Duration::from_secs(3);

/// The timeout given to the SDK: longer than [`FLUSH`], so that that expires first.
const SHUTDOWN: Duration = FLUSH.saturating_mul(2);

/// The providers of the SDK, which export until they are shut down.
#[derive(Debug, Default)]
pub struct Providers {
    pub(in crate::telemetry) tracer: Option<SdkTracerProvider>,
    pub(in crate::telemetry) meter: Option<SdkMeterProvider>,
    pub(super) health: Arc<ExportHealth>,
}

impl Providers {
    /// Exports the last traces and metrics, within a few seconds, and logs each signal
    /// whose last export fails.
    pub async fn shut_down(self) {
        let traces = self
            .tracer
            .map(|it| move || it.shutdown_with_timeout(SHUTDOWN));
        let metrics = self
            .meter
            .map(|it| move || it.shutdown_with_timeout(SHUTDOWN));
        tokio::join!(
            flush(Signal::Traces, traces, &self.health),
            flush(Signal::Metrics, metrics, &self.health),
        );
    }
}

async fn flush<F>(signal: Signal, shutdown: Option<F>, health: &ExportHealth)
where
    F: FnOnce() -> OTelSdkResult + Send + 'static,
{
    let Some(shutdown) = shutdown else { return };
    let before = health.failures(signal);
    let ended = timeout(FLUSH, spawn_blocking(shutdown)).await;
    let failures = health.failures(signal);
    let error = match ended {
        _ if failures.count > before.count => failures.last,
        Ok(Ok(Ok(()))) => return,
        Ok(Ok(Err(error))) => error.to_string(),
        Ok(Err(_)) => "the exporter panicked".to_owned(),
        Err(_) => format!("no response within {FLUSH:?}"),
    };
    let name = signal.name();
    tracing::warn!(
        signal = name,
        %error,
        "the last {name} could not be exported and are lost"
    );
}
