//! The settings of telemetry: what is exported, and to where.

use std::fmt;
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::Sampler;
use rustls::ClientConfig;

use super::names;

/// What is exported, beside what the SDK reads from the environment: the
/// headers, the limits of spans and their queue, the interval and the
/// temporality of metrics. The configuration has checked those.
#[derive(Debug, Default)]
pub struct Settings {
    /// Where traces are exported to, if anywhere.
    pub traces: Option<Destination>,
    /// Which calls are traced; `None` for the SDK's default.
    pub sampler: Option<Sampler>,
    /// Where metrics are exported to, if anywhere.
    pub metrics: Option<Destination>,
    /// Whether metrics are served for Prometheus.
    pub has_page: bool,
    /// Whether calls join their callers' traces.
    pub accepts_parent: bool,
    /// Whether requests to the vendor carry the trace context.
    pub propagates: bool,
    /// Attributes of the resource, beside those that every process has.
    pub attributes: Vec<KeyValue>,
    /// Values that are ignored; the log warns of each once.
    pub unsupported: Vec<Unsupported>,
}

impl Settings {
    /// The URLs that traces and metrics are exported to, if any.
    pub(crate) fn endpoints(&self) -> [Option<String>; 2] {
        [&self.traces, &self.metrics].map(|to| to.as_ref().map(|to| to.url.clone()))
    }

    /// The description of this process.
    pub(super) fn resource(&self) -> Resource {
        // Distinguishes replicas.
        let instance = format!("{:032x}", fastrand::u128(..));
        Resource::builder_empty()
            .with_attributes([
                KeyValue::new("service.name", names::SCOPE),
                KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
                KeyValue::new("service.instance.id", instance),
                KeyValue::new("telemetry.sdk.language", "rust"),
                KeyValue::new("telemetry.sdk.name", "opentelemetry"),
            ])
            .with_attributes(self.attributes.iter().cloned())
            .build()
    }
}

/// A collector.
#[derive(Debug, Clone)]
pub struct Destination {
    /// The variable that names it.
    pub setting: String,
    /// The transport.
    pub protocol: Protocol,
    /// Its URL, with the path of the signal if the protocol has paths.
    pub url: String,
    /// The timeout of one export, with its repetitions.
    pub timeout: Duration,
    /// Whether exports are compressed with gzip.
    pub compress: bool,
    /// The settings of TLS; `None` for plain http.
    pub tls: Option<ClientConfig>,
}

/// The transports of OTLP.
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

/// A value of a variable that OpenTelemetry specifies and the gateway does not
/// support.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsupported {
    /// The variable.
    pub setting: String,
    /// The value, or the entry of a list.
    pub value: &'static str,
    /// What applies instead.
    pub instead: &'static str,
}

impl fmt::Display for Unsupported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            setting,
            value,
            instead,
        } = self;
        write!(
            f,
            "{setting}: `{value}` is not supported, and is ignored; {instead}"
        )
    }
}

impl Unsupported {
    /// Logs that the value is ignored.
    pub fn log(&self) {
        tracing::warn!(
            setting = %self.setting,
            value = %self.value,
            "an OpenTelemetry value that the gateway does not support is ignored; {}",
            self.instead
        );
    }
}
