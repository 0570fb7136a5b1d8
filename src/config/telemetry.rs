//! The flags of the telemetry. OpenTelemetry's variables are its other settings.

use std::net::SocketAddr;

use clap::Args;

use super::{otel, parse_address};
use crate::args::{ConfigErrors, parse_bool};
use crate::telemetry::Settings;

/// The flags, as given.
#[derive(Debug, Clone, Args)]
pub(super) struct TelemetryArgs {
    /// Address and port to serve Prometheus metrics on, at /metrics; off by default
    #[arg(long, value_name = "ADDRESS", env = "PRESENCE_GATEWAY_METRICS_LISTEN")]
    metrics_listen: Option<String>,

    /// Send `traceparent` and `tracestate` to the vendor, even if no traces are exported
    #[arg(long, value_name = "BOOL", env = "PRESENCE_GATEWAY_PROPAGATE_TRACE")]
    #[arg(default_value = "false", default_missing_value = "true", num_args = 0..=1)]
    #[arg(require_equals = true)]
    propagate_trace: String,
}

impl TelemetryArgs {
    /// Parses the flags and variables; returns where metrics are served, if
    /// anywhere, and what is exported.
    pub(super) fn parse(
        &self,
        errors: &mut ConfigErrors,
    ) -> Option<(Option<SocketAddr>, Settings)> {
        let known = errors.count();
        let listen = self.metrics_listen.as_deref();
        let listen = listen.and_then(|raw| errors.parse("metrics-listen", raw, parse_address));
        let propagates = errors.parse("propagate-trace", &self.propagate_trace, parse_bool);
        let settings = Settings {
            has_page: listen.is_some(),
            propagates: propagates.unwrap_or_default(),
            ..otel::settings(errors)
        };
        (errors.count() == known).then_some((listen, settings))
    }
}
