//! The configuration of `serve`: flags, environment variables, and what they
//! must be.
//!
//! clap takes the texts; they are turned into values here, so that all that is
//! wrong is told at once, whether it came from a flag or from a variable.

mod outbound;
mod shutdown;
mod telemetry;
mod tls;
pub mod value;

use std::net::SocketAddr;
use std::time::Duration;

use clap::Args;
use tracing_subscriber::EnvFilter;

use crate::batch::BulkLimits;
use crate::deadline::DeadlinePolicy;
use crate::logging::{self, LogFormat};
use crate::sandbox;
use crate::server::{CallLimits, Pauses, Tls};
use crate::telemetry::Settings;
use crate::upstream::base::Base;
use crate::upstream::client::Outbound;
use outbound::OutboundArgs;
use shutdown::ShutdownArgs;
use telemetry::TelemetryArgs;
use tls::TlsArgs;
use value::{Problems, duration, from_environment, number, size, switch, threads};

/// The exit code of a wrong configuration: `EX_USAGE` of sysexits.
pub const EXIT_USAGE: u8 = 64;

/// The flags of `serve`, as they are given.
#[derive(Debug, Clone, Args)]
pub struct ServeArgs {
    /// The address and port on which callers are served
    #[arg(long, value_name = "ADDRESS", env = "PRESENCE_GATEWAY_LISTEN")]
    #[arg(default_value = "127.0.0.1:50051")]
    listen: String,

    /// The vendor's region to forward to, such as us-east-1
    #[arg(long, env = "PRESENCE_GATEWAY_REGION")]
    region: Option<String>,

    /// The URL to forward to, with a path prefix if need be
    #[arg(long, value_name = "URL", env = "PRESENCE_GATEWAY_UPSTREAM_URL")]
    upstream_url: Option<String>,

    /// Forward to a simulated vendor inside the gateway, for development
    #[arg(long, value_name = "BOOL", env = "PRESENCE_GATEWAY_SANDBOX")]
    #[arg(default_value = "false", default_missing_value = "true", num_args = 0..=1)]
    #[arg(require_equals = true)]
    sandbox: String,

    /// Allow an upstream URL of plain http that is not on this machine
    #[arg(
        long,
        value_name = "BOOL",
        env = "PRESENCE_GATEWAY_ALLOW_INSECURE_UPSTREAM"
    )]
    #[arg(default_value = "false", default_missing_value = "true", num_args = 0..=1)]
    #[arg(require_equals = true)]
    allow_insecure_upstream: String,

    #[command(flatten)]
    outbound: OutboundArgs,

    /// How long a call may take whose client sets no deadline
    #[arg(
        long,
        value_name = "DURATION",
        env = "PRESENCE_GATEWAY_DEFAULT_DEADLINE"
    )]
    #[arg(default_value = "30s")]
    default_deadline: String,

    /// The longest deadline that a client can set
    #[arg(long, value_name = "DURATION", env = "PRESENCE_GATEWAY_MAX_DEADLINE")]
    #[arg(default_value = "120s")]
    max_deadline: String,

    /// How many ids or updates a bulk call may hold
    #[arg(long, value_name = "COUNT", env = "PRESENCE_GATEWAY_MAX_BULK_IDS")]
    #[arg(default_value = "5000")]
    max_bulk_ids: String,

    /// How many batches of a bulk call are sent at once
    #[arg(long, value_name = "COUNT", env = "PRESENCE_GATEWAY_BULK_CONCURRENCY")]
    #[arg(default_value = "8")]
    bulk_concurrency: String,

    /// How long the caller of a stream may neither send nor take anything
    #[arg(
        long,
        value_name = "DURATION",
        env = "PRESENCE_GATEWAY_STREAM_IDLE_TIMEOUT"
    )]
    #[arg(default_value = "5m")]
    stream_idle_timeout: String,

    /// How many requests a minute each token may make of the vendor; 0 sets no limit
    #[arg(
        long,
        value_name = "COUNT",
        env = "PRESENCE_GATEWAY_TOKEN_REQUESTS_PER_MINUTE"
    )]
    #[arg(default_value = "300")]
    token_requests_per_minute: String,

    /// Make one request of identical reads of one token that are under way together
    #[arg(long, value_name = "BOOL", env = "PRESENCE_GATEWAY_SHARE_READS")]
    #[arg(default_value = "true", default_missing_value = "true", num_args = 0..=1)]
    #[arg(require_equals = true)]
    share_reads: String,

    /// How long a bulk read waits for another of its token to share a batch with; 0s for not at all
    #[arg(
        long,
        value_name = "DURATION",
        env = "PRESENCE_GATEWAY_BULK_MERGE_WINDOW"
    )]
    #[arg(default_value = "0s")]
    bulk_merge_window: String,

    /// How many calls are served at once; more are refused
    #[arg(long, value_name = "COUNT", env = "PRESENCE_GATEWAY_MAX_IN_FLIGHT")]
    #[arg(default_value = "1024")]
    max_in_flight: String,

    /// How much memory the messages and answers of all calls may take; more calls are refused
    #[arg(long, value_name = "SIZE", env = "PRESENCE_GATEWAY_MESSAGE_MEMORY")]
    #[arg(default_value = "256MiB")]
    message_memory: String,

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
    pub outbound: Outbound,
    /// What a call is granted.
    pub calls: CallLimits,
    /// What a bulk call is granted.
    pub bulk: BulkLimits,
    /// How many requests a minute each token may make; 0 for any number.
    pub token_requests_per_minute: usize,
    /// Whether identical reads of one token are one request.
    pub share_reads: bool,
    /// How long bulk reads wait for others, if at all.
    pub bulk_merge_window: Option<Duration>,
    /// What is spoken below HTTP/2, if anything.
    pub tls: Option<Tls>,
    /// Where health alone is served, if anywhere.
    pub health_listen: Option<SocketAddr>,
    /// Where the metrics are served as a page, if anywhere.
    pub metrics_listen: Option<SocketAddr>,
    /// What of traces and metrics is exported.
    pub telemetry: Settings,
    /// How long the end takes.
    pub pauses: Pauses,
    /// How the log is written.
    pub log_format: LogFormat,
    /// What of it is written.
    pub log_filter: EnvFilter,
}

