//! The simulated vendor: as the command `sandbox`, and inside the gateway.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;

use clap::Args;
use futures_util::FutureExt;
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::exit::{self, StartupError};
use super::misspelt::{self, Misspelt};
use super::port::{self, bind};
use super::quickstart::reachable;
use super::runtime;
use super::signals::Signals;
use crate::args::{ConfigErrors, FromVariables};
use crate::config::{ListenAddress, SANDBOX_LISTEN};
use crate::logging::{self, LogFormat};
use crate::sandbox::{self, Sandbox, Settings};
use crate::upstream::endpoint::Endpoint;

/// The flags of `sandbox`.
#[derive(Debug, Clone, Args)]
pub struct SandboxArgs {
    #[command(flatten)]
    from_variables: FromVariables,

    /// The address and port on which the simulated vendor is served
    #[arg(long, value_name = "ADDRESS", env = SANDBOX_LISTEN)]
    #[arg(default_value = "127.0.0.1:8080")]
    listen: String,

    #[command(flatten)]
    settings: sandbox::Args,
}

/// Runs `sandbox`: serves the simulated vendor until a signal ends it.
/// `unexpected` are errors of the command line that are known already.
#[must_use]
pub fn sandbox(args: &SandboxArgs, unexpected: Vec<String>) -> ExitCode {
    let mut errors = ConfigErrors::default();
    for error in unexpected {
        errors.add(error);
    }
    let listen_flag = if args.from_variables.contains("listen") {
        SANDBOX_LISTEN
    } else {
        "--listen"
    };
    let listen = errors.parse_as(listen_flag, &args.listen, str::parse);
    let settings = Settings::read(&args.settings, &mut errors);
    let filter = errors.take(logging::filter());
    let threads = errors.take(runtime::threads());
    match (listen, filter, threads, errors.into_vec().as_slice()) {
        (Some(listen), Some(filter), Some(threads), []) => {
            let started = logging::start(LogFormat::detect(), filter).map_err(Into::into);
            exit::exit_code(
                started.and_then(|()| runtime::run(threads, serve(listen_flag, listen, settings))),
            )
        }
        (_, _, _, errors) => exit::misconfigured(errors),
    }
}

async fn serve(
    listen_flag: &str,
    listen: ListenAddress,
    settings: Settings,
) -> Result<ExitCode, StartupError> {
    let listener = bind(listen_flag, listen)?;
    let address = port::address(&listener)?;
    let signals = Signals::listen()?;
    tracing::info!(%address, "serving the sandbox; for its usage see http://{address}/sandbox");
    misspelt::in_environment().iter().for_each(Misspelt::log);
    let mut served = Ok(());
    let code = signals
        .run_server(|shutdown| async {
            let shutdown = shutdown.map(drop);
            served = sandbox::serve(listener, Sandbox::new(settings), shutdown).await;
        })
        .await;
    Ok(served.map(|()| code).map_err(|error| error.to_string())?)
}

/// Serves a sandbox inside the gateway, until the sender is dropped. Calls to it
/// take the same way as calls to the vendor. Its page shows `call`, a command that
/// calls the gateway.
pub(super) fn spawn(
    settings: Settings,
    listen: Option<ListenAddress>,
    call: String,
) -> Result<(Endpoint, watch::Sender<()>), StartupError> {
    let listener = match listen {
        Some(address) => bind(SANDBOX_LISTEN, address)?,
        None => bind_first_free()?,
    };
    let address = reachable(port::address(&listener)?);
    // Plain http to another address of this machine stays in this process.
    let endpoint = Endpoint::from_url(&format!("http://{address}"), true)?;
    let (stop, mut stopped) = watch::channel(());
    let shutdown = async move { while stopped.changed().await.is_ok() {} };
    let sandbox = Sandbox::behind_gateway(settings, call);
    #[expect(clippy::disallowed_methods, reason = "a server; no call waits for it")]
    tokio::spawn(async move {
        if let Err(error) = sandbox::serve(listener, sandbox, shutdown).await {
            tracing::error!(%error, "the sandbox failed");
        }
    });
    Ok((endpoint, stop))
}

/// Binds port 8080 of loopback or, while a port is taken, the next one. Many
/// gateways may start at the same time, so a port counts as free once it is bound.
fn bind_first_free() -> Result<TcpListener, StartupError> {
    let loopback = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let first = (8080..8180).find_map(|port| bind("--sandbox", loopback(port)).ok());
    first.map_or_else(|| bind("--sandbox", loopback(0)), Ok)
}
