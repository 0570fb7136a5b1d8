//! The command `serve`.

use std::process::ExitCode;

use futures_util::FutureExt;
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::exit::{self, StartupError};
use super::misspelt::{self, Misspelt};
use super::port::{self, bind};
use super::signals::{ShutdownSignal, Signals};
use super::{app, check, fd_limit, quickstart, runtime};
use crate::config::{Config, ServeArgs, Target};
use crate::logging;
use crate::server::{Tls, serve_metrics};
use crate::telemetry::{Telemetry, Unsupported};
#[cfg(feature = "sandbox")]
use crate::upstream::regional::Regional;

/// Runs `serve`: serves callers until a signal ends it. `errors` are those of
/// the command line that are known already.
#[must_use]
pub fn serve(args: &ServeArgs, mut errors: Vec<String>) -> ExitCode {
    match (args.to_config(), runtime::threads()) {
        (Ok(config), Ok(threads)) if errors.is_empty() && config.is_check => {
            exit::exit_code(runtime::run(1, check::check(config, threads)))
        }
        (Ok(config), Ok(threads)) if errors.is_empty() => {
            let started = logging::start(config.log_format, config.log_filter.clone());
            let started = started.map_err(StartupError::from);
            exit::exit_code(started.and_then(|()| runtime::run(threads, run(config))))
        }
        (config, threads) => {
            errors.extend(config.err().unwrap_or_default());
            errors.extend(threads.err());
            exit::misconfigured(&errors)
        }
    }
}

async fn run(config: Config) -> Result<ExitCode, StartupError> {
    fd_limit::raise();
    let listeners = config.listeners;
    let listener = bind("--listen", listeners.callers)?;
    let health = listeners.health.map(|to| bind("--health-listen", to));
    let health = health.transpose()?;
    let metrics = listeners.metrics.map(|to| bind("--metrics-listen", to));
    let metrics = metrics.transpose()?;
    let address = port::address(&listener)?;
    // The sandbox inside the gateway stops when its sender is dropped. It may have no
    // users.
    let (upstreams, sandbox): (_, Option<(watch::Sender<()>, bool)>) = match config.target {
        Target::Upstream(upstreams) => (upstreams, None),
        #[cfg(feature = "sandbox")]
        Target::Sandbox { settings, listen } => {
            let has_users = settings.has_users();
            let call = quickstart::call(address, config.tls.is_some(), has_users);
            let (endpoint, stop) = super::sandbox::spawn(*settings, listen, call)?;
            (Regional::without_regions(endpoint), Some((stop, has_users)))
        }
    };
    let settings = config.telemetry;
    let unsupported = settings.unsupported.clone();
    let [traces_to, metrics_to] = settings.endpoints();
    let max_in_flight = config.limits.calls.max_in_flight;
    let (telemetry, providers, page) = Telemetry::start(settings, max_in_flight)?;
    let server = app::server(
        upstreams.clone(),
        config.outbound,
        config.limits,
        config.budget,
        telemetry,
    );
    let mut server = server.await?;
    let has_tls = config.tls.is_some();
    server.tls = config.tls;
    let signals = Signals::listen()?;
    let shown = |listener: &Option<TcpListener>| {
        let address = listener.as_ref().map(port::address).transpose()?;
        Ok::<_, String>(address.map(tracing::field::display))
    };
    tracing::info!(
        %address,
        tls = has_tls,
        health = shown(&health)?,
        metrics = shown(&metrics)?,
        traces_to,
        metrics_to,
        upstream = %upstreams,
        regions = upstreams.names(),
        version = %env!("CARGO_PKG_VERSION"),
        "serving"
    );
    unsupported.iter().for_each(Unsupported::log);
    misspelt::in_environment().iter().for_each(Misspelt::log);
    server.tls.iter().for_each(Tls::log_problem);
    if let Some((_, has_users)) = sandbox {
        quickstart::print(address, has_tls, has_users, upstreams.first());
    }
    server.probes = health;
    let code = signals
        .run_server(|shutdown| async {
            let shutdown = shutdown.map(|signal| match signal {
                ShutdownSignal::Terminate => config.shutdown.terminated,
                ShutdownSignal::Interrupt => config.shutdown.interrupted,
            });
            let serving = server.serve(listener, shutdown);
            match page.zip(metrics) {
                None => serving.await,
                // The metrics page is served until the drain is over, so that it
                // shows the drain.
                Some((page, listener)) => tokio::select! {
                    () = serving => {}
                    () = serve_metrics(listener, page.into_router()) => {}
                },
            }
            providers.shut_down().await;
            // The sandbox stops last: calls need it until the drain is over.
            drop(sandbox);
        })
        .await;
    tracing::info!("ended");
    Ok(code)
}
