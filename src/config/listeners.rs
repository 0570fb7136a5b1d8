//! The flags of the ports.

use clap::Args;

use super::ListenAddress;
use crate::args::ConfigErrors;

/// The flags, as given.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Listeners")]
pub(super) struct ListenerArgs {
    /// Address and port to serve callers on; `:50051` for all addresses
    #[arg(long, value_name = "ADDRESS", env = "PRESENCE_GATEWAY_LISTEN")]
    #[arg(default_value = "127.0.0.1:50051")]
    listen: String,

    /// Address and port to serve only health on, without TLS; off by default
    #[arg(long, value_name = "ADDRESS", env = "PRESENCE_GATEWAY_HEALTH_LISTEN")]
    health_listen: Option<String>,

    /// Address and port to serve Prometheus metrics on, at /metrics; off by default
    #[arg(long, value_name = "ADDRESS", env = "PRESENCE_GATEWAY_METRICS_LISTEN")]
    metrics_listen: Option<String>,
}

/// Where the gateway serves.
#[derive(Debug, Clone, Copy)]
pub struct Listeners {
    /// Callers.
    pub callers: ListenAddress,
    /// Only health, if anywhere.
    pub health: Option<ListenAddress>,
    /// Prometheus metrics, if anywhere.
    pub metrics: Option<ListenAddress>,
}

impl ListenerArgs {
    /// Parses the flags; `None` if `--listen` is wrong. The sandbox inside the gateway
    /// may have an address of its own.
    pub(super) fn parse(
        &self,
        sandbox: Option<ListenAddress>,
        errors: &mut ConfigErrors,
    ) -> Option<Listeners> {
        let mut parse = |flag, raw: Option<&str>| errors.parse(flag, raw?, str::parse);
        let callers = parse("listen", Some(&self.listen));
        let health = parse("health-listen", self.health_listen.as_deref());
        let metrics = parse("metrics-listen", self.metrics_listen.as_deref());
        check_distinct_ports([callers, health, metrics, sandbox], errors);
        Some(Listeners {
            callers: callers?,
            health,
            metrics,
        })
    }
}

/// The settings of the addresses.
const SETTINGS: [&str; 4] = [
    "--listen",
    "--health-listen",
    "--metrics-listen",
    "PRESENCE_GATEWAY_SANDBOX_LISTEN",
];

/// Reports settings with the same port.
fn check_distinct_ports(addresses: [Option<ListenAddress>; 4], errors: &mut ConfigErrors) {
    let ports = SETTINGS.into_iter().zip(addresses);
    let ports: Vec<_> = ports.filter_map(|(name, it)| Some((name, it?))).collect();
    for (at, (name, address)) in ports.iter().enumerate() {
        let earlier = ports[..at].iter();
        for (other, _) in earlier.filter(|(_, other)| other.overlaps(*address)) {
            errors.add(format!(
                "{name}: `{address}` is also the port of {other}; give another"
            ));
        }
    }
}
