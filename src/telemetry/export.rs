//! Exports telemetry on threads of its own: a collector that is down or slow
//! costs calls nothing.
//!
//! The SDK has one thread for spans, with a bounded queue, and one for metrics.
//! They block on the exporters, whose connections live in a runtime with a
//! thread of its own. So exports do not depend on the threads that serve calls,
//! of which there may be only one: there, the SDK's ways with the runtime that
//! serves deadlock (<https://github.com/open-telemetry/opentelemetry-rust/issues/2802>).

mod flush;
mod health;
mod http;

use std::future::pending;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use opentelemetry_otlp::{
    Compression, MetricExporter, SpanExporter, WithExportConfig, WithHttpConfig, WithTonicConfig,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider, Temporality};
use opentelemetry_sdk::trace::{BatchSpanProcessor, SdkTracerProvider, SpanData};
use tokio::runtime::{Builder, Handle};
use tokio::time::timeout;
use tonic::transport::{Channel, Endpoint};

use super::scrape::MetricsServer;
use super::settings::{Destination, Protocol, Settings};
use crate::tls::dial::{self, H2Connector};
pub use flush::Providers;
use health::{ExportHealth, Signal};
use http::OtlpHttpClient;

/// Enables compression in a builder if the destination has it.
macro_rules! compressed {
    ($builder:expr, $to:expr) => {{
        let builder = $builder;
        if $to.compress {
            builder.with_compression(Compression::Gzip)
        } else {
            builder
        }
    }};
}

/// Builds the exporter of a signal; a macro, since the builders of the signals
/// share no trait. The exporters read their headers from the environment.
macro_rules! exporter {
    ($exporter:ty, $to:expr, $signal:expr, $runtime:expr, $health:expr) => {{
        let (to, builder) = ($to, <$exporter>::builder());
        let (built, client) = match to.protocol {
            Protocol::Grpc => {
                let builder = builder.with_tonic().with_channel(channel(&to, $runtime)?);
                let builder = compressed!(builder, to).with_timeout(to.timeout);
                (builder.build(), None)
            }
            Protocol::Http => {
                let client = OtlpHttpClient::new(&to)?;
                let builder = builder.with_http().with_http_client(client.clone());
                let builder = compressed!(builder, to).with_timeout(to.timeout);
                (builder.with_endpoint(&to.url).build(), Some(client))
            }
        };
        MonitoredExporter {
            inner: built.map_err(cannot_start)?,
            to,
            client,
            runtime: $runtime.clone(),
            health: Arc::clone($health),
            signal: $signal,
        }
    }};
}

/// Starts the exporters and the metrics server that the settings enable.
pub(super) fn start(settings: Settings) -> Result<(Providers, Option<MetricsServer>), String> {
    let (mut providers, mut server) = (Providers::default(), None);
    let health = &providers.health;
    let is_exported = settings.traces.is_some() || settings.metrics.is_some();
    let is_measured = settings.metrics.is_some() || settings.has_page;
    let runtime = is_exported.then(start_runtime).transpose()?;
    let resource = settings.resource();
    let mut meter = SdkMeterProvider::builder().with_resource(resource.clone());
    if let (Some(to), Some(runtime)) = (settings.metrics, &runtime) {
        let exporter = exporter!(MetricExporter, to, Signal::Metrics, runtime, health);
        meter = meter.with_reader(PeriodicReader::builder(exporter).build());
    }
    if settings.has_page {
        let (metrics_server, reader) = MetricsServer::new()?;
        meter = meter.with_reader(reader);
        server = Some(metrics_server);
    }
    if let (Some(to), Some(runtime)) = (settings.traces, &runtime) {
        let exporter = exporter!(SpanExporter, to, Signal::Traces, runtime, health);
        let mut tracer = SdkTracerProvider::builder()
            .with_resource(resource)
            .with_span_processor(BatchSpanProcessor::builder(exporter).build());
        if let Some(sampler) = settings.sampler {
            tracer = tracer.with_sampler(sampler);
        }
        providers.tracer = Some(tracer.build());
    }
    providers.meter = is_measured.then(|| meter.build());
    Ok((providers, server))
}

/// Starts a runtime with one thread for the connections to collectors.
fn start_runtime() -> Result<Handle, String> {
    let runtime = Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(cannot_start)?;
    let handle = runtime.handle().clone();
    // It ends with the process: the last export may outlive the last call.
    let thread = thread::Builder::new().name("telemetry".to_owned());
    let thread = thread.spawn(move || runtime.block_on(pending::<()>()));
    thread.map(|_| handle).map_err(cannot_start)
}

fn cannot_start(error: impl std::error::Error) -> String {
    format!("cannot start the export of telemetry: {error}")
}

/// A connection to a collector, established with the first export.
fn channel(to: &Destination, runtime: &Handle) -> Result<Channel, String> {
    let endpoint = Endpoint::from_shared(to.url.clone()).map_err(|error| error.to_string())?;
    let endpoint = endpoint.connect_timeout(to.timeout).timeout(to.timeout);
    // Pings only while an export hangs, since collectors close connections that
    // ping often. A connection that answers none is replaced for the next export.
    let endpoint = endpoint
        .http2_keep_alive_interval(to.timeout / 2)
        .keep_alive_timeout(to.timeout / 4);
    // tonic spawns the connection's task here.
    let _runtime = runtime.enter();
    Ok(match &to.tls {
        None => endpoint.connect_with_connector_lazy(dial::tcp()),
        Some(tls) => {
            let connector = H2Connector::new(tls.clone(), None);
            let connect = tower::service_fn(move |uri| connector.clone().connect(uri));
            endpoint.connect_with_connector_lazy(connect)
        }
    })
}

/// An exporter with a timeout for each export, which reports failures to
/// [`ExportHealth`].
#[derive(Debug)]
struct MonitoredExporter<E> {
    inner: E,
    to: Destination,
    client: Option<OtlpHttpClient>,
    runtime: Handle,
    health: Arc<ExportHealth>,
    signal: Signal,
}

impl<E> MonitoredExporter<E> {
    /// Exports within the timeout, which covers all attempts; blocks the SDK's
    /// thread.
    fn run(&self, export: impl Future<Output = OTelSdkResult>) -> OTelSdkResult {
        let limit = self.to.timeout;
        let exported = self
            .runtime
            .block_on(async { timeout(limit, export).await });
        let (cause, error) = match exported {
            Ok(Ok(())) => {
                self.health.succeeded(self.signal);
                return Ok(());
            }
            Ok(Err(error)) => {
                let client = self.client.as_ref();
                let cause = client.and_then(OtlpHttpClient::take_error);
                (cause.unwrap_or_else(|| cause_of(&error)), error)
            }
            Err(_) => (
                format!("no response within {limit:?}"),
                OTelSdkError::Timeout(limit),
            ),
        };
        self.health.failed(self.signal, &self.to, &cause);
        Err(error)
    }
}

/// The cause of a failure without the name of the signal's client, so that the
/// same failure of both signals has one text.
fn cause_of(error: &OTelSdkError) -> String {
    let text = error.to_string();
    let cause = text.split_once("export failed with ");
    cause.map_or(text.as_str(), |(_, cause)| cause).to_owned()
}

impl opentelemetry_sdk::trace::SpanExporter for MonitoredExporter<SpanExporter> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        self.run(self.inner.export(batch))
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}

impl PushMetricExporter for MonitoredExporter<MetricExporter> {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        self.run(self.inner.export(metrics))
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }

    fn temporality(&self) -> Temporality {
        self.inner.temporality()
    }
}
