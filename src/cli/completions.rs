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
    let script = String::from_utf8_lossy(&script);
    let script = match shell {
        aot::Shell::Bash => bash(&script, &command),
        aot::Shell::Zsh => zsh(&script),
        _ => script.into_owned() + &fish_positionals(&command),
    };
    match io::stdout().write_all(script.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report(format_args!("cannot write the script: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// The script for bash, with what the library leaves out.
fn bash(script: &str, command: &Command) -> String {
    // The arguments of a command are not completed if the program's name has a hyphen
    // (<https://github.com/clap-rs/clap/issues/6421>): two names differ.
    let script = script.replace("presence__subcmd__gateway", "presence__gateway");
    // bash splits `--flag=value` at the sign, so that the flag stands two words before.
    let mut script = script.replacen("    cmd=\"\"\n", &format!("{BASH_SIGN}    cmd=\"\"\n"), 1);
    for command in command.get_subcommands() {
        let values = positional_values(command);
        if !values.is_empty() {
            let values = values.join(" ");
            let once = BASH_ONCE.replace("VALUES", &values);
            script = script.replace(&format!(" {values}\"\n"), &format!("\"\n{once}"));
        }
    }
    script
}

/// Sets the flag and the value of `--flag=value`.
const BASH_SIGN: &str = r#"    if [[ "${COMP_WORDS[COMP_CWORD]}" == "=" ]]; then
        cur=""
        prev="${COMP_WORDS[COMP_CWORD-1]}"
    elif [[ "${prev}" == "=" && "${COMP_CWORD}" -ge 2 ]]; then
        prev="${COMP_WORDS[COMP_CWORD-2]}"
    fi
"#;

/// Offers the values of a positional argument until one is given, in any case.
const BASH_ONCE: &str = r#"            local given=" ${COMP_WORDS[*]:0:COMP_CWORD} " value values="VALUES"
            for value in ${values}; do
                if [[ "${given,,}" == *" ${value,,} "* ]]; then
                    values=""
                fi
            done
            opts="${opts} ${values}"
"#;

/// The script for zsh, in which flags are completed behind an argument of several values.
/// The library marks that with two colons, by which zsh drops the words before it; and
/// leaves its action empty, by which zsh completes nothing at all.
fn zsh(script: &str) -> String {
    let line = |line: &str| match line.strip_prefix("'*::") {
        Some(argument) => format!("'*:{}\n", argument.replace(":' \\", ":()' \\")),
        None => format!("{line}\n"),
    };
    script.lines().map(line).collect()
}

/// The values of positional arguments, which the library leaves out of fish's script
/// (<https://github.com/clap-rs/clap/issues/6295>), until one is given.
fn fish_positionals(command: &Command) -> String {
    let of_command = |command: &Command| {
        let values = positional_values(command).join(" ");
        let name = command.get_name();
        let is_command = format!("__fish_presence_gateway_using_subcommand {name}");
        // Where the values end, no file is meant.
        (!values.is_empty()).then(|| {
            format!(
                "complete -c presence-gateway -n \"{is_command}\" -f\n\
                 complete -c presence-gateway -n \"{is_command}; and not \
                 __fish_seen_subcommand_from {values}\" -a \"{values}\"\n"
            )
        })
    };
    command.get_subcommands().filter_map(of_command).collect()
}

/// The values that the positional arguments of a command can have.
fn positional_values(command: &Command) -> Vec<String> {
    let values = command.get_positionals().flat_map(Arg::get_possible_values);
    values.map(|it| it.get_name().to_owned()).collect()
}

/// Adds the values that arguments can have. The parser takes a text instead, so that
/// an error can say more than which values there are.
fn with_values(command: Command) -> Command {
    command
        .mut_args(|argument| match values(&argument) {
            Some(values) => argument.value_parser(PossibleValuesParser::new(values)),
            None if has_name(&argument, "FILE") => argument.value_hint(ValueHint::FilePath),
            None if has_name(&argument, "DIRECTORY") => argument.value_hint(ValueHint::DirPath),
            // No file: a number, an address, a name.
            None if argument.get_action().takes_values() => argument.value_hint(ValueHint::Other),
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
        _ => sandbox_values(argument),
    }
}

#[cfg(feature = "sandbox")]
fn sandbox_values(argument: &Arg) -> Option<Vec<String>> {
    crate::sandbox::choices(argument.get_long()?)
}

#[cfg(not(feature = "sandbox"))]
fn sandbox_values(_: &Arg) -> Option<Vec<String>> {
    None
}

fn has_name(argument: &Arg, name: &str) -> bool {
    let names = argument.get_value_names();
    names.is_some_and(|names| names.iter().any(|it| it == name))
}
