//! The command line: the commands, and the way from the arguments to one of them.

use std::env;
use std::ffi::OsString;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory, Error, FromArgMatches, Parser, Subcommand};

use super::call::{self, CallArgs};
use super::completions::{self, Shell};
use super::exit::EXIT_USAGE;
#[cfg(feature = "sandbox")]
use super::sandbox::{self, SandboxArgs};
use super::unexpected::take_unexpected;
use super::{help, man, misplaced, serve};
use crate::args::without_empty_variables;
use crate::config::ServeArgs;

/// A gRPC gateway in front of the Genesys Cloud presence API
#[derive(Debug, Parser)]
#[command(name = "presence-gateway", version = help::VERSION, after_help = help::PROGRAM)]
pub(super) struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Serve gRPC calls, and forward them to Genesys Cloud or to a sandbox
    #[command(after_help = help::SHORT, after_long_help = help::SERVE)]
    #[command(allow_negative_numbers = true)]
    Serve(Box<ServeArgs>),
    /// Serve the simulated Genesys Cloud alone, over HTTP
    #[cfg(feature = "sandbox")]
    #[command(allow_negative_numbers = true)]
    Sandbox(Box<SandboxArgs>),
    /// Make one call to a running gateway, or list and describe what can be called
    #[command(after_help = help::SHORT_CALL, after_long_help = help::CALL)]
    Call(Box<CallArgs>),
    /// Print a script that completes commands, flags and RPCs in a shell
    #[command(after_help = help::COMPLETIONS)]
    Completions {
        /// The shell: bash, zsh or fish
        shell: Shell,
    },
    /// Write the manual pages of the program and of its commands
    #[command(after_help = help::MAN)]
    Man {
        /// The directory for the pages; it is created if it does not exist
        #[arg(value_name = "DIRECTORY")]
        directory: PathBuf,
    },
}

/// Runs the command that the arguments of the process name.
#[must_use]
pub fn run() -> ExitCode {
    let arguments: Vec<OsString> = env::args_os().collect();
    let (parsed, unexpected) = parse(arguments.clone());
    match parsed {
        Ok(CommandLine { command }) => match command {
            Command::Serve(args) => serve::serve(&args, unexpected),
            #[cfg(feature = "sandbox")]
            Command::Sandbox(args) => sandbox::sandbox(&args, unexpected),
            Command::Call(args) => call::call(&args),
            Command::Completions { shell } => completions::print(CommandLine::command(), shell),
            Command::Man { directory } => man::write(CommandLine::command(), &directory),
        },
        Err(error) => {
            let is_call = arguments.get(1).is_some_and(|command| command == "call");
            let explained = if is_call {
                call::arguments::explain(&error, &arguments)
            } else {
                misplaced::explain(&error, &CommandLine::command())
            };
            let _ = match explained {
                Some(text) => io::stderr().write_all(text.as_bytes()),
                None => error.print(),
            };
            // Help and version arrive here as well, and are no error.
            let code = if error.use_stderr() { EXIT_USAGE } else { 0 };
            code.into()
        }
    }
}

/// Parses the arguments of the process. Returns those that a server does not expect
/// besides, because it reports them with the other errors of its settings.
fn parse(mut arguments: Vec<OsString>) -> (Result<CommandLine, Error>, Vec<String>) {
    let mut command = without_empty_variables(CommandLine::command());
    if arguments.iter().any(|argument| argument == "-h") {
        // The short help is for one screen.
        command = without_variables(command);
    }
    let (mut first_error, mut unexpected) = (None, Vec::new());
    let is_server = arguments
        .get(1)
        .is_some_and(|it| it == "serve" || it == "sandbox");
    loop {
        let matches = command.clone().try_get_matches_from(&arguments);
        let parsed = matches.and_then(|matches| CommandLine::from_arg_matches(&matches));
        match parsed {
            Err(error) if is_server => match take_unexpected(&error, &mut arguments, &command) {
                Some(problem) => {
                    unexpected.push(problem);
                    first_error.get_or_insert(error);
                }
                None => return (Err(first_error.unwrap_or(error)), unexpected),
            },
            parsed => return (parsed, unexpected),
        }
    }
}

/// Leaves the variables out of the help.
fn without_variables(command: clap::Command) -> clap::Command {
    command
        .mut_args(|argument| argument.hide_env(true))
        .mut_subcommands(without_variables)
}
