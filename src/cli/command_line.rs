//! The command line: the commands, and the way from the arguments to one of them.

use std::env;
use std::ffi::{OsStr, OsString};
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory, Error, FromArgMatches, Parser, Subcommand};

use super::call::{self, CallArgs};
use super::completions::{self, Shell};
use super::exit::{self, EXIT_USAGE};
#[cfg(feature = "sandbox")]
use super::sandbox::{self, SandboxArgs};
use super::unexpected::take_unexpected;
use super::{help, man, misplaced, serve};
use crate::args::{not_utf8, without_unusable_variables};
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
    let (parsed, known) = parse(arguments.clone());
    match parsed {
        Ok(CommandLine { command }) => match command {
            Command::Serve(args) => serve::serve(&args, known),
            #[cfg(feature = "sandbox")]
            Command::Sandbox(args) => sandbox::sandbox(&args, known),
            Command::Call(args) => call::call(&args, known),
            Command::Completions { shell } => completions::print(CommandLine::command(), shell),
            Command::Man { directory } => man::write(CommandLine::command(), &directory),
        },
        // Help and version arrive here as well, and are no error.
        Err(error) if !error.use_stderr() => {
            let _ = error.print();
            ExitCode::SUCCESS
        }
        Err(error) => {
            known.iter().for_each(exit::report);
            let is_call = arguments.get(1).is_some_and(|command| command == "call");
            let explained = if is_call {
                call::arguments::explain(&error, &arguments)
            } else {
                misplaced::explain(&error, &CommandLine::command(), arguments.get(2))
            };
            let _ = match explained {
                Some(text) => io::stderr().write_all(text.as_bytes()),
                None => error.print(),
            };
            EXIT_USAGE.into()
        }
    }
}

/// Parses the arguments of the process. Returns besides the errors that a command
/// reports together with those of its settings.
fn parse(arguments: Vec<OsString>) -> (Result<CommandLine, Error>, Vec<String>) {
    let mut arguments = join_negative_values(arguments);
    let command = CommandLine::command();
    let name = arguments.get(1).and_then(|name| name.to_str());
    let subcommand = name.and_then(|name| command.find_subcommand(name));
    let mut known = subcommand.map(not_utf8).unwrap_or_default();
    let is_known = matches!(name, Some("serve" | "sandbox" | "call"));
    let mut command = without_unusable_variables(command);
    if arguments.iter().any(|argument| argument == "-h") {
        // The short help is for one screen.
        command = without_variables(command);
    }
    loop {
        let matches = command.clone().try_get_matches_from(&arguments);
        let parsed = matches.and_then(|matches| CommandLine::from_arg_matches(&matches));
        match parsed {
            Err(error) if is_known => match take_unexpected(&error, &mut arguments, &command) {
                Some(problem) => known.push(problem),
                None => return (Err(error), known),
            },
            parsed => return (parsed, known),
        }
    }
}

/// Joins a value that begins with a minus to its flag, `--deadline -5s`, so that the
/// value is reported as wrong, and not as a flag that does not exist.
fn join_negative_values(arguments: Vec<OsString>) -> Vec<OsString> {
    let mut joined: Vec<OsString> = Vec::new();
    for argument in arguments {
        let number = argument
            .to_str()
            .and_then(|argument| argument.strip_prefix('-'));
        let is_value = number
            .is_some_and(|text| text.starts_with(|it: char| it.is_ascii_digit() || it == '.'));
        match joined.last_mut() {
            Some(flag) if is_value && is_long_flag(flag) => {
                flag.push("=");
                flag.push(argument);
            }
            _ => joined.push(argument),
        }
    }
    joined
}

/// Whether this is a flag that may have a value behind it.
fn is_long_flag(argument: &OsStr) -> bool {
    let name = argument.to_str().and_then(|text| text.strip_prefix("--"));
    name.is_some_and(|name| !name.is_empty() && !name.contains('='))
}

/// Leaves the variables out of the help.
fn without_variables(command: clap::Command) -> clap::Command {
    command
        .mut_args(|argument| argument.hide_env(true))
        .mut_subcommands(without_variables)
}
