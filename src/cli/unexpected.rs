//! Arguments that no flag takes, so that a start reports them together with the
//! other errors of its configuration.

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Command, Error};

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
    let tip = if let Some(variable) = sandbox_variable(name, program) {
        format!("; `serve --sandbox` has the variable {variable} for it")
    } else if let Some(similar) = text(error, ContextKind::SuggestedArg) {
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

/// The variable of a flag that only the command `sandbox` has.
fn sandbox_variable<'a>(name: &str, program: &'a Command) -> Option<&'a str> {
    let name = name.strip_prefix("--")?;
    let sandbox = program.find_subcommand("sandbox")?;
    let mut flags = sandbox.get_arguments();
    let flag = flags.find(|flag| flag.get_long() == Some(name))?;
    flag.get_env()?.to_str()
}

fn text(error: &Error, kind: ContextKind) -> Option<&str> {
    match error.get(kind)? {
        ContextValue::String(text) => Some(text),
        _ => None,
    }
}
