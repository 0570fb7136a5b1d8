//! The configuration of `serve`: its flags and environment variables.
//!
//! clap collects the texts. They are parsed here, so that one start reports all
//! errors, whether a value came from a flag or from a variable.

mod limits;
mod otel;
mod outbound;
mod shutdown;
mod target;
mod telemetry;
mod tls;

use std::net::SocketAddr;

use clap::Args;
use tracing_subscriber::EnvFilter;

use crate::args::ConfigErrors;
use crate::logging::{self, LogFormat};
use crate::server::{ShutdownTimeouts, Tls};
use crate::telemetry::Settings;
use crate::upstream::client::ClientOptions;
pub use limits::Limits;
use limits::LimitsArgs;
use outbound::OutboundArgs;
use shutdown::ShutdownArgs;
pub use target::Target;
use target::TargetArgs;
use telemetry::TelemetryArgs;
use tls::TlsArgs;

/// The flags of `serve`, as given.
#[derive(Debug, Clone, Args)]
pub struct ServeArgs {
    /// Address and port to serve callers on
    #[arg(long, value_name = "ADDRESS", env = "PRESENCE_GATEWAY_LISTEN")]
    #[arg(default_value = "127.0.0.1:50051")]
    listen: String,

    #[command(flatten)]
    target: TargetArgs,

    #[command(flatten)]
    outbound: OutboundArgs,

    #[command(flatten)]
    limits: LimitsArgs,

    #[command(flatten)]
    tls: TlsArgs,

    /// Address and port to serve only health on, without TLS; off by default
    #[arg(long, value_name = "ADDRESS", env = "PRESENCE_GATEWAY_HEALTH_LISTEN")]
    health_listen: Option<String>,

    #[command(flatten)]
    telemetry: TelemetryArgs,

    #[command(flatten)]
    shutdown: ShutdownArgs,

    /// Log format: text or json [default: text on a terminal, json elsewhere]
    #[arg(long, value_name = "FORMAT", env = "PRESENCE_GATEWAY_LOG_FORMAT")]
    log_format: Option<String>,
}

/// The configuration of `serve`.
#[derive(Debug)]
pub struct Config {
    /// Where callers are served.
    pub listen: SocketAddr,
    /// Where calls are forwarded to.
    pub target: Target,
    /// How the upstream is reached.
    pub outbound: ClientOptions,
    /// The limits of calls and of requests to the vendor.
    pub limits: Limits,
    /// TLS for callers, if they use it.
    pub tls: Option<Tls>,
    /// Where only health is served, if anywhere.
    pub health_listen: Option<SocketAddr>,
    /// Where Prometheus metrics are served, if anywhere.
    pub metrics_listen: Option<SocketAddr>,
    /// What traces and metrics are exported.
    pub telemetry: Settings,
    /// How long the shutdown may take.
    pub shutdown_timeouts: ShutdownTimeouts,
    /// The format of the log.
    pub log_format: LogFormat,
    /// Which log lines are written.
    pub log_filter: EnvFilter,
}

impl ServeArgs {
    /// Parses the flags.
    ///
    /// # Errors
    ///
    /// All errors, each with its flag and what is accepted.
    pub fn to_config(&self) -> Result<Config, Vec<String>> {
        let mut errors = ConfigErrors::default();
        let listen = errors.parse("listen", &self.listen, parse_address);
        let target = self.target.parse(&mut errors);
        let outbound = self.outbound.parse(target.as_ref(), &mut errors);
        let limits = self.limits.parse(&mut errors);
        let tls = self.tls.parse(&mut errors);
        let health_listen = self.health_listen.as_deref().map(|raw| {
            let address = errors.parse("health-listen", raw, parse_address);
            address.map(Some)
        });
        let telemetry = self.telemetry.parse(&mut errors);
        let page = telemetry.as_ref().and_then(|(page, _)| *page);
        check_distinct_ports(
            [
                ("listen", listen),
                ("health-listen", health_listen.flatten().flatten()),
                ("metrics-listen", page),
            ],
            &mut errors,
        );
        let shutdown_timeouts = self.shutdown.parse(&mut errors);
        let log_format = match &self.log_format {
            Some(format) => errors.parse("log-format", format, str::parse),
            None => Some(LogFormat::detect()),
        };
        let log_filter = errors.take(logging::filter());
        let config = (|| {
            let (metrics_listen, telemetry) = telemetry?;
            Some(Config {
                listen: listen?,
                target: target?,
                outbound: outbound?,
                limits: limits?,
                tls: tls?,
                health_listen: health_listen.unwrap_or(Some(None))?,
                metrics_listen,
                telemetry,
                shutdown_timeouts: shutdown_timeouts?,
                log_format: log_format?,
                log_filter: log_filter?,
            })
        })();
        match (config, errors.into_vec()) {
            (Some(config), errors) if errors.is_empty() => Ok(config),
            (_, errors) => Err(errors),
        }
    }
}

/// Reports flags with the same port.
fn check_distinct_ports(ports: [(&str, Option<SocketAddr>); 3], errors: &mut ConfigErrors) {
    for (at, (name, address)) in ports.iter().enumerate() {
        let earlier = ports[..at].iter();
        let same = earlier.filter(|(_, other)| other == address && address.is_some());
        for (other, _) in same {
            // Port 0 is another free port each time.
            if let Some(address) = address.filter(|address| address.port() != 0) {
                errors.add(format!(
                    "--{name}: `{address}` is also the port of --{other}; give another"
                ));
            }
        }
    }
}

/// Parses an address to listen on.
///
/// # Errors
///
/// Says what an address looks like.
pub fn parse_address(raw: &str) -> Result<SocketAddr, String> {
    raw.parse().map_err(|_| {
        "is not an IP address with a port, for example `127.0.0.1:50051` or `[::]:50051`".to_owned()
    })
}
