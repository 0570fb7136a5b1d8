//! Variables whose values are names that OpenTelemetry's specification lists.
//!
//! Operators and injectors often set one environment for programs in many
//! languages. So a name of the specification that the gateway does not support
//! is ignored with a warning, as the specification demands. An unknown name is
//! an error, as in a flag.

use opentelemetry_sdk::trace::Sampler;

use crate::telemetry::Protocol;

/// The values of one variable, in lower case; they match in any case.
pub(super) struct Choice<T: 'static> {
    /// The supported names and their meaning.
    pub supported: &'static [(&'static str, T)],
    /// The other names that the specification lists or once listed.
    pub unsupported: &'static [&'static str],
    /// The part of the warning that says what applies instead of an unsupported name.
    pub instead: &'static str,
}

impl<T> Choice<T> {
    /// The supported names, for an error message.
    pub(super) fn names(&self) -> String {
        let names = self.supported.iter().map(|(name, _)| format!("`{name}`"));
        let names = names.collect::<Vec<_>>().join(", ");
        match names.rsplit_once(", ") {
            Some((rest, last)) => format!("{rest} and {last}"),
            None => names,
        }
    }
}

/// The transport of OTLP.
pub(super) const PROTOCOL: Choice<Protocol> = Choice {
    supported: &[("grpc", Protocol::Grpc), ("http/protobuf", Protocol::Http)],
    unsupported: &["http/json"],
    instead: "the protocol is `http/protobuf`",
};

/// Whether exports are compressed.
pub(super) const COMPRESSION: Choice<bool> = Choice {
    supported: &[("gzip", true), ("none", false)],
    unsupported: &[],
    instead: "",
};

/// The span of time that each export of metrics covers. The SDK parses it.
pub(super) const TEMPORALITY: Choice<()> = Choice {
    supported: &[("cumulative", ()), ("delta", ()), ("lowmemory", ())],
    unsupported: &[],
    instead: "",
};

/// Whether an exporter of traces or metrics sends anything.
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

/// Whether a propagator accepts the caller's span as the parent. The gateway
/// has no use for baggage and does not forward it.
pub(super) const PROPAGATOR: Choice<bool> = Choice {
    supported: &[("tracecontext", true), ("baggage", false), ("none", false)],
    unsupported: &["b3", "b3multi", "jaeger", "ottrace", "xray"],
    instead: "callers' traces are read as W3C Trace Context (`tracecontext`) alone",
};

/// Makes a sampler from the ratio, which some samplers need.
type MakeSampler = fn(f64) -> Sampler;

/// Which calls are traced.
pub(super) const SAMPLER: Choice<MakeSampler> = Choice {
    supported: &[
        ("always_on", |_| Sampler::AlwaysOn),
        ("always_off", |_| Sampler::AlwaysOff),
        ("traceidratio", Sampler::TraceIdRatioBased),
        ("parentbased_always_on", |_| parent_based(Sampler::AlwaysOn)),
        ("parentbased_always_off", |_| {
            parent_based(Sampler::AlwaysOff)
        }),
        ("parentbased_traceidratio", |ratio| {
            parent_based(Sampler::TraceIdRatioBased(ratio))
        }),
    ],
    unsupported: &["jaeger_remote", "parentbased_jaeger_remote", "xray"],
    instead: "the sampler is `parentbased_always_on`, and its argument is ignored",
};

/// A sampler that follows the caller's decision, and `root` without a caller.
fn parent_based(root: Sampler) -> Sampler {
    Sampler::ParentBased(Box::new(root))
}
