//! Puts load on a gateway: a simulated vendor, a caller, and the scenarios that
//! run a gateway between the two. docs/load.md describes them.

#![allow(
    clippy::cast_precision_loss,
    clippy::expect_used,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a tool that prints figures for people"
)]

mod bench;
mod caller;
mod files;
mod precise_timer;
mod scenario;
mod upstream;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Put load on a gateway and measure it
#[derive(Debug, Parser)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve presences as the vendor does, over HTTP/1.1 and HTTP/2, with injected faults
    Upstream(upstream::Args),
    /// Call a gateway, check each status and response, and print latencies
    Call(caller::Args),
    /// Run gateways between the two, and compare figures with their limits
    Scenario(scenario::Args),
    /// Measure the gateway beside Envoy and beside direct calls
    Bench(bench::Args),
    /// Keep a core awake for the benchmark
    #[command(hide = true)]
    Spin,
}

#[tokio::main]
async fn main() -> ExitCode {
    files::raise_limit();
    let ended = match Cli::parse().command {
        Command::Upstream(args) => upstream::run(args).await.map(|()| true),
        Command::Call(args) => caller::run(args).await.map(|()| true),
        Command::Scenario(args) => scenario::run(args).await,
        Command::Bench(args) => bench::run(args).await,
        Command::Spin => {
            bench::spin();
            Ok(true)
        }
    };
    match ended {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(problem) => {
            eprintln!("load: {problem}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::Cli;

    #[test]
    fn the_flags_of_all_commands_are_consistent() {
        Cli::command().debug_assert();
    }
}
