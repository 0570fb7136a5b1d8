//! The program: `serve`, `sandbox` and `call`.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use presence_gateway::call::{self, CallArgs};
use presence_gateway::config::{EXIT_USAGE, ServeArgs};
use presence_gateway::run::{self, SandboxArgs};

/// The version, with the commit that was built.
const VERSION: &str = concat!(
    env!("CARGO_PKG_VERSION"),
    " (commit ",
    env!("PRESENCE_GATEWAY_COMMIT"),
    ")"
);

/// A gRPC gateway in front of the Genesys Cloud presence API
#[derive(Debug, Parser)]
#[command(version = VERSION)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve callers, and forward to the vendor or to a sandbox
    Serve(ServeArgs),
    /// Serve the simulated vendor alone, over HTTP
    Sandbox(SandboxArgs),
    /// Make one call to a running gateway, and print the answer
    Call(CallArgs),
}

#[tokio::main]
async fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are asked for, and are no error.
            let code = if error.use_stderr() { EXIT_USAGE } else { 0 };
            let _ = error.print();
            return code.into();
        }
    };
    match cli.command {
        Command::Serve(args) => run::serve(&args).await,
        Command::Sandbox(args) => run::sandbox(&args).await,
        Command::Call(args) => call::call(&args).await,
    }
}
