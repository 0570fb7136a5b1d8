//! Variables whose values are names that OpenTelemetry's specification lists.
//!
//! The gateway supports some of these names. One environment is often set for
//! programs in many languages, by an operator or an injector, so a name of the
//! specification that is not supported is ignored with a warning, as the
//! specification asks. A name that it does not know is a mistake, as in a flag.

use opentelemetry_sdk::metrics::Temporality;
use opentelemetry_sdk::trace::Sampler;

use super::Protocol;

/// The values of one variable, in lower case: they are read in any case.
pub(super) struct Choice<T: 'static> {
    /// What each name that is supported stands for.
    pub supported: &'static [(&'static str, T)],
    /// The other names that the specification knows, or once knew.
    pub unsupported: &'static [&'static str],
    /// What holds in place of one that is not supported.
    pub instead: &'static str,
}

impl<T: Copy> Choice<T> {
    /// What this name stands for, if it is supported.
    pub(super) fn find(&self, name: &str) -> Option<T> {
        let name = name.to_ascii_lowercase();
        let found = self.supported.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| *value)
    }

    /// This name as the specification writes it, if it has it and the gateway
    /// does not.
    pub(super) fn unsupported(&self, name: &str) -> Option<&'static str> {
        let name = name.to_ascii_lowercase();
        let found = self.unsupported.iter().find(|known| **known == name);
        found.copied()
    }

    /// The names that are supported, for an operator to read.
    pub(super) fn names(&self) -> String {
        let names: Vec<String> = self
            .supported
            .iter()
            .map(|(name, _)| format!("`{name}`"))
            .collect();
        match names.split_last() {
            Some((last, rest)) if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
            _ => names.concat(),
        }
    }
}

/// A value that the specification knows and the gateway does not support.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsupported {
    /// The variable.
    pub setting: String,
    /// The value, or the entry of a list.
    pub value: &'static str,
    /// What holds in its place.
    pub instead: &'static str,
}

impl Unsupported {
    /// Logs that the value is ignored.
    pub fn log(&self) {
        tracing::warn!(
            setting = %self.setting,
            value = %self.value,
            "a value of OpenTelemetry's that the gateway does not support is ignored; {}",
            self.instead
        );
    }
}

/// How a collector is spoken to.
pub(super) const PROTOCOL: Choice<Protocol> = Choice {
    supported: &[("grpc", Protocol::Grpc), ("http/protobuf", Protocol::Http)],
    unsupported: &["http/json"],
    instead: "the protocol is `http/protobuf`",
};

/// Whether what is sent is compressed.
pub(super) const COMPRESSION: Choice<bool> = Choice {
    supported: &[("gzip", true), ("none", false)],
    unsupported: &[],
    instead: "",
};

/// What each export of metrics covers.
pub(super) const TEMPORALITY: Choice<Temporality> = Choice {
    supported: &[
        ("cumulative", Temporality::Cumulative),
        ("delta", Temporality::Delta),
        ("lowmemory", Temporality::LowMemory),
    ],
    unsupported: &[],
    instead: "",
};

/// Whether an exporter sends anything. The same names for traces and metrics.
pub(super) const EXPORTER: Choice<bool> = Choice {
    supported: &[("otlp", true), ("none", false)],
    unsupported: &[
        "console",
        "jaeger",
        "logging",
        "otlp/stdout",
        "prometheus",
        "zipkin",
    ],
    instead: "`otlp` and `none` are supported, and --metrics-listen serves metrics for Prometheus",
};

/// Whether a propagator joins callers' traces. There is no baggage that would
/// be passed on.
pub(super) const PROPAGATOR: Choice<bool> = Choice {
    supported: &[("tracecontext", true), ("baggage", false), ("none", false)],
    unsupported: &["b3", "b3multi", "jaeger", "ottrace", "xray"],
    instead: "callers' traces are read as W3C Trace Context (`tracecontext`) alone",
};

/// Makes a sampler, from the share of a ratio.
type MakeSampler = fn(f64) -> Sampler;

/// Which calls are traced.
pub(super) const SAMPLER: Choice<MakeSampler> = Choice {
    supported: &[
        ("always_on", |_| Sampler::AlwaysOn),
        ("always_off", |_| Sampler::AlwaysOff),
        ("traceidratio", Sampler::TraceIdRatioBased),
        ("parentbased_always_on", |_| parent(Sampler::AlwaysOn)),
        ("parentbased_always_off", |_| parent(Sampler::AlwaysOff)),
        ("parentbased_traceidratio", |share| {
            parent(Sampler::TraceIdRatioBased(share))
        }),
    ],
    unsupported: &["jaeger_remote", "parentbased_jaeger_remote", "xray"],
    instead: "the sampler is `parentbased_always_on`, and its argument is not read",
};

/// A sampler that follows the caller's decision, and this one without a caller.
pub(super) fn parent(root: Sampler) -> Sampler {
    Sampler::ParentBased(Box::new(root))
}
