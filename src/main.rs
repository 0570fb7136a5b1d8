//! The program: `serve`, `sandbox` and `call`.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use presence_gateway::call::{self, CallArgs};
use presence_gateway::config::{EXIT_USAGE, ServeArgs};
use presence_gateway::run::{self, SandboxArgs};
use tokio::runtime::Runtime;

/// The version, with the commit that was built.
const VERSION: &str = concat!(
    env!("CARGO_PKG_VERSION"),
    " (commit ",
    env!("PRESENCE_GATEWAY_COMMIT"),
    ")"
);

/// What `--help` teaches besides the flags.
const EXAMPLES: &str = "\
Try it, without an account of the vendor's:
  presence-gateway serve --sandbox
  presence-gateway call GetSystempresences --token any

In front of the vendor:
  presence-gateway serve --region us-east-1 --listen 0.0.0.0:50051

Exit codes: 0 for success, 1 for a failure, 64 for a mistake in the command line or in a variable.";

const SERVE: &str = "\
Exactly one of --region, --upstream-url and --sandbox is needed. A flag that is given stands above
its variable; a switch is set by its name alone, or by `=true` and `=false`. Durations carry units:
`250ms`, `5s`, `2m`.

Other variables:
  RUST_LOG                     filters the log: `warn`, `presence_gateway=debug`; info unless set
  TOKIO_WORKER_THREADS         how many threads serve; one for each core unless set
  PRESENCE_GATEWAY_SANDBOX_*   the settings of the sandbox, see `presence-gateway sandbox --help`

SIGTERM and Ctrl-C end it: health turns NOT_SERVING, connections are accepted for --lame-duck
more, calls in flight have --drain-timeout after that. A second signal ends it at once.";

const CALL: &str = "\
The token is taken from PRESENCE_GATEWAY_TOKEN where --token is not given.

Examples:
  presence-gateway call GetUserPresence '{\"userId\": \"…\", \"sourceId\": \"PURECLOUD\"}'
  presence-gateway call GetUsersPresencesPurecloudBulk '{\"id\": [\"…\", \"…\"]}'
  presence-gateway call PutUsersPresencesBulk - < updates.json
  presence-gateway call GetSystempresences --address https://gateway.example:50051

Exit codes: 0 for an answer, 1 for an error status, which is printed with its details, and 64 for a
call that could not be made as it was given.";

/// A gRPC gateway in front of the Genesys Cloud presence API
#[derive(Debug, Parser)]
#[command(version = VERSION, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve callers, and forward to the vendor or to a sandbox
    #[command(after_help = SERVE)]
    Serve(Box<ServeArgs>),
    /// Serve the simulated vendor alone, over HTTP
    Sandbox(Box<SandboxArgs>),
    /// Make one call to a running gateway, and print the answer
    #[command(after_help = CALL)]
    Call(Box<CallArgs>),
}

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are asked for, and are no error.
            let code = if error.use_stderr() { EXIT_USAGE } else { 0 };
            let _ = error.print();
            return code.into();
        }
    };
    let runtime = match Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            let _ = writeln!(io::stderr(), "presence-gateway: no threads: {error}");
            return ExitCode::FAILURE;
        }
    };
    let code = runtime.block_on(async {
        match cli.command {
            Command::Serve(args) => run::serve(&args).await,
            Command::Sandbox(args) => run::sandbox(&args).await,
            Command::Call(args) => call::call(&args).await,
        }
    });
    // Not waiting for what cannot be cancelled, such as a lookup of a name.
    runtime.shutdown_background();
    code
}
