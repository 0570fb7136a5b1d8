//! The program: `serve`, `sandbox` and `call`.

use std::env;
use std::ffi::OsString;
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use presence_gateway::args::without_empty_variables;
use presence_gateway::cli::call::{self, CallArgs};
use presence_gateway::cli::exit::EXIT_USAGE;
#[cfg(feature = "sandbox")]
use presence_gateway::cli::sandbox::{self, SandboxArgs};
use presence_gateway::cli::serve;
use presence_gateway::cli::unexpected::take_unexpected;
use presence_gateway::config::ServeArgs;

/// A text of a build with the sandbox, and the text instead of it.
#[cfg(feature = "sandbox")]
macro_rules! with_sandbox {
    ($text:literal, $otherwise:literal) => {
        $text
    };
}
#[cfg(not(feature = "sandbox"))]
macro_rules! with_sandbox {
    ($text:literal, $otherwise:literal) => {
        $otherwise
    };
}

/// The version, with the commit of the build and what the build leaves out.
const VERSION: &str = concat!(
    env!("CARGO_PKG_VERSION"),
    " (commit ",
    env!("PRESENCE_GATEWAY_COMMIT"),
    with_sandbox!(")", ", without the sandbox)")
);

const EXAMPLES: &str = concat!(
    with_sandbox!(
        "\
Try it, without an account at Genesys Cloud:
  presence-gateway serve --sandbox
  presence-gateway call GetSystempresences --token any

",
        ""
    ),
    "\
In front of Genesys Cloud:
  presence-gateway serve --region us-east-1 --listen 0.0.0.0:50051

Exit codes: 0 for success, 1 for a failure, 64 for a wrong command line or variable."
);

const SERVE: &str = concat!(
    with_sandbox!(
        "Exactly one of --region, --upstream-url and --sandbox is required.",
        "Exactly one of --region and --upstream-url is required."
    ),
    " A flag overrides its variable.
A switch is set by its name alone, or by `=true` and `=false`. Durations have units: `250ms`,
`5s`, `2m`.

Other variables:
  RUST_LOG                     filters the log: `warn`, `presence_gateway=debug`; default: info
  TOKIO_WORKER_THREADS         the number of threads; default: one for each core
  OTEL_*                       traces and metrics over OTLP; off unless
                               OTEL_EXPORTER_OTLP_ENDPOINT names a collector; see docs/telemetry.md
",
    with_sandbox!(
        "  PRESENCE_GATEWAY_SANDBOX_*   the settings of the sandbox, see \
`presence-gateway sandbox --help`
",
        ""
    ),
    "
SIGTERM and Ctrl-C shut it down: health turns NOT_SERVING, connections are accepted for
--lame-duck, then calls in flight have --drain-timeout to finish. A second signal stops it at once."
);

const CALL: &str = "\
Without --token, the token is read from PRESENCE_GATEWAY_TOKEN.

Examples:
  presence-gateway call GetUserPresence '{\"userId\": \"…\", \"sourceId\": \"PURECLOUD\"}'
  presence-gateway call GetUsersPresencesPurecloudBulk '{\"id\": [\"…\", \"…\"]}'
  presence-gateway call PutUsersPresencesBulk - < updates.json
  presence-gateway call StreamUsersPresencesPurecloudBulk --ids users.txt > presences.jsonl
  presence-gateway call GetSystempresences --address https://gateway.example:50051

Ctrl-C and SIGTERM end a stream after the current lines are complete. It then prints how many ids
are done, missing and failed; the other ids were not sent or not answered. A second signal stops it
at once.

Exit codes: 0 for a response, 1 for an error status, which is printed with its details, 64 for a
command line that makes no call, and 130 or 143 for a stream that Ctrl-C or SIGTERM ended.";

/// A gRPC gateway in front of the Genesys Cloud presence API
#[derive(Debug, Parser)]
#[command(version = VERSION, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve gRPC calls, and forward them to Genesys Cloud or to a sandbox
    #[command(after_help = SERVE, allow_negative_numbers = true)]
    Serve(Box<ServeArgs>),
    /// Serve the simulated Genesys Cloud alone, over HTTP
    #[cfg(feature = "sandbox")]
    #[command(allow_negative_numbers = true)]
    Sandbox(Box<SandboxArgs>),
    /// Make one call to a running gateway, and print the response
    #[command(after_help = CALL)]
    Call(Box<CallArgs>),
}

fn main() -> ExitCode {
    let mut arguments: Vec<OsString> = env::args_os().collect();
    let command = without_empty_variables(Cli::command());
    let (mut first_error, mut unexpected) = (None, Vec::new());
    let parsed = loop {
        let matches = command.clone().try_get_matches_from(&arguments);
        let parsed = matches.and_then(|matches| Cli::from_arg_matches(&matches));
        let is_call = arguments.get(1).is_some_and(|command| command == "call");
        match parsed {
            Err(error) if !is_call => match take_unexpected(&error, &mut arguments) {
                Some(problem) => {
                    unexpected.push(problem);
                    first_error.get_or_insert(error);
                }
                None => break Err(error),
            },
            parsed => break parsed,
        }
    };
    match parsed {
        Ok(cli) => match cli.command {
            Command::Serve(args) => serve::serve(&args, unexpected),
            #[cfg(feature = "sandbox")]
            Command::Sandbox(args) => sandbox::sandbox(&args, unexpected),
            Command::Call(args) => call::call(&args),
        },
        Err(error) => {
            let error = first_error.unwrap_or(error);
            let _ = error.print();
            // Help and version arrive here as well, and are no error.
            let code = if error.use_stderr() { EXIT_USAGE } else { 0 };
            code.into()
        }
    }
}
