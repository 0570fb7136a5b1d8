//! The configuration of `serve`: flags, environment variables, and what they
//! must be.
//!
//! clap takes the texts; they are turned into values here, so that all that is
//! wrong is told at once, whether it came from a flag or from a variable.

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

/// The flags of `serve`, as they are given.
#[derive(Debug, Clone, Args)]
pub struct ServeArgs {
    /// The address and port on which callers are served
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

    /// The address and port on which health alone is served, without TLS; off unless given
    #[arg(long, value_name = "ADDRESS", env = "PRESENCE_GATEWAY_HEALTH_LISTEN")]
    health_listen: Option<String>,

    #[command(flatten)]
    telemetry: TelemetryArgs,

    #[command(flatten)]
    shutdown: ShutdownArgs,

    /// How the log is written: text or json [default: text on a terminal, json elsewhere]
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
    /// How an upstream is reached.
    pub outbound: ClientOptions,
    /// How much callers may ask for, and how the vendor is spared.
    pub limits: Limits,
    /// What is spoken below HTTP/2, if anything.
    pub tls: Option<Tls>,
    /// Where health alone is served, if anywhere.
    pub health_listen: Option<SocketAddr>,
    /// Where the metrics are served as a page, if anywhere.
    pub metrics_listen: Option<SocketAddr>,
    /// What of traces and metrics is exported.
    pub telemetry: Settings,
    /// How long the end takes.
    pub shutdown_timeouts: ShutdownTimeouts,
    /// How the log is written.
    pub log_format: LogFormat,
    /// What of it is written.
    pub log_filter: EnvFilter,
}

impl ServeArgs {
    /// Turns the flags into a configuration.
    ///
    /// # Errors
    ///
    /// All that is wrong with them, each with its flag and what would be right.
    pub fn to_config(&self) -> Result<Config, Vec<String>> {
        let mut problems = ConfigErrors::default();
        let listen = problems.parse("listen", &self.listen, parse_address);
        let target = self.target.read(&mut problems);
        let outbound = self.outbound.read(target.as_ref(), &mut problems);
        let limits = self.limits.read(&mut problems);
        let tls = self.tls.read(&mut problems);
        let health_listen = self.health_listen.as_deref().map(|raw| {
            let address = problems.parse("health-listen", raw, parse_address);
            address.map(Some)
        });
        let telemetry = self.telemetry.read(&mut problems);
        let page = telemetry.as_ref().and_then(|(page, _)| *page);
        check_distinct_ports(
            [
                ("listen", listen),
                ("health-listen", health_listen.flatten().flatten()),
                ("metrics-listen", page),
            ],
            &mut problems,
        );
        let shutdown_timeouts = self.shutdown.read(&mut problems);
        let log_format = match &self.log_format {
            Some(format) => problems.parse("log-format", format, str::parse),
            None => Some(LogFormat::detect()),
        };
        let log_filter = problems.take(logging::filter());
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
        match (config, problems.into_vec()) {
            (Some(config), problems) if problems.is_empty() => Ok(config),
            (_, problems) => Err(problems),
        }
    }
}

/// Notes where two ports are the same one.
fn check_distinct_ports(ports: [(&str, Option<SocketAddr>); 3], problems: &mut ConfigErrors) {
    for (at, (name, address)) in ports.iter().enumerate() {
        let earlier = ports[..at].iter();
        let same = earlier.filter(|(_, other)| other == address && address.is_some());
        for (other, _) in same {
            // Any free port is another each time.
            if let Some(address) = address.filter(|address| address.port() != 0) {
                problems.add(format!(
                    "--{name}: `{address}` is the port of --{other} too; give another"
                ));
            }
        }
    }
}

/// Reads an address to listen on.
///
/// # Errors
///
/// Says what an address looks like.
pub fn parse_address(raw: &str) -> Result<SocketAddr, String> {
    raw.parse().map_err(|_| {
        "is not an IP address with a port, such as `127.0.0.1:50051` or `[::]:50051`".to_owned()
    })
}
