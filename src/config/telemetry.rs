//! The flags of the telemetry. The rest of its settings are the variables that
//! OpenTelemetry has for them.

use std::net::SocketAddr;

use clap::Args;

use super::{otel, parse_address};
use crate::args::{ConfigErrors, parse_bool};
use crate::telemetry::Settings;

/// The flags of the telemetry, as they are given.
#[derive(Debug, Clone, Args)]
pub(super) struct TelemetryArgs {
    /// The address and port on which metrics are served at /metrics, for Prometheus; off unless
    /// given
    #[arg(long, value_name = "ADDRESS", env = "PRESENCE_GATEWAY_METRICS_LISTEN")]
    metrics_listen: Option<String>,

    /// Send the vendor `traceparent` and `tracestate`, also where no traces are exported
    #[arg(long, value_name = "BOOL", env = "PRESENCE_GATEWAY_PROPAGATE_TRACE")]
    #[arg(default_value = "false", default_missing_value = "true", num_args = 0..=1)]
    #[arg(require_equals = true)]
    propagate_trace: String,
}

impl TelemetryArgs {
    /// Where the page is served, if anywhere, and what is exported.
    pub(super) fn read(
        &self,
        problems: &mut ConfigErrors,
    ) -> Option<(Option<SocketAddr>, Settings)> {
        let known = problems.count();
        let listen = self.metrics_listen.as_deref();
        let listen = listen.and_then(|raw| problems.parse("metrics-listen", raw, parse_address));
        let propagates = problems.parse("propagate-trace", &self.propagate_trace, parse_bool);
        let settings = Settings {
            has_page: listen.is_some(),
            propagates: propagates.unwrap_or_default(),
            ..otel::settings(problems)
        };
        (problems.count() == known).then_some((listen, settings))
    }
}
