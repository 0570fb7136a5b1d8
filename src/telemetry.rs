//! Traces and metrics.
//!
//! Spans are created here with OpenTelemetry's API, not from log events, so that
//! no log filter loses them and they have the names of the conventions
//! (`names`): a SERVER span for a call, a span for each batch of a bulk call,
//! a CLIENT span for each attempt of a request. Without settings for telemetry,
//! none of this exists.

mod attempt;
mod budget;
mod call;
mod error_type;
mod export;
mod metrics;
mod names;
mod propagation;
mod result;
mod scrape;
mod settings;
mod watch;

use std::sync::Arc;

use opentelemetry::InstrumentationScope;
use opentelemetry::metrics::MeterProvider;
use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::trace::SdkTracer;

pub(crate) use attempt::{Attempt, Peer};
pub use budget::BudgetDecisions;
pub use call::CallTelemetry;
pub use export::Providers;
use metrics::Metrics;
pub(crate) use metrics::{MERGED, SHARED};
pub use scrape::MetricsServer;
pub use settings::{Destination, Protocol, Settings, Unsupported};
pub use watch::WatchCounts;
pub(crate) use watch::{ResyncReason, WatchHoldings};

/// The handle through which calls record telemetry. Clones share the providers.
#[derive(Debug, Clone, Default)]
pub struct Telemetry(Option<Arc<Inner>>);

#[derive(Debug)]
struct Inner {
    tracer: Option<SdkTracer>,
    metrics: Option<Metrics>,
    accepts_parent: bool,
    propagates: bool,
}

impl Telemetry {
    /// Starts the telemetry that the settings enable, in a gateway that serves
    /// `max_in_flight` calls at once: the handle for calls, the SDK's providers,
    /// and the metrics server if there is one.
    ///
    /// # Errors
    ///
    /// If the threads cannot be started.
    pub fn start(
        settings: Settings,
        max_in_flight: usize,
    ) -> Result<(Self, Providers, Option<MetricsServer>), String> {
        let is_exported = settings.traces.is_some() || settings.metrics.is_some();
        if !is_exported && !settings.has_page && !settings.propagates {
            return Ok(Default::default());
        }
        let (accepts_parent, propagates) = (settings.accepts_parent, settings.propagates);
        let (providers, metrics_server) = export::start(settings)?;
        let scope = InstrumentationScope::builder(names::SCOPE)
            .with_version(env!("CARGO_PKG_VERSION"))
            .with_schema_url(names::SCHEMA_URL)
            .build();
        let (tracer, meter) = (providers.tracer.as_ref(), providers.meter.as_ref());
        let inner = Inner {
            tracer: tracer.map(|provider| provider.tracer_with_scope(scope.clone())),
            metrics: meter
                .map(|provider| Metrics::new(provider.meter_with_scope(scope), max_in_flight)),
            accepts_parent,
            propagates,
        };
        Ok((Self(Some(Arc::new(inner))), providers, metrics_server))
    }

    /// Registers the number of calls in flight as a metric.
    pub(crate) fn observe_in_flight(&self, count: impl Fn() -> usize + Send + Sync + 'static) {
        if let Some(metrics) = self.metrics() {
            metrics.observe_in_flight(count);
        }
    }

    /// Whether nothing is recorded.
    pub(crate) fn is_off(&self) -> bool {
        self.0.is_none()
    }

    fn tracer(&self) -> Option<&SdkTracer> {
        self.0.as_ref()?.tracer.as_ref()
    }

    fn metrics(&self) -> Option<&Metrics> {
        self.0.as_ref()?.metrics.as_ref()
    }

    /// Whether calls join their callers' traces.
    fn accepts_parent(&self) -> bool {
        self.0.as_ref().is_none_or(|inner| inner.accepts_parent)
    }

    /// Whether requests to the vendor carry the trace context: that of their own
    /// span or, if no traces are exported, that of the caller.
    fn propagates(&self) -> bool {
        self.0.as_ref().is_some_and(|inner| inner.propagates)
    }
}
