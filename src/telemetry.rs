//! Traces and metrics: what is seen of the gateway from outside.
//!
//! Spans are made here, of OpenTelemetry's API itself and not of log events,
//! in few places: one SERVER span for a call, one span for each batch of a
//! bulk call, one CLIENT span for each attempt at a request. So a filter of
//! the log loses none of them, and their names are those of the conventions
//! ([`names`]). Where nothing asks for telemetry, none of it exists.

mod attempt;
mod cause;
mod drift;
mod export;
mod metrics;
pub mod names;
mod propagation;
mod result;
mod scope;
mod scrape;
mod settings;

use std::fmt;
use std::sync::Arc;

use http::HeaderMap;
use opentelemetry::InstrumentationScope;
use opentelemetry::metrics::MeterProvider;
use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::trace::SdkTracer;

pub(crate) use attempt::{Attempt, Peer};
pub(crate) use drift::DriftSampler;
pub use export::Providers;
use metrics::Metrics;
pub(crate) use metrics::{MERGED, SHARED};
pub use scope::Scope;
pub use scrape::MetricsServer;
pub use settings::{Destination, Protocol, Settings, Unsupported};

/// What the calls tell to. A clone tells to the same.
#[derive(Clone, Default)]
pub struct Telemetry(Option<Arc<Inner>>);

struct Inner {
    tracer: Option<SdkTracer>,
    metrics: Option<Metrics>,
    accepts_parent: bool,
    propagates: bool,
}

impl fmt::Debug for Telemetry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Telemetry").field(&self.0.is_some()).finish()
    }
}

impl Telemetry {
    /// Starts what the settings ask for, in a gateway that has so many places
    /// for calls: what is told to, what exports it, and the page of metrics
    /// where one is asked for.
    ///
    /// # Errors
    ///
    /// If the threads cannot be started.
    pub fn start(
        settings: Settings,
        places: usize,
    ) -> Result<(Self, Providers, Option<MetricsServer>), String> {
        if settings.is_off() && !settings.propagates {
            return Ok(Default::default());
        }
        let (accepts_parent, propagates) = (settings.accepts_parent, settings.propagates);
        let (providers, metrics_server) = export::start(settings)?;
        let scope = InstrumentationScope::builder(names::SCOPE)
            .with_version(env!("CARGO_PKG_VERSION"))
            .with_schema_url(names::SCHEMA_URL)
            .build();
        let (tracer, meter) = providers.get();
        let inner = Inner {
            tracer: tracer.map(|provider| provider.tracer_with_scope(scope.clone())),
            metrics: meter.map(|provider| Metrics::new(provider.meter_with_scope(scope), places)),
            accepts_parent,
            propagates,
        };
        Ok((Self(Some(Arc::new(inner))), providers, metrics_server))
    }

    /// A call of this RPC, none where there is no such, with these headers.
    pub(crate) fn call(&self, rpc: Option<&'static str>, headers: &HeaderMap) -> Scope {
        Scope::of_call(self, rpc, headers)
    }

    /// Lets the calls in flight be counted whenever somebody asks.
    pub(crate) fn observe_in_flight(&self, count: impl Fn() -> usize + Send + Sync + 'static) {
        if let Some(metrics) = self.metrics() {
            metrics.observe_in_flight(count);
        }
    }

    /// Whether nothing is told to anybody.
    pub(crate) fn is_off(&self) -> bool {
        self.0.is_none()
    }

    fn tracer(&self) -> Option<&SdkTracer> {
        self.0.as_ref()?.tracer.as_ref()
    }

    fn metrics(&self) -> Option<&Metrics> {
        self.0.as_ref()?.metrics.as_ref()
    }

    /// Whether calls are parts of their callers' traces.
    fn accepts_parent(&self) -> bool {
        self.0.as_ref().is_none_or(|inner| inner.accepts_parent)
    }

    /// Whether requests to the vendor carry the trace context: that of their
    /// own span or, where nothing is exported, that of the caller.
    fn propagates(&self) -> bool {
        self.0.as_ref().is_some_and(|inner| inner.propagates)
    }
}
