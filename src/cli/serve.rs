//! The command `serve`.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::process::ExitCode;

use super::app::{App, Listeners};
use super::exit::{self, StartupError};
use super::signals::Signals;
use super::{fd_limit, runtime};
use crate::config::{Config, ServeArgs};
use crate::logging;
use crate::upstream::endpoint::Endpoint;

/// Runs `serve`: serves callers until a signal ends it.
#[must_use]
pub fn serve(args: &ServeArgs) -> ExitCode {
    match (args.to_config(), runtime::threads()) {
        (Ok(config), Ok(threads)) => {
            let started = logging::start(config.log_format, config.log_filter.clone());
            let started = started.map_err(StartupError::from);
            exit::exit_code(started.and_then(|()| runtime::run(threads, run(config))))
        }
        (config, threads) => {
            let mut errors = config.err().unwrap_or_default();
            errors.extend(threads.err());
            exit::misconfigured(&errors)
        }
    }
}

async fn run(config: Config) -> Result<ExitCode, StartupError> {
    fd_limit::raise();
    let listeners = Listeners::bind(&config)?;
    let app = App::build(config, listeners).await?;
    let signals = Signals::listen()?;
    app.log_start();
    if app.has_sandbox() {
        print_quickstart(app.address, app.has_tls, &app.upstream);
    }
    let code = signals.run_server(|shutdown| app.serve(shutdown)).await;
    tracing::info!("ended");
    Ok(code)
}

/// Prints a command that calls a gateway on its sandbox.
fn print_quickstart(address: SocketAddr, has_tls: bool, sandbox: &Endpoint) {
    let scheme = if has_tls { "https://" } else { "" };
    let program = std::env::args()
        .next()
        .unwrap_or_else(|| "presence-gateway".to_owned());
    // A closed standard output is no reason to stop.
    let _ = writeln!(
        io::stdout(),
        "The gateway serves its sandbox on {address}. In another terminal:\n\n  \
         {program} call GetUserPresencesPurecloud \\\n    \
         '{{\"userId\": \"00000000-0000-4000-8000-000000000001\"}}' \\\n    \
         --token any --address {scheme}{address}\n\n\
         How to make the sandbox misbehave: {sandbox}/sandbox\n"
    );
}
