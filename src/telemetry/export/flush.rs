//! The last export, at the end of the process.
//!
//! Whether it succeeded is seen at the exporters, since the SDK does not say:
//! its `shutdown` of traces returns `Ok` where the last export failed, and a
//! timeout as an internal failure.
//! <https://github.com/open-telemetry/opentelemetry-rust/pull/3538> would mend that.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::told::{Signal, Told};

/// How long the end waits for what was not exported yet.
const FLUSH: Duration = Duration::from_secs(3);

/// What the SDK is given. It is more, so that a timeout is always ours.
const SHUTDOWN: Duration = FLUSH.saturating_mul(2);

/// What was started, until it is ended.
#[derive(Debug, Default)]
pub struct Running {
    pub(super) tracer: Option<SdkTracerProvider>,
    pub(super) meter: Option<SdkMeterProvider>,
    pub(super) told: Arc<Told>,
}

impl Running {
    /// What makes spans, and what makes instruments.
    pub(in crate::telemetry) fn providers(
        &self,
    ) -> (Option<&SdkTracerProvider>, Option<&SdkMeterProvider>) {
        (self.tracer.as_ref(), self.meter.as_ref())
    }

    /// Exports what is left, within some seconds, and logs each signal of
    /// which something is lost.
    pub async fn end(self) {
        let Self {
            tracer,
            meter,
            told,
        } = self;
        let traces = tracer.map(|it| move || it.shutdown_with_timeout(SHUTDOWN));
        let metrics = meter.map(|it| move || it.shutdown_with_timeout(SHUTDOWN));
        tokio::join!(
            flush(Signal::Traces, traces, &told),
            flush(Signal::Metrics, metrics, &told),
        );
    }
}

async fn flush<F>(signal: Signal, shutdown: Option<F>, told: &Told)
where
    F: FnOnce() -> OTelSdkResult + Send + 'static,
{
    let Some(shutdown) = shutdown else { return };
    let before = told.failures(signal);
    let ended = timeout(FLUSH, apart(shutdown)).await;
    let failures = told.failures(signal);
    let error = match ended {
        _ if failures.count > before.count => failures.last,
        Ok(Ok(())) => return,
        Ok(Err(error)) => error,
        Err(_) => format!("there is no answer within {FLUSH:?}"),
    };
    let name = signal.name();
    tracing::warn!(
        signal = name,
        %error,
        "the last {name} could not be exported, and are lost"
    );
}

/// Runs what blocks on a thread of its own, which can be left behind.
async fn apart(work: impl FnOnce() -> OTelSdkResult + Send + 'static) -> Result<(), String> {
    let (done, is_done) = oneshot::channel();
    let thread = thread::Builder::new().spawn(move || {
        // Where nobody waits any more, it is lost.
        let _ = done.send(work());
    });
    thread.map_err(|error| format!("no thread can be started: {error}"))?;
    match is_done.await {
        Ok(ended) => ended.map_err(|error| error.to_string()),
        Err(_) => Err("the exporter panicked".to_owned()),
    }
}
