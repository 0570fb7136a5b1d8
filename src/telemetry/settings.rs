//! The standard variables of OpenTelemetry, read and checked.
//!
//! The SDK reads some of them by itself, passes over what is malformed, and
//! does not know others. Here all that work are read, so that a mistake in
//! one is told like one in a flag, before a port is bound. README.md lists them.

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

use crate::config::value::{Problems, number};
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
    pub fn read(problems: &mut Problems) -> Self {
        Self::of(&mut Variables::new(problems))
    }

    fn of(variables: &mut Variables<'_>) -> Self {
        let is_disabled = variables
            .read("OTEL_SDK_DISABLED", switch)
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
                .read("OTEL_PROPAGATORS", propagators)
                .unwrap_or(true),
            propagates: false,
            attributes: resource::read(variables),
        }
    }

    /// Whether nothing is asked for.
    #[must_use]
    pub fn is_off(&self) -> bool {
        self.traces.is_none() && self.metrics.is_none() && !self.has_page
    }

    pub(super) fn resource(&self) -> Resource {
        resource::of(&self.attributes)
    }
}

fn traces(variables: &mut Variables<'_>) -> Option<TracesExport> {
    let is_sent = variables
        .read("OTEL_TRACES_EXPORTER", exporter)
        .unwrap_or(true);
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
        .read("OTEL_BSP_MAX_QUEUE_SIZE", number(1..=1_000_000))
        .unwrap_or(default_size);
    let asked = variables.read("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", number(1..=1_000_000));
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
            .read(&name, number(0..=1_000_000))
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
    let is_sent = variables
        .read("OTEL_METRICS_EXPORTER", exporter)
        .unwrap_or(true);
    let to = endpoint::read(variables, "METRICS", "v1/metrics");
    let interval = variables.read("OTEL_METRIC_EXPORT_INTERVAL", milliseconds);
    let limit = variables.read("OTEL_METRIC_EXPORT_TIMEOUT", milliseconds);
    let temporality = variables.read(
        "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE",
        temporality,
    );
    let mut to = to.filter(|_| is_sent)?;
    to.timeout = limit.map_or(to.timeout, |limit| limit.min(to.timeout));
    Some(MetricsExport {
        to,
        interval: interval.unwrap_or(Duration::from_mins(1)),
        temporality: temporality.unwrap_or(Temporality::Cumulative),
    })
}

fn temporality(raw: &str) -> Result<Temporality, String> {
    match raw.to_ascii_lowercase().as_str() {
        "cumulative" => Ok(Temporality::Cumulative),
        "delta" => Ok(Temporality::Delta),
        "lowmemory" => Ok(Temporality::LowMemory),
        _ => Err("is none of `cumulative`, `delta` and `lowmemory`".to_owned()),
    }
}

fn sampler(variables: &mut Variables<'_>) -> Sampler {
    const NAMES: &str = "`always_on`, `always_off`, `traceidratio`, `parentbased_always_on`, \
                         `parentbased_always_off` and `parentbased_traceidratio`";
    let ratio = variables.read("OTEL_TRACES_SAMPLER_ARG", |raw| {
        let ratio = raw.parse().ok().filter(|ratio| (0.0..=1.0).contains(ratio));
        ratio.ok_or_else(|| "is not a share from 0 to 1, such as `0.01`".to_owned())
    });
    let ratio = Sampler::TraceIdRatioBased(ratio.unwrap_or(1.0));
    let of = |root| Sampler::ParentBased(Box::new(root));
    let sampler = variables.read("OTEL_TRACES_SAMPLER", |raw| {
        Ok(match raw {
            "always_on" => Sampler::AlwaysOn,
            "always_off" => Sampler::AlwaysOff,
            "traceidratio" => ratio,
            "parentbased_always_on" => of(Sampler::AlwaysOn),
            "parentbased_always_off" => of(Sampler::AlwaysOff),
            "parentbased_traceidratio" => of(ratio),
            _ => return Err(format!("is no sampler; there are {NAMES}")),
        })
    });
    sampler.unwrap_or_else(|| of(Sampler::AlwaysOn))
}

/// Reads `OTEL_PROPAGATORS`: whether the caller's trace is joined.
fn propagators(raw: &str) -> Result<bool, String> {
    let mut joins = false;
    for name in raw.split(',').map(str::trim) {
        match name {
            "tracecontext" => joins = true,
            // There is none that would be passed on.
            "baggage" | "none" => {}
            _ => {
                return Err(
                    "is no list of `tracecontext`, `baggage` and `none`: callers' traces \
                            are read as W3C Trace Context alone"
                        .to_owned(),
                );
            }
        }
    }
    Ok(joins)
}

/// Reads the name of an exporter: whether anything is sent.
fn exporter(raw: &str) -> Result<bool, String> {
    match raw {
        "otlp" => Ok(true),
        "none" => Ok(false),
        "prometheus" => Err(
            "is not set here: give --metrics-listen, and `none` here if the \
                             metrics shall not be sent besides"
                .to_owned(),
        ),
        _ => Err("is neither `otlp` nor `none`".to_owned()),
    }
}

/// Reads a switch, which OpenTelemetry spells in any case.
fn switch(raw: &str) -> Result<bool, String> {
    crate::config::value::switch(&raw.to_ascii_lowercase())
}

/// Reads a time, which OpenTelemetry gives in milliseconds without a unit.
fn milliseconds(raw: &str) -> Result<Duration, String> {
    let read = number(1..=86_400_000_u64)(raw);
    read.map(Duration::from_millis)
        .map_err(|wrong| format!("{wrong} (milliseconds)"))
}
