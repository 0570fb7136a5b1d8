//! The configuration of `serve`: its flags and environment variables.
//!
//! clap collects the texts. They are parsed here, so that one start reports all
//! errors, whether a value came from a flag or from a variable.

mod budget;
mod limits;
mod listen;
mod listeners;
mod otel;
mod outbound;
mod shutdown;
mod target;
mod tls;
mod watch;

use std::io::{self, IsTerminal};

use clap::Args;
use tracing_subscriber::filter::Targets;

use crate::args::{ConfigErrors, parse_bool};
use crate::logging::{self, LogFormat};
use crate::server::Tls;
use crate::telemetry::Settings;
use crate::upstream::client::ClientOptions;
use budget::BudgetArgs;
pub use budget::SharedBudget;
pub use limits::Limits;
use limits::LimitsArgs;
pub use listen::ListenAddress;
use listeners::ListenerArgs;
pub use listeners::Listeners;
use outbound::OutboundArgs;
pub use shutdown::Shutdown;
use shutdown::ShutdownArgs;
#[cfg(feature = "sandbox")]
pub(crate) use target::SANDBOX_LISTEN;
pub use target::Target;
use target::TargetArgs;
use tls::TlsArgs;

/// The flags of `serve`, as given.
// `--help` has a heading for each group of them, as docs/configuration.md has. `-h`
// leaves out those with `hide_short_help`, which few change.
#[derive(Debug, Clone, Args)]
pub struct ServeArgs {
    /// Check all settings and files, print what they mean, and exit; open no port, connect to the budget store alone
    #[arg(long, value_name = "BOOL", env = "PRESENCE_GATEWAY_CHECK")]
    #[arg(default_value = "false", default_missing_value = "true", num_args = 0..=1)]
    #[arg(require_equals = true)]
    check: String,

    #[command(flatten)]
    target: TargetArgs,

    #[command(flatten)]
    outbound: OutboundArgs,

    #[command(flatten)]
    listeners: ListenerArgs,

    #[command(flatten)]
    tls: TlsArgs,

    #[command(flatten)]
    limits: LimitsArgs,

    #[command(flatten)]
    shutdown: ShutdownArgs,

    #[command(flatten)]
    budget: BudgetArgs,

    /// Send `traceparent` and `tracestate` to the vendor, even if no traces are exported
    #[arg(long, value_name = "BOOL", env = "PRESENCE_GATEWAY_PROPAGATE_TRACE")]
    #[arg(default_value = "false", default_missing_value = "true", num_args = 0..=1)]
    #[arg(
        require_equals = true,
        help_heading = "Traces and log",
        hide_short_help = true
    )]
    propagate_trace: String,

    /// Log format: text or json [default: text on a terminal, json elsewhere]
    #[arg(long, value_name = "FORMAT", env = "PRESENCE_GATEWAY_LOG_FORMAT")]
    #[arg(help_heading = "Traces and log")]
    log_format: Option<String>,
}

/// The configuration of `serve`.
#[derive(Debug)]
pub struct Config {
    /// Whether the settings are only checked.
    pub is_check: bool,
    /// Where callers, probes and Prometheus are served.
    pub listeners: Listeners,
    /// Where calls are forwarded to.
    pub target: Target,
    /// How the upstream is reached.
    pub outbound: ClientOptions,
    /// The limits of calls and of requests to the vendor.
    pub limits: Limits,
    /// The budget that replicas share, if they do.
    pub budget: Option<SharedBudget>,
    /// TLS for callers, if they use it.
    pub tls: Option<Tls>,
    /// What traces and metrics are exported.
    pub telemetry: Settings,
    /// How long the shutdown may take.
    pub shutdown: Shutdown,
    /// The format of the log.
    pub log_format: LogFormat,
    /// Which log lines are written.
    pub log_filter: Targets,
}

impl ServeArgs {
    /// Parses the flags.
    ///
    /// # Errors
    ///
    /// All errors, each with its flag and what is accepted.
    pub fn to_config(&self) -> Result<Config, Vec<String>> {
        let mut errors = ConfigErrors::default();
        let is_check = errors.parse("check", &self.check, parse_bool);
        let target = self.target.parse(&mut errors);
        let outbound = self.outbound.parse(target.as_ref(), &mut errors);
        let sandbox = target.as_ref().and_then(Target::sandbox_listen);
        let listeners = self.listeners.parse(sandbox, &mut errors);
        let tls = self.tls.parse(&mut errors);
        let limits = self.limits.parse(&mut errors);
        let requests = limits.map(|limits| limits.token_requests_per_minute);
        let budget = self.budget.parse(requests, &mut errors);
        let shutdown = self.shutdown.parse(is_trial(target.as_ref()), &mut errors);
        let propagates = errors.parse("propagate-trace", &self.propagate_trace, parse_bool);
        let telemetry = otel::settings(&mut errors);
        let log_format = match &self.log_format {
            Some(format) => errors.parse("log-format", format, str::parse),
            None => Some(LogFormat::detect()),
        };
        let log_filter = errors.take(logging::filter());
        let config = (|| {
            let listeners = listeners?;
            Some(Config {
                is_check: is_check?,
                target: target?,
                outbound: outbound?,
                limits: limits?,
                budget,
                tls,
                telemetry: Settings {
                    has_page: listeners.metrics.is_some(),
                    propagates: propagates?,
                    ..telemetry
                },
                listeners,
                shutdown: shutdown?,
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

/// Whether a person tries the sandbox on a terminal.
fn is_trial(target: Option<&Target>) -> bool {
    let is_terminal = io::stdin().is_terminal() || io::stderr().is_terminal();
    is_terminal && target.is_some_and(Target::is_sandbox)
}
