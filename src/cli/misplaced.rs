//! Flags and RPCs that stand where a command is expected.

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Command, Error};

use super::call;

/// Explains an error of the parser about the first argument of the program.
pub(super) fn explain(error: &Error, program: &Command, next: Option<&OsString>) -> Option<String> {
    let (kind, right) = match error.kind() {
        ErrorKind::UnknownArgument => {
            let flag = text(error, ContextKind::InvalidArg)?;
            let name = flag.strip_prefix("--")?;
            let has_it = |command: &&Command| {
                let mut arguments = command.get_arguments();
                arguments.any(|argument| argument.get_long() == Some(name))
            };
            let command = program.get_subcommands().find(has_it)?;
            let right = format!("presence-gateway {} {flag}", command.get_name());
            (format!("`{flag}` needs a command before it"), right)
        }
        ErrorKind::InvalidSubcommand => {
            let given = text(error, ContextKind::InvalidSubcommand)?;
            let rpc = |name: &str| Some(call::rpc_name::find(name).ok()?.name().to_owned());
            match (given, rpc(given)) {
                (_, Some(name)) => (
                    format!("`{given}` is an RPC, not a command"),
                    format!("presence-gateway call {name}"),
                ),
                // The verbs of grpcurl.
                ("list" | "ls", None) => (no_command(given), "presence-gateway call --list".into()),
                ("describe", None) => {
                    let name = next.and_then(|next| rpc(next.to_str()?));
                    let name = name.as_deref().unwrap_or("RPC");
                    let right = format!("presence-gateway call {name} --describe");
                    (no_command(given), right)
                }
                _ => return None,
            }
        }
        _ => return None,
    };
    Some(format!(
        "presence-gateway: {kind}: `{right}`\n  --help lists the commands\n"
    ))
}

fn no_command(given: &str) -> String {
    format!("there is no command `{given}`")
}

fn text(error: &Error, kind: ContextKind) -> Option<&str> {
    match error.get(kind)? {
        ContextValue::String(text) => Some(text),
        _ => None,
    }
}
