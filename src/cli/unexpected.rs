//! Arguments that no flag takes, so that a start reports them together with the
//! other errors of its configuration.

use std::ffi::{OsStr, OsString};

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Command, Error};

use crate::nearest::is_near;

/// Removes the argument that `error` is about from `arguments`, with its value,
/// and returns what is wrong with it. Returns `None` for any other error.
pub fn take_unexpected(
    error: &Error,
    arguments: &mut Vec<OsString>,
    program: &Command,
) -> Option<String> {
    if error.kind() != ErrorKind::UnknownArgument {
        return None;
    }
    let name = text(error, ContextKind::InvalidArg)?;
    let is_it = |argument: &OsString| {
        let rest = argument.to_str().and_then(|text| text.strip_prefix(name));
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('='))
    };
    // Behind the program and the command, whose names may stand there again.
    let index = 2 + arguments.get(2..)?.iter().position(is_it)?;
    let similar = text(error, ContextKind::SuggestedArg);
    // The parser finds a flag similar that has few letters in common.
    let similar = similar.filter(|similar| is_near(name, similar));
    let tip = if let Some(instead) = instead(arguments.get(1)?, name, program) {
        format!("; {instead}")
    } else if let Some(similar) = similar {
        format!("; a similar argument exists: '{similar}'")
    } else if name.starts_with('-') {
        String::new()
    } else {
        // clap sees a switch that is complete, and a value that belongs to nothing.
        let switch = arguments[index - 1].to_str();
        let switch = switch.filter(|switch| switch.starts_with("--"));
        let tip = |switch| format!("; a value of '{switch}' follows `=`: '{switch}={name}'");
        switch.map(tip).unwrap_or_default()
    };
    let problem = format!("unexpected argument '{name}' found{tip}");
    let flag = arguments.remove(index);
    let is_value = |next: &OsString| !next.to_string_lossy().starts_with('-');
    if flag == *name && name.starts_with("--") && arguments.get(index).is_some_and(is_value) {
        arguments.remove(index);
    }
    Some(problem)
}

/// What a server has in place of a flag that one may expect.
fn instead(command: &OsStr, flag: &str, program: &Command) -> Option<String> {
    if command != "serve" {
        return None;
    }
    let instead = match flag {
        "--token" | "--client-id" | "--client-secret" => {
            "the gateway has no credentials: each call brings its token \
             (`presence-gateway call RPC --token TOKEN`)"
        }
        "--address" | "--host" | "--port" | "--bind" | "-p" => {
            "the flag is --listen, for example `--listen 127.0.0.1:50051`"
        }
        "--verbose" | "-v" | "--debug" | "--log-level" => {
            "the variable RUST_LOG has the level of the log, for example `RUST_LOG=debug`"
        }
        _ => {
            let variable = sandbox_variable(flag, program)?;
            return Some(format!(
                "`serve --sandbox` has the variable {variable} for it"
            ));
        }
    };
    Some(instead.to_owned())
}

/// The variable of a flag that only the command `sandbox` has.
fn sandbox_variable<'a>(name: &str, program: &'a Command) -> Option<&'a str> {
    let name = name.strip_prefix("--")?;
    let sandbox = program.find_subcommand("sandbox")?;
    let mut flags = sandbox.get_arguments();
    let flag = flags.find(|flag| {
        let long = flag.get_long();
        long.is_some_and(|long| long == name || long.strip_suffix('s') == Some(name))
    })?;
    flag.get_env()?.to_str()
}

fn text(error: &Error, kind: ContextKind) -> Option<&str> {
    match error.get(kind)? {
        ContextValue::String(text) => Some(text),
        _ => None,
    }
}
