//! The standard variables of OpenTelemetry, read and checked.
//!
//! The SDK reads some of them by itself, passes over what is malformed, and
//! does not know others. Here all that work are read, so that a mistake in
//! one is told like one in a flag, before a port is bound. README.md lists them.

mod choice;
mod endpoint;
mod resource;
mod variables;

use std::fmt;
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::Temporality;
use opentelemetry_sdk::trace::{BatchConfig, BatchConfigBuilder, Sampler, SpanLimits};
use rustls::ClientConfig;

use crate::args::{ConfigErrors, parse_number};
pub use choice::Unsupported;
use choice::{EXPORTER, PROPAGATOR, SAMPLER, TEMPORALITY, parent};
pub(crate) use variables::Variables;

/// What is exported where.
#[derive(Debug, Default)]
pub struct Settings {
    /// Where traces go, if anywhere.
    pub traces: Option<TracesExport>,
    /// Where metrics go, if anywhere.
    pub metrics: Option<MetricsExport>,
    /// Whether the metrics have a page of their own.
    pub has_page: bool,
    /// Whether calls are parts of their callers' traces.
    pub joins: bool,
    /// Whether the vendor is told of the trace.
    pub propagates: bool,
    /// What the process says of itself, besides what it says anyway.
    pub attributes: Vec<KeyValue>,
    /// Values that are ignored, each of which the log is to name once.
    pub unsupported: Vec<Unsupported>,
}

/// How traces are exported.
#[derive(Debug)]
pub struct TracesExport {
    /// Where to.
    pub to: Destination,
    /// Which calls are traced.
    pub sampler: Sampler,
    /// How many spans wait, and for how long.
    pub queue: BatchConfig,
    /// How much one span holds.
    pub limits: SpanLimits,
}

/// How metrics are exported.
#[derive(Debug, Clone)]
pub struct MetricsExport {
    /// Where to.
    pub to: Destination,
    /// How often.
    pub interval: Duration,
    /// Whether each export tells of all time, or of the time since the last.
    pub temporality: Temporality,
}

/// A collector.
#[derive(Clone)]
pub struct Destination {
    /// The variable that names it.
    pub setting: String,
    /// How it is spoken to.
    pub protocol: Protocol,
    /// Its URL, with the path for the signal where the protocol has one.
    pub url: String,
    /// How long one export may take.
    pub timeout: Duration,
    /// Whether what is sent is compressed, with gzip.
    pub compress: bool,
    /// What its TLS needs; none for plain http.
    pub tls: Option<ClientConfig>,
}

impl fmt::Debug for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Destination")
            .field("setting", &self.setting)
            .field("protocol", &self.protocol)
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

/// The two transports of OTLP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// `grpc`.
    Grpc,
    /// `http/protobuf`.
    Http,
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Grpc => "grpc",
            Self::Http => "http/protobuf",
        })
    }
}

impl Settings {
    /// Reads the variables of the process.
    #[must_use]
    pub fn read(problems: &mut ConfigErrors) -> Self {
        Self::of(&mut Variables::new(problems))
    }

    fn of(variables: &mut Variables<'_>) -> Self {
        let is_disabled = variables
            .read("OTEL_SDK_DISABLED", parse_bool)
            .unwrap_or_default();
        if is_disabled {
            // The switch-off: what the others say is of no interest.
            return Self {
                joins: true,
                ..Self::default()
            };
        }
        Self {
            traces: traces(variables),
            metrics: metrics(variables),
            has_page: false,
            joins: variables
                .choose_all("OTEL_PROPAGATORS", &PROPAGATOR)
                .is_none_or(|propagators| propagators.contains(&true)),
            propagates: false,
            attributes: resource::read(variables),
            unsupported: variables.take_unsupported(),
        }
    }

    /// Whether nothing is asked for.
    #[must_use]
    pub fn is_off(&self) -> bool {
        self.traces.is_none() && self.metrics.is_none() && !self.has_page
    }

    /// Where traces and metrics go, if anywhere.
    pub(crate) fn endpoints(&self) -> [Option<String>; 2] {
        let traces = self.traces.as_ref().map(|traces| &traces.to);
        let metrics = self.metrics.as_ref().map(|metrics| &metrics.to);
        [traces, metrics].map(|to| to.map(|to| to.url.clone()))
    }

    pub(super) fn resource(&self) -> Resource {
        resource::of(&self.attributes)
    }
}