/// Where calls are forwarded to.
#[derive(Debug)]
pub enum Target {
    /// The vendor's API, or something in its place.
    Upstream(Base),
    /// A simulated vendor inside the gateway.
    Sandbox(Box<sandbox::Settings>),
}

impl ServeArgs {
    /// Turns the flags into a configuration.
    ///
    /// # Errors
    ///
    /// All that is wrong with them, each with its flag and what would be right.
    pub fn read(&self) -> Result<Config, Vec<String>> {
        let mut problems = Problems::default();
        let listen = problems.read("listen", &self.listen, address);
        let target = self.target(&mut problems);
        let outbound = self.outbound.read(target.as_ref(), &mut problems);
        let default = problems.read("default-deadline", &self.default_deadline, deadline);
        let max = problems.read("max-deadline", &self.max_deadline, deadline);
        if let (Some(default), Some(max)) = (default, max)
            && default > max
        {
            problems.add(format!(
                "--default-deadline: `{}` is longer than --max-deadline, `{}`",
                self.default_deadline, self.max_deadline
            ));
        }
        let max_ids = problems.read("max-bulk-ids", &self.max_bulk_ids, number(1..=100_000));
        let concurrency = problems.read("bulk-concurrency", &self.bulk_concurrency, number(1..=64));
        let stream_idle = problems.read("stream-idle-timeout", &self.stream_idle_timeout, deadline);
        let token_requests = problems.read(
            "token-requests-per-minute",
            &self.token_requests_per_minute,
            number(0..=100_000),
        );
        let share_reads = problems.read("share-reads", &self.share_reads, switch);
        let merge_window =
            problems.read("bulk-merge-window", &self.bulk_merge_window, merge_window);
        let max_in_flight =
            problems.read("max-in-flight", &self.max_in_flight, number(1..=1_000_000));
        let message_memory = problems.read("message-memory", &self.message_memory, memory);
        let tls = self.tls.read(&mut problems);
        let health_listen = self.health_listen.as_deref().map(|raw| {
            let address = problems.read("health-listen", raw, address);
            address.map(Some)
        });
        let telemetry = self.telemetry.read(&mut problems);
        let page = telemetry.as_ref().and_then(|(page, _)| *page);
        apart(
            [
                ("listen", listen),
                ("health-listen", health_listen.flatten().flatten()),
                ("metrics-listen", page),
            ],
            &mut problems,
        );
        let pauses = self.shutdown.read(&mut problems);
        let log_format = match &self.log_format {
            Some(format) => problems.read("log-format", format, str::parse),
            None => Some(LogFormat::fitting()),
        };
        let log_filter = problems.take(logging::filter());
        problems.take(threads());
        let config = (|| {
            let (metrics_listen, telemetry) = telemetry?;
            Some(Config {
                listen: listen?,
                target: target?,
                outbound: outbound?,
                calls: CallLimits {
                    deadlines: DeadlinePolicy {
                        default: default?,
                        max: max?,
                    },
                    max_in_flight: max_in_flight?,
                    message_memory: message_memory?,
                },
                bulk: BulkLimits {
                    max_ids: max_ids?,
                    concurrency: concurrency?,
                    stream_idle: stream_idle?,
                },
                token_requests_per_minute: token_requests?,
                share_reads: share_reads?,
                bulk_merge_window: merge_window?,
                tls: tls?,
                health_listen: health_listen.unwrap_or(Some(None))?,
                metrics_listen,
                telemetry,
                pauses: pauses?,
                log_format: log_format?,
                log_filter: log_filter?,
            })
        })();
        match (config, problems.into_vec()) {
            (Some(config), problems) if problems.is_empty() => Ok(config),
            (_, problems) => Err(problems),
        }
    }

