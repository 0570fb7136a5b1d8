//! The program: `serve`, `sandbox` and `call`.

use std::env;
use std::ffi::OsString;
use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use presence_gateway::args::without_empty_variables;
use presence_gateway::cli::call::{self, CallArgs};
use presence_gateway::cli::serve::{self, SandboxArgs};
use presence_gateway::config::{EXIT_USAGE, ServeArgs};

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
  OTEL_*                       traces and metrics over OTLP, off unless
                               OTEL_EXPORTER_OTLP_ENDPOINT names a collector; see README.md
  PRESENCE_GATEWAY_SANDBOX_*   the settings of the sandbox, see `presence-gateway sandbox --help`

SIGTERM and Ctrl-C end it: health turns NOT_SERVING, connections are accepted for --lame-duck
more, calls in flight have --drain-timeout after that. A second signal ends it at once.";

const CALL: &str = "\
The token is taken from PRESENCE_GATEWAY_TOKEN where --token is not given.

Examples:
  presence-gateway call GetUserPresence '{\"userId\": \"…\", \"sourceId\": \"PURECLOUD\"}'
  presence-gateway call GetUsersPresencesPurecloudBulk '{\"id\": [\"…\", \"…\"]}'
  presence-gateway call PutUsersPresencesBulk - < updates.json
  presence-gateway call StreamUsersPresencesPurecloudBulk --ids users.txt > presences.jsonl
  presence-gateway call GetSystempresences --address https://gateway.example:50051

Ctrl-C and SIGTERM end a stream once the lines begun are whole, and it still says how many ids
were done, missing and failed; the others were not asked, or not answered. A second signal ends it
at once.

Exit codes: 0 for an answer, 1 for an error status, which is printed with its details, 64 for a call
that could not be made as it was given, and 130 or 143 for a stream that Ctrl-C or SIGTERM ended.";

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
    #[command(after_help = SERVE, allow_negative_numbers = true)]
    Serve(Box<ServeArgs>),
    /// Serve the simulated vendor alone, over HTTP
    #[command(allow_negative_numbers = true)]
    Sandbox(Box<SandboxArgs>),
    /// Make one call to a running gateway, and print the answer
    #[command(after_help = CALL)]
    Call(Box<CallArgs>),
}

fn main() -> ExitCode {
    let (cli, problems) = match parse(env::args_os().collect()) {
        Ok(parsed) => parsed,
        Err(code) => return code,
    };
    match cli.command {
        Command::Serve(args) => serve::serve(&args, problems),
        Command::Sandbox(args) => serve::sandbox(&args, problems),
        Command::Call(args) => call::call(&args),
    }
}

/// Reads the command line. A flag that a server does not have is left out and
/// told, so that it hides no other mistake.
fn parse(mut arguments: Vec<OsString>) -> Result<(Cli, Vec<String>), ExitCode> {
    let mut problems = Vec::new();
    loop {
        let command = without_empty_variables(Cli::command());
        let parsed = command.try_get_matches_from(&arguments);
        let error = match parsed.and_then(|matches| Cli::from_arg_matches(&matches)) {
            Ok(cli) => return Ok((cli, problems)),
            Err(error) => error,
        };
        let is_server = arguments.get(1).is_some_and(|name| name != "call");
        let Some(at) = unknown(&error, &arguments).filter(|_| is_server) else {
            // Help and version are asked for, and are no error.
            let code = if error.use_stderr() { EXIT_USAGE } else { 0 };
            let _ = error.print();
            return Err(code.into());
        };
        let flag = arguments.remove(at);
        problems.push(format!("there is no flag `{}`", flag.to_string_lossy()));
        // What follows was meant as its value: a server takes flags alone.
        let is_value = |next: &OsString| !next.to_string_lossy().starts_with('-');
        if arguments.get(at).is_some_and(is_value) {
            arguments.remove(at);
        }
    }
}

/// The position of the argument that an error calls unknown.
fn unknown(error: &clap::Error, arguments: &[OsString]) -> Option<usize> {
    if error.kind() != ErrorKind::UnknownArgument {
        return None;
    }
    let Some(ContextValue::String(name)) = error.get(ContextKind::InvalidArg) else {
        return None;
    };
    let is_it = |argument: &OsString| {
        let argument = argument.to_string_lossy();
        argument == name.as_str()
            || argument
                .split_once('=')
                .is_some_and(|(flag, _)| flag == name)
    };
    arguments.iter().skip(2).position(is_it).map(|at| at + 2)
}
