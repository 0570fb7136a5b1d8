//! The command `completions`: scripts that complete a command line in a shell.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::builder::PossibleValuesParser;
use clap::{Arg, Command, ValueEnum, ValueHint};
use clap_complete::aot;

use super::exit::report;
use crate::proto;
use crate::upstream::region::REGIONS;

/// A shell whose scripts the program can write.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum Shell {
    /// GNU Bash, from version 4 on
    Bash,
    /// The Z shell
    Zsh,
    /// The friendly interactive shell
    Fish,
}

/// Prints the script for a shell.
pub(super) fn print(command: Command, shell: Shell) -> ExitCode {
    let shell = match shell {
        Shell::Bash => aot::Shell::Bash,
        Shell::Zsh => aot::Shell::Zsh,
        Shell::Fish => aot::Shell::Fish,
    };
    let (mut command, mut script) = (with_values(command), Vec::new());
    let name = command.get_name().to_owned();
    aot::generate(shell, &mut command, name, &mut script);
    // In bash, the arguments of a command are not completed if the program's name has a
    // hyphen (<https://github.com/clap-rs/clap/issues/6421>): two names differ.
    let script = String::from_utf8_lossy(&script);
    let mut script = script.replace("presence__subcmd__gateway", "presence__gateway");
    if matches!(shell, aot::Shell::Fish) {
        script += &fish_positionals(&command);
    }
    match io::stdout().write_all(script.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report(format_args!("cannot write the script: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// The values of positional arguments, which the library leaves out of fish's script
/// (<https://github.com/clap-rs/clap/issues/6295>).
fn fish_positionals(command: &Command) -> String {
    let of_command = |command: &Command| {
        let values = command.get_positionals().flat_map(Arg::get_possible_values);
        let values: Vec<String> = values.map(|it| it.get_name().to_owned()).collect();
        let is_in = format!(
            "__fish_presence_gateway_using_subcommand {}",
            command.get_name()
        );
        let values = values.join(" ");
        (!values.is_empty())
            .then(|| format!("complete -c presence-gateway -n \"{is_in}\" -f -a \"{values}\"\n"))
    };
    command.get_subcommands().filter_map(of_command).collect()
}

/// Adds the values that arguments can have. The parser takes a text instead, so that
/// an error can say more than which values there are.
fn with_values(command: Command) -> Command {
    command
        .mut_args(|argument| match values(&argument) {
            Some(values) => argument.value_parser(PossibleValuesParser::new(values)),
            None if has_name(&argument, "FILE") => argument.value_hint(ValueHint::FilePath),
            None => argument,
        })
        .mut_subcommands(with_values)
}

fn values(argument: &Arg) -> Option<Vec<String>> {
    let owned = |values: &[&str]| Some(values.iter().map(|&value| value.to_owned()).collect());
    match argument.get_id().as_str() {
        "rpc" => Some(proto::methods().map(|it| it.name().to_owned()).collect()),
        "region" => Some(REGIONS.iter().map(|it| it.name.to_owned()).collect()),
        "log_format" => owned(&["text", "json"]),
        _ if has_name(argument, "BOOL") => owned(&["true", "false"]),
        _ => None,
    }
}

fn has_name(argument: &Arg, name: &str) -> bool {
    let names = argument.get_value_names();
    names.is_some_and(|names| names.iter().any(|it| it == name))
}