fn traces(variables: &mut Variables<'_>) -> Option<TracesExport> {
    let is_sent = is_sent(variables, "OTEL_TRACES_EXPORTER");
    let to = endpoint::read(variables, "TRACES", "v1/traces");
    let sampler = sampler(variables);
    let mut queue = BatchConfigBuilder::default();
    if let Some(delay) = variables.read("OTEL_BSP_SCHEDULE_DELAY", milliseconds) {
        queue = queue.with_scheduled_delay(delay);
    }
    let limit = variables.read("OTEL_BSP_EXPORT_TIMEOUT", milliseconds);
    // The SDK's own numbers, so that one can be held against the other.
    let (default_size, default_batch) = (2048, 512);
    let size = variables
        .read("OTEL_BSP_MAX_QUEUE_SIZE", parse_number(1..=1_000_000))
        .unwrap_or(default_size);
    let asked = variables.read(
        "OTEL_BSP_MAX_EXPORT_BATCH_SIZE",
        parse_number(1..=1_000_000),
    );
    if asked.is_some_and(|batch| batch > size) {
        variables.problem(format!(
            "OTEL_BSP_MAX_EXPORT_BATCH_SIZE: `{}` is more than OTEL_BSP_MAX_QUEUE_SIZE, `{size}`",
            asked.unwrap_or_default()
        ));
    }
    queue = queue.with_max_queue_size(size);
    queue = queue.with_max_export_batch_size(asked.unwrap_or(default_batch).min(size));
    let mut limits = SpanLimits::default();
    for (name, limit) in [
        ("ATTRIBUTE", &mut limits.max_attributes_per_span),
        ("EVENT", &mut limits.max_events_per_span),
        ("LINK", &mut limits.max_links_per_span),
    ] {
        let name = format!("OTEL_SPAN_{name}_COUNT_LIMIT");
        *limit = variables
            .read(&name, parse_number(0..=1_000_000))
            .unwrap_or(*limit);
    }
    let mut to = to.filter(|_| is_sent)?;
    to.timeout = limit.map_or(to.timeout, |limit| limit.min(to.timeout));
    Some(TracesExport {
        to,
        sampler,
        queue: queue.build(),
        limits,
    })
}

fn metrics(variables: &mut Variables<'_>) -> Option<MetricsExport> {
    let is_sent = is_sent(variables, "OTEL_METRICS_EXPORTER");
    let to = endpoint::read(variables, "METRICS", "v1/metrics");
    let interval = variables.read("OTEL_METRIC_EXPORT_INTERVAL", milliseconds);
    let limit = variables.read("OTEL_METRIC_EXPORT_TIMEOUT", milliseconds);
    let temporality = variables.choose(
        "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE",
        &TEMPORALITY,
    );
    let mut to = to.filter(|_| is_sent)?;
    to.timeout = limit.map_or(to.timeout, |limit| limit.min(to.timeout));
    Some(MetricsExport {
        to,
        interval: interval.unwrap_or(Duration::from_mins(1)),
        temporality: temporality.unwrap_or(Temporality::Cumulative),
    })
}

/// Whether a signal is sent, as this variable of exporters says it.
fn is_sent(variables: &mut Variables<'_>, name: &str) -> bool {
    let exporters = variables.choose_all(name, &EXPORTER);
    let exporters = exporters.unwrap_or_else(|| vec![true]);
    if exporters.contains(&true) && exporters.contains(&false) {
        let raw = variables.text(name).unwrap_or_default();
        let wrong = "holds `none`, which switches the export off and stands alone";
        variables.problem(format!("{name}: `{raw}` {wrong}"));
    }
    exporters.contains(&true)
}

fn sampler(variables: &mut Variables<'_>) -> Sampler {
    const NAME: &str = "OTEL_TRACES_SAMPLER";
    let sampler = variables.choose(NAME, &SAMPLER);
    // That of another sampler has a form of its own.
    let is_read = sampler.is_some() || variables.text(NAME).is_none();
    let share = is_read.then(|| variables.read("OTEL_TRACES_SAMPLER_ARG", share));
    match sampler {
        Some(make) => make(share.flatten().unwrap_or(1.0)),
        None => parent(Sampler::AlwaysOn),
    }
}

fn share(raw: &str) -> Result<f64, String> {
    let share = raw.parse().ok().filter(|share| (0.0..=1.0).contains(share));
    share.ok_or_else(|| "is not a share from 0 to 1, such as `0.01`".to_owned())
}

/// Reads a switch, which OpenTelemetry spells in any case.
fn parse_bool(raw: &str) -> Result<bool, String> {
    crate::args::parse_bool(&raw.to_ascii_lowercase())
}

/// Reads a time, which OpenTelemetry gives in milliseconds without a unit.
fn milliseconds(raw: &str) -> Result<Duration, String> {
    let read = parse_number(1..=86_400_000_u64)(raw);
    read.map(Duration::from_millis)
        .map_err(|wrong| format!("{wrong} (milliseconds)"))
}