    fn target(&self, problems: &mut Problems) -> Option<Target> {
        let is_sandbox = problems.read("sandbox", &self.sandbox, switch)?;
        let allow = problems.read(
            "allow-insecure-upstream",
            &self.allow_insecure_upstream,
            switch,
        )?;
        match (&self.region, &self.upstream_url, is_sandbox) {
            (Some(region), None, false) => problems
                .read("region", region, Base::of_region)
                .map(Target::Upstream),
            (None, Some(url), false) => {
                let base = Base::of_url(url, allow);
                // It may hold a password, although it must not.
                let shown = if url.contains('@') { "…" } else { url };
                problems
                    .read("upstream-url", shown, |_| base)
                    .map(Target::Upstream)
            }
            (None, None, true) => {
                let args: sandbox::Args = from_environment(problems)?;
                let mut wrong = Problems::default();
                let settings = sandbox::Settings::read(&args, &mut wrong);
                for problem in wrong.into_vec() {
                    // No flag of `serve`: here they are variables alone.
                    problems.add(format!("the sandbox's {problem}"));
                }
                Some(Target::Sandbox(Box::new(settings)))
            }
            (region, url, is_sandbox) => {
                let given = [
                    region.is_some().then_some("--region"),
                    url.is_some().then_some("--upstream-url"),
                    is_sandbox.then_some("--sandbox"),
                ];
                let given: Vec<&str> = given.into_iter().flatten().collect();
                problems.add(match given.as_slice() {
                    [] => "no upstream: give one of --region, --upstream-url, --sandbox".to_owned(),
                    given => format!(
                        "more than one upstream: give one of {} (each may also come from the \
                         environment)",
                        given.join(", ")
                    ),
                });
                None
            }
        }
    }
}

/// Notes where two ports are the same one.
fn apart(ports: [(&str, Option<SocketAddr>); 3], problems: &mut Problems) {
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
pub fn address(raw: &str) -> Result<SocketAddr, String> {
    raw.parse().map_err(|_| {
        "is not an IP address with a port, such as `127.0.0.1:50051` or `[::]:50051`".to_owned()
    })
}

/// Reads how much memory messages may take: the largest one at least.
fn memory(raw: &str) -> Result<usize, String> {
    let bytes = size(raw)?;
    if (MIN_MEMORY..=MAX_MEMORY).contains(&bytes) {
        usize::try_from(bytes).map_err(|error| error.to_string())
    } else {
        Err("is not between 64MiB and 1024GiB".to_owned())
    }
}

/// The least memory for messages: what one call of the largest size takes,
/// with its answer.
const MIN_MEMORY: u64 = 64 << 20;

/// The most: what no machine has by mistake.
const MAX_MEMORY: u64 = 1024 << 30;

/// Reads how long bulk reads wait for others, of which none is nothing.
fn merge_window(raw: &str) -> Result<Option<Duration>, String> {
    let window = duration(raw)?;
    if window > MAX_MERGE_WINDOW {
        return Err("is longer than 1s".to_owned());
    }
    Ok((!window.is_zero()).then_some(window))
}

/// The longest that bulk reads may wait for others: what a person notices.
const MAX_MERGE_WINDOW: Duration = Duration::from_secs(1);

/// Reads a deadline, which is neither nothing nor longer than a day.
fn deadline(raw: &str) -> Result<Duration, String> {
    let deadline = duration(raw)?;
    if (1..=86_400_000).contains(&deadline.as_millis()) {
        Ok(deadline)
    } else {
        Err("is not between 1ms and 24h".to_owned())
    }
}
