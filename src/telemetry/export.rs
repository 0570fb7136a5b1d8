//! What exports, on threads of its own: a collector that is dead or slow
//! costs no call anything.
//!
//! The SDK has a thread for spans and one for metrics, with a bounded queue
//! before the first. They wait for the exporters, whose connections live in a
//! runtime with a thread of its own. Exporting so depends on none of the
//! threads that serve, of which there may be a single one.

mod flush;
mod http;
mod told;

use std::future::pending;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use opentelemetry_otlp::{
    Compression, ExporterBuildError, MetricExporter, SpanExporter, WithExportConfig,
    WithHttpConfig, WithTonicConfig,
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
use super::settings::{Destination, MetricsExport, Protocol, Settings, TracesExport};
use crate::tls::dial::{self, H2Connector};
pub use flush::Running;
use http::Post;
use told::{Signal, Told};

/// Starts what the settings ask for, and the page of metrics where they do.
pub(super) fn start(
    settings: Settings,
    resource: Resource,
) -> Result<(Running, Option<MetricsServer>), String> {
    let mut started = Running::default();
    let mut served = None;
    let is_sent = settings.traces.is_some() || settings.metrics.is_some();
    let runtime = is_sent.then(runtime).transpose()?;
    if let (Some(traces), Some(runtime)) = (settings.traces, &runtime) {
        let told = Arc::clone(&started.told);
        started.tracer = Some(tracer(traces, runtime, told, &resource)?);
    }
    let is_measured = settings.metrics.is_some() || settings.has_page;
    let mut meter = SdkMeterProvider::builder().with_resource(resource);
    if let (Some(metrics), Some(runtime)) = (settings.metrics, &runtime) {
        let told = Arc::clone(&started.told);
        meter = meter.with_reader(reader(metrics, runtime, told)?);
    }
    if settings.has_page {
        let (page, exporter) = MetricsServer::new()?;
        meter = meter.with_reader(exporter);
        served = Some(page);
    }
    started.meter = is_measured.then(|| meter.build());
    Ok((started, served))
}

/// A runtime for the connections to collectors, with one thread.
fn runtime() -> Result<Handle, String> {
    let told = |error: std::io::Error| format!("cannot start the export of telemetry: {error}");
    let runtime = Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(told)?;
    let handle = runtime.handle().clone();
    // It ends with the process: the last export may outlive the last call.
    let thread = thread::Builder::new().name("telemetry".to_owned());
    let thread = thread.spawn(move || runtime.block_on(pending::<()>()));
    thread.map(|_| handle).map_err(told)
}

fn tracer(
    settings: TracesExport,
    runtime: &Handle,
    told: Arc<Told>,
    resource: &Resource,
) -> Result<SdkTracerProvider, String> {
    let TracesExport {
        to,
        sampler,
        queue,
        limits,
    } = settings;
    let exporter = SpanExporter::builder();
    let (built, post) = match to.protocol {
        Protocol::Grpc => (grpc(exporter.with_tonic(), &to, runtime)?.build(), None),
        Protocol::Http => {
            let post = Post::new(&to)?;
            (http(exporter.with_http(), &to, &post).build(), Some(post))
        }
    };
    let inner = built.map_err(|error| cannot(&error))?;
    let exporter = Watched::new(inner, to, post, runtime, told, Signal::Traces);
    let processor = BatchSpanProcessor::builder(exporter).with_batch_config(queue);
    Ok(SdkTracerProvider::builder()
        .with_resource(resource.clone())
        .with_sampler(sampler)
        .with_span_limits(limits)
        .with_span_processor(processor.build())
        .build())
}

fn reader(
    settings: MetricsExport,
    runtime: &Handle,
    told: Arc<Told>,
) -> Result<PeriodicReader<Watched<MetricExporter>>, String> {
    let MetricsExport {
        to,
        interval,
        temporality,
    } = settings;
    let exporter = MetricExporter::builder().with_temporality(temporality);
    let (built, post) = match to.protocol {
        Protocol::Grpc => (grpc(exporter.with_tonic(), &to, runtime)?.build(), None),
        Protocol::Http => {
            let post = Post::new(&to)?;
            (http(exporter.with_http(), &to, &post).build(), Some(post))
        }
    };
    let inner = built.map_err(|error| cannot(&error))?;
    let exporter = Watched::new(inner, to, post, runtime, told, Signal::Metrics);
    let reader = PeriodicReader::builder(exporter).with_interval(interval);
    Ok(reader.build())
}

/// What an exporter over gRPC needs. It reads its headers by itself.
fn grpc<B>(builder: B, to: &Destination, runtime: &Handle) -> Result<B, String>
where
    B: WithTonicConfig + WithExportConfig,
{
    let builder = builder.with_channel(channel(to, runtime)?);
    let builder = builder.with_timeout(to.timeout);
    Ok(if to.compress {
        builder.with_compression(Compression::Gzip)
    } else {
        builder
    })
}

/// What an exporter over HTTP needs. It reads its headers by itself.
fn http<B>(builder: B, to: &Destination, post: &Post) -> B
where
    B: WithHttpConfig + WithExportConfig,
{
    let builder = builder.with_http_client(post.clone());
    let builder = builder.with_endpoint(&to.url).with_timeout(to.timeout);
    if to.compress {
        builder.with_compression(Compression::Gzip)
    } else {
        builder
    }
}

fn cannot(error: &ExporterBuildError) -> String {
    format!("cannot start the export of telemetry: {error}")
}

/// Why an export failed, without the name of the part of the library that
/// met it: traces and metrics fail for the same reason.
fn why(error: &OTelSdkError) -> String {
    let why = error.to_string();
    match why.split_once("export failed with ") {
        Some((_, why)) => why.to_owned(),
        None => why,
    }
}

/// A connection to a collector, which comes about when it is needed.
fn channel(to: &Destination, runtime: &Handle) -> Result<Channel, String> {
    let endpoint = Endpoint::from_shared(to.url.clone()).map_err(|error| error.to_string())?;
    let endpoint = endpoint.connect_timeout(to.timeout).timeout(to.timeout);
    // Only an export that hangs is asked about, since collectors close connections
    // that ask often. One that is not answered is made anew for the next export.
    let endpoint = endpoint
        .http2_keep_alive_interval(to.timeout / 2)
        .keep_alive_timeout(to.timeout / 4);
    // What it runs on.
    let _runtime = runtime.enter();
    Ok(match &to.tls {
        None => endpoint.connect_with_connector_lazy(dial::tcp()),
        Some(tls) => {
            let dial = H2Connector::new(tls.clone(), None);
            let connector = tower::service_fn(move |uri| dial.clone().connect(uri));
            endpoint.connect_with_connector_lazy(connector)
        }
    })
}

/// An exporter whose time is bounded, and of whose failures the log is told.
#[derive(Debug)]
struct Watched<E> {
    inner: E,
    to: Destination,
    /// The limit of one export, with all its attempts.
    limit: Duration,
    post: Option<Post>,
    runtime: Handle,
    told: Arc<Told>,
    signal: Signal,
}

impl<E> Watched<E> {
    fn new(
        inner: E,
        to: Destination,
        post: Option<Post>,
        runtime: &Handle,
        told: Arc<Told>,
        signal: Signal,
    ) -> Self {
        let (limit, runtime) = (to.timeout, runtime.clone());
        Self {
            inner,
            to,
            limit,
            post,
            runtime,
            told,
            signal,
        }
    }

    /// Exports within the limit; blocks, on a thread that is there for it.
    fn run(&self, export: impl Future<Output = OTelSdkResult>) -> OTelSdkResult {
        let limit = self.limit;
        let exported = self
            .runtime
            .block_on(async { timeout(limit, export).await });
        let (result, why) = match exported {
            Ok(Ok(())) => (Ok(()), None),
            Ok(Err(error)) => {
                let seen = self.post.as_ref().and_then(Post::seen);
                let why = seen.unwrap_or_else(|| why(&error));
                (Err(error), Some(why))
            }
            Err(_) => {
                let why = format!("there is no answer within {limit:?}");
                (Err(OTelSdkError::Timeout(limit)), Some(why))
            }
        };
        match why {
            None => self.told.succeeded(self.signal),
            Some(why) => self.told.failed(self.signal, &self.to, &why),
        }
        result
    }
}

impl opentelemetry_sdk::trace::SpanExporter for Watched<SpanExporter> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        self.run(self.inner.export(batch))
    }

    fn shutdown_with_timeout(&self, limit: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(limit)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}

impl PushMetricExporter for Watched<MetricExporter> {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        self.run(self.inner.export(metrics))
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.inner.force_flush()
    }

    fn shutdown_with_timeout(&self, limit: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(limit)
    }

    fn temporality(&self) -> Temporality {
        self.inner.temporality()
    }
}
