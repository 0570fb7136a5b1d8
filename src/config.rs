//! The configuration of `serve`: its flags and environment variables.
//!
//! clap collects the texts. They are parsed here, so that one start reports all
//! errors, whether a value came from a flag or from a variable.

mod limits;
mod otel;
mod outbound;
mod target;
mod tls;

use std::net::SocketAddr;
use std::time::Duration;

use clap::Args;
use tracing_subscriber::EnvFilter;

use crate::args::{ConfigErrors, parse_bool, parse_duration};
use crate::logging::{self, LogFormat};
use crate::server::{ShutdownTimeouts, Tls};
use crate::telemetry::Settings;
use crate::upstream::client::ClientOptions;
pub use limits::Limits;
use limits::{LimitsArgs, duration};
use outbound::OutboundArgs;
pub use target::Target;
use target::TargetArgs;
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

    /// Address and port to serve Prometheus metrics on, at /metrics; off by default
    #[arg(long, value_name = "ADDRESS", env = "PRESENCE_GATEWAY_METRICS_LISTEN")]
    metrics_listen: Option<String>,

    /// Send `traceparent` and `tracestate` to the vendor, even if no traces are exported
    #[arg(long, value_name = "BOOL", env = "PRESENCE_GATEWAY_PROPAGATE_TRACE")]
    #[arg(default_value = "false", default_missing_value = "true", num_args = 0..=1)]
    #[arg(require_equals = true)]
    propagate_trace: String,

    /// How long connections are still accepted after SIGTERM, while health reports the end
    #[arg(long, value_name = "DURATION", env = "PRESENCE_GATEWAY_LAME_DUCK")]
    #[arg(default_value_t = duration(ShutdownTimeouts::default().lame_duck))]
    lame_duck: String,

    /// How long calls in flight may take after that
    #[arg(long, value_name = "DURATION", env = "PRESENCE_GATEWAY_DRAIN_TIMEOUT")]
    #[arg(default_value_t = duration(ShutdownTimeouts::default().drain_timeout))]
    drain_timeout: String,

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
        let mut address = |flag, raw: Option<&str>| errors.parse(flag, raw?, parse_address);
        let health_listen = address("health-listen", self.health_listen.as_deref());
        let metrics_listen = address("metrics-listen", self.metrics_listen.as_deref());
        let propagates = errors.parse("propagate-trace", &self.propagate_trace, parse_bool);
        let telemetry = otel::settings(&mut errors);
        check_distinct_ports([listen, health_listen, metrics_listen], &mut errors);
        let lame_duck = errors.parse("lame-duck", &self.lame_duck, parse_timeout);
        let drain_timeout = errors.parse("drain-timeout", &self.drain_timeout, parse_timeout);
        let log_format = match &self.log_format {
            Some(format) => errors.parse("log-format", format, str::parse),
            None => Some(LogFormat::detect()),
        };
        let log_filter = errors.take(logging::filter());
        let config = (|| {
            Some(Config {
                listen: listen?,
                target: target?,
                outbound: outbound?,
                limits: limits?,
                tls,
                health_listen,
                metrics_listen,
                telemetry: Settings {
                    has_page: metrics_listen.is_some(),
                    propagates: propagates?,
                    ..telemetry
                },
                shutdown_timeouts: ShutdownTimeouts {
                    lame_duck: lame_duck?,
                    drain_timeout: drain_timeout?,
                },
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
fn check_distinct_ports(addresses: [Option<SocketAddr>; 3], errors: &mut ConfigErrors) {
    let flags = ["listen", "health-listen", "metrics-listen"].into_iter();
    let ports: Vec<_> = flags.zip(addresses).collect();
    for (at, (name, address)) in ports.iter().enumerate() {
        // Port 0 is another free port each time.
        let address = address.filter(|address| address.port() != 0);
        let Some(address) = address else { continue };
        let earlier = ports[..at].iter();
        for (other, _) in earlier.filter(|(_, other)| *other == Some(address)) {
            errors.add(format!(
                "--{name}: `{address}` is also the port of --{other}; give another"
            ));
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

fn parse_timeout(raw: &str) -> Result<Duration, String> {
    let timeout = Some(parse_duration(raw)?).filter(|it| *it <= Duration::from_hours(1));
    timeout.ok_or_else(|| "is longer than 1h".to_owned())
}
