//! Arguments that no flag takes, that are given twice, or that lack their value, so that
//! a command reports them together with the other errors of its settings.

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
    match error.kind() {
        ErrorKind::InvalidUtf8 => take_unreadable(arguments),
        ErrorKind::ArgumentConflict => take_repeated(error, arguments),
        // `call` explains these itself.
        _ if arguments.get(1).is_some_and(|command| command == "call") => None,
        ErrorKind::InvalidValue => take_without_value(error, arguments),
        ErrorKind::UnknownArgument => take_unknown(error, arguments, program),
        _ => None,
    }
}

/// Takes an argument that is not UTF-8, with the flag before it.
fn take_unreadable(arguments: &mut Vec<OsString>) -> Option<String> {
    // Behind the program and the command.
    let index = 2 + arguments
        .get(2..)?
        .iter()
        .position(|it| it.to_str().is_none())?;
    let argument = arguments.remove(index).to_string_lossy().into_owned();
    let before = arguments[index - 1].to_string_lossy().into_owned();
    let flag = match argument.split_once('=') {
        Some((flag, _)) if flag.starts_with("--") => flag.to_owned(),
        _ if before.starts_with("--") && !before.contains('=') => {
            arguments.remove(index - 1);
            before
        }
        _ => return Some(format!("the argument `{argument}` is not UTF-8")),
    };
    Some(format!("{flag}: the value is not UTF-8"))
}

/// Takes all but the first of a flag that is given several times.
fn take_repeated(error: &Error, arguments: &mut Vec<OsString>) -> Option<String> {
    let flag = text(error, ContextKind::InvalidArg)?;
    if text(error, ContextKind::PriorArg) != Some(flag) {
        return None;
    }
    let name = name(flag);
    let has_separate_value = flag.contains(" <");
    let first = position(arguments, name, 2)?;
    while let Some(index) = position(arguments, name, first + 1) {
        let given = arguments.remove(index);
        if has_separate_value && given == *name && arguments.len() > index {
            arguments.remove(index);
        }
    }
    Some(format!("{name}: given more than once; give it once"))
}

/// Takes a flag that lacks its value.
fn take_without_value(error: &Error, arguments: &mut Vec<OsString>) -> Option<String> {
    let given = text(error, ContextKind::InvalidValue);
    if given.is_some_and(|value| !value.is_empty()) {
        return None;
    }
    let name = name(text(error, ContextKind::InvalidArg)?);
    let index = position(arguments, name, 2)?;
    arguments.remove(index);
    Some(format!("{name}: has no value; it follows the flag"))
}

/// The name in the notation of a flag: `--listen <ADDRESS>`, `--sandbox[=<BOOL>]`.
fn name(flag: &str) -> &str {
    flag.split([' ', '[', '=']).next().unwrap_or(flag)
}

/// Where a flag stands, from this position on, with a value or without.
fn position(arguments: &[OsString], name: &str, from: usize) -> Option<usize> {
    let is_it = |argument: &OsString| {
        let rest = argument.to_str().and_then(|text| text.strip_prefix(name));
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('='))
    };
    Some(from + arguments.get(from..)?.iter().position(is_it)?)
}

/// Takes an argument that no flag takes.
fn take_unknown(error: &Error, arguments: &mut Vec<OsString>, program: &Command) -> Option<String> {
    let name = text(error, ContextKind::InvalidArg)?;
    // Behind the program and the command, whose names may stand there again.
    let index = position(arguments, name, 2)?;
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
