//! The two servers, from their flags to their end.

use std::convert::Infallible;
use std::fmt::Display;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use futures_util::future::BoxFuture;
use tokio::net::{TcpListener, TcpSocket};
use tokio::runtime;
use tokio::sync::watch;
use tokio::time::sleep;
use tracing_subscriber::EnvFilter;

use crate::args::{ConfigErrors, threads};
use crate::cli::signals::{First, Signals};
use crate::config::{self, Config, EXIT_USAGE, ServeArgs, Target};
use crate::grpc::Gateway;
use crate::logging::{self, LogFormat};
use crate::sandbox::{self, Sandbox};
use crate::server::Server;
use crate::telemetry::{Telemetry, Unsupported};
use crate::upstream::Upstream;
use crate::upstream::endpoint::Endpoint;
use crate::upstream::rate_limit::RateLimiter;

/// The flags of `sandbox`.
#[derive(Debug, Clone, Args)]
pub struct SandboxArgs {
    /// The address and port on which the simulated vendor is served
    #[arg(long, value_name = "ADDRESS", env = "PRESENCE_GATEWAY_SANDBOX_LISTEN")]
    #[arg(default_value = "127.0.0.1:8080")]
    listen: String,

    #[command(flatten)]
    settings: sandbox::Args,
}

/// Serves callers until the process is told to end. What is wrong with the
/// command line besides is told with the rest.
#[must_use]
pub fn serve(args: &ServeArgs, mut problems: Vec<String>) -> ExitCode {
    let config = args.to_config().map_err(|more| problems.extend(more));
    match config {
        Ok(config) if problems.is_empty() => ended(gateway(config)),
        _ => misconfigured(&problems),
    }
}

/// Serves the simulated vendor until the process is told to end.
#[must_use]
pub fn sandbox(args: &SandboxArgs, besides: Vec<String>) -> ExitCode {
    let mut problems = ConfigErrors::default();
    for problem in besides {
        problems.add(problem);
    }
    let listen = problems.parse("listen", &args.listen, config::parse_address);
    let settings = sandbox::Settings::read(&args.settings, &mut problems);
    let filter = problems.take(logging::filter());
    problems.take(threads());
    match (listen, filter, problems.into_vec()) {
        (Some(listen), Some(filter), problems) if problems.is_empty() => {
            ended(simulated_vendor(listen, settings, filter))
        }
        (_, _, problems) => misconfigured(&problems),
    }
}

/// Runs a future to its end, on as many threads as `TOKIO_WORKER_THREADS` says.
fn run(future: impl Future<Output = Result<ExitCode, Stop>>) -> Result<ExitCode, Stop> {
    let mut builder = match threads()? {
        // Nothing is handed over between threads where there is but one.
        1 => runtime::Builder::new_current_thread(),
        _ => runtime::Builder::new_multi_thread(),
    };
    let runtime = builder.enable_all().build();
    let runtime = runtime.map_err(|error| format!("cannot start: {error}"))?;
    let code = runtime.block_on(async {
        tokio::select! {
            code = future => code,
            never = keep_timers_cheap() => match never {},
        }
    });
    // Not waiting for what cannot be cancelled, such as a lookup of a name.
    runtime.shutdown_background();
    code
}

/// Keeps a timer due within a second, for ever. A timer that is due before all
/// others wakes the runtime by a system call and one more turn of its loop, as
/// the deadlines of each call would in a process where nothing else is due soon.
async fn keep_timers_cheap() -> Infallible {
    loop {
        sleep(Duration::from_secs(1)).await;
    }
}

fn gateway(config: Config) -> Result<ExitCode, Stop> {
    logging::start(config.log_format, config.log_filter.clone())?;
    run(forward(config))
}

async fn forward(config: Config) -> Result<ExitCode, Stop> {
    super::fd_limit::raise_limit();
    let listener = bind("--listen", config.listen)?;
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    let probes = match config.health_listen {
        None => None,
        Some(address) => Some(bind("--health-listen", address)?),
    };
    let scraped = match config.metrics_listen {
        None => None,
        Some(address) => Some(bind("--metrics-listen", address)?),
    };
    let (mut exported, limits) = (config.telemetry, config.limits);
    let unsupported = std::mem::take(&mut exported.unsupported);
    let to = exported.endpoints();
    let (telemetry, running, page) = Telemetry::start(exported, limits.calls.max_in_flight)?;
    let (base, sandbox) = match config.target {
        Target::Upstream(base) => (base, None),
        Target::Sandbox(settings) => {
            let listener = bind("--sandbox", SocketAddr::from(([127, 0, 0, 1], 0)))?;
            let address = listener.local_addr().map_err(|error| error.to_string())?;
            let base = Endpoint::of_url(&format!("http://{address}"), false)?;
            (base, Some((listener, Sandbox::new(*settings))))
        }
    };
    let is_sandbox = sandbox.is_some();
    let quota = RateLimiter::new(limits.token_requests_per_minute);
    let mut upstream = Upstream::new(base.clone(), config.outbound, quota)?;
    if limits.share_reads {
        upstream = upstream.with_shared_reads();
    }
    let mut gateway = Gateway::new(upstream, limits.bulk);
    if let Some(window) = limits.bulk_merge_window {
        let merged = gateway.with_merged_reads(window);
        gateway = merged.map_err(|error| format!("no thread can be started: {error}"))?;
    }
    let mut server = Server::new(gateway, limits.calls, config.shutdown_timeouts)
        .await
        .map_err(|error| error.to_string())?;
    let has_tls = config.tls.is_some();
    if let Some(tls) = config.tls {
        server = server.with_tls(tls);
    }
    let health = probes.as_ref().and_then(|probes| probes.local_addr().ok());
    if let Some(probes) = probes {
        server = server.with_probes(probes);
    }
    server = server.with_telemetry(&telemetry);
    let metrics = scraped
        .as_ref()
        .and_then(|scraped| scraped.local_addr().ok());

    let (stop, stopped) = watch::channel(());
    if let Some((listener, sandbox)) = sandbox {
        #[expect(
            clippy::disallowed_methods,
            reason = "a server, which no call waits for"
        )]
        tokio::spawn(async move {
            if let Err(error) = sandbox::serve(listener, sandbox, until(stopped)).await {
                tracing::error!(%error, "the sandbox ended");
            }
        });
    }
    let signals = Signals::listen()?;
    tracing::info!(
        %address,
        tls = has_tls,
        health = health.map(tracing::field::display),
        metrics = metrics.map(tracing::field::display),
        traces_to = to[0].as_deref(),
        metrics_to = to[1].as_deref(),
        upstream = %base,
        version = %env!("CARGO_PKG_VERSION"),
        "serving"
    );
    unsupported.iter().for_each(Unsupported::log);
    if is_sandbox {
        greet(address, has_tls, &base);
    }
    let code = until_signalled(signals, |end| async {
        let serving = server.serve(listener, end);
        match page.zip(scraped) {
            None => serving.await,
            // To the end, which is what one wants to see.
            Some((page, scraped)) => tokio::select! {
                () = serving => {}
                () = page.serve(scraped) => {}
            },
        }
        running.end().await;
    })
    .await;
    // The vendor's end follows the callers'.
    drop(stop);
    tracing::info!("ended");
    Ok(code)
}

fn simulated_vendor(
    listen: SocketAddr,
    settings: sandbox::Settings,
    filter: EnvFilter,
) -> Result<ExitCode, Stop> {
    logging::start(LogFormat::fitting(), filter)?;
    run(simulate(listen, settings))
}

/// Runs what ends in good order when the first signal comes, and at once when
/// a second one does.
async fn until_signalled<F: Future<Output = ()>>(
    signals: Signals,
    serve: impl FnOnce(BoxFuture<'static, ()>) -> F,
) -> ExitCode {
    let serve = |first: First| serve(Box::pin(async { drop(first.await) }));
    match signals.until_second(serve).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(code) => code.into(),
    }
}

async fn simulate(listen: SocketAddr, settings: sandbox::Settings) -> Result<ExitCode, Stop> {
    let listener = bind("--listen", listen)?;
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    let signals = Signals::listen()?;
    tracing::info!(%address, "serving the sandbox: http://{address}/sandbox tells how to use it");
    let mut served = Ok(());
    let code = until_signalled(signals, |end| async {
        served = sandbox::serve(listener, Sandbox::new(settings), end).await;
    })
    .await;
    Ok(served.map(|()| code).map_err(|error| error.to_string())?)
}

/// Says how to call a gateway that was started to be tried out.
fn greet(address: SocketAddr, has_tls: bool, vendor: &Endpoint) {
    let scheme = if has_tls { "https://" } else { "" };
    let program = std::env::args()
        .next()
        .unwrap_or_else(|| "presence-gateway".to_owned());
    // Where nobody reads it, that is no reason to stop.
    let _ = writeln!(
        io::stdout(),
        "The gateway serves its sandbox on {address}. In another terminal:\n\n  \
         {program} call GetUserPresencesPurecloud \\\n    \
         '{{\"userId\": \"00000000-0000-4000-8000-000000000001\"}}' \\\n    \
         --token any --address {scheme}{address}\n\n\
         What the sandbox can be told to do: {vendor}/sandbox\n"
    );
}

/// How many connections may wait until they are accepted, where the system
/// allows so many. The standard library's 128 overflow when a proxy that opens
/// a connection for each call, as nginx does, has a burst of calls: some of
/// them then wait for a second, and some are reset.
const BACKLOG: u32 = 4096;

/// Opens the port that a setting asks for.
fn bind(setting: &str, address: SocketAddr) -> Result<TcpListener, Stop> {
    listen(address).map_err(|error| {
        let remedy = match error.kind() {
            io::ErrorKind::AddrInUse => "; end what listens there, or give another port",
            io::ErrorKind::AddrNotAvailable => "; give an address of this machine, or 0.0.0.0",
            io::ErrorKind::PermissionDenied => "; give a port from 1024 on",
            _ => "",
        };
        Stop::Misconfigured(format!(
            "{setting}: cannot listen on {address}: {error}{remedy}"
        ))
    })
}

/// Listens as `TcpListener::bind` does, with a backlog of our own.
fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    // Elsewhere the option lets two processes share a port.
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Waits until the other end of the channel is gone.
async fn until(mut stopped: watch::Receiver<()>) {
    while stopped.changed().await.is_ok() {}
}

/// Why the process ends before it serves.
enum Stop {
    /// For a setting that an operator can change.
    Misconfigured(String),
    /// For what nobody can have meant.
    Failed(String),
}

impl From<String> for Stop {
    fn from(problem: String) -> Self {
        Self::Failed(problem)
    }
}

fn ended(result: Result<ExitCode, Stop>) -> ExitCode {
    match result {
        Ok(code) => code,
        Err(Stop::Misconfigured(problem)) => misconfigured(&[problem]),
        Err(Stop::Failed(problem)) => {
            say(&problem);
            ExitCode::FAILURE
        }
    }
}

fn misconfigured(problems: &[String]) -> ExitCode {
    for problem in problems {
        say(problem);
    }
    say("--help lists the flags");
    ExitCode::from(EXIT_USAGE)
}

fn say(problem: impl Display) {
    let _ = writeln!(io::stderr(), "presence-gateway: {problem}");
}
