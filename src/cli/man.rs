//! The command `man`: the manual pages, made of the help.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use clap::{Arg, Command};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, italic, roman};
use jiff::Timestamp;

use super::exit::report;

/// Writes a page for the program and one for each of its commands.
pub(super) fn write(command: Command, directory: &Path) -> ExitCode {
    let mut command = command
        .disable_help_subcommand(true)
        .mut_subcommands(|command| command.mut_args(without_possible_values));
    command.build();
    let commands = command.get_subcommands().chain([&command]);
    let written = fs::create_dir_all(directory).and_then(|()| {
        for page in commands {
            write_page(page, &command, directory)?;
        }
        Ok(())
    });
    match written {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let directory = directory.display();
            report(format_args!("cannot write pages to `{directory}`: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// Hides the list of the values that an argument can have, if it has values.
fn without_possible_values(argument: Arg) -> Arg {
    let has_values = argument.get_action().takes_values();
    argument.hide_possible_values(has_values)
}

fn write_page(command: &Command, program: &Command, directory: &Path) -> io::Result<()> {
    let is_program = command.get_name() == program.get_name();
    let page = Man::new(command.clone())
        .date(date())
        .source(concat!("presence-gateway ", env!("CARGO_PKG_VERSION")))
        .manual("User Commands");
    let mut file = File::create(directory.join(page.get_filename()))?;
    page.render_title(&mut file)?;
    page.render_name_section(&mut file)?;
    let mut synopsis = Roff::default();
    add_synopsis(&mut synopsis, command);
    synopsis.to_writer(&mut file)?;
    page.render_description_section(&mut file)?;
    page.render_options_section(&mut file)?;
    if is_program {
        page.render_subcommands_section(&mut file)?;
    }
    let mut rest = Roff::default();
    add_notes(&mut rest, command);
    add_references(&mut rest, is_program, program);
    rest.to_writer(&mut file)?;
    file.flush()
}

/// The day on which the pages are made, or that of `SOURCE_DATE_EPOCH`, by which builds
/// are reproducible (<https://reproducible-builds.org/specs/source-date-epoch/>).
fn date() -> String {
    let given = std::env::var("SOURCE_DATE_EPOCH").ok();
    let given = given.and_then(|it| Timestamp::from_second(it.parse().ok()?).ok());
    let time = given.unwrap_or_else(Timestamp::now);
    time.strftime("%Y-%m-%d").to_string()
}

/// Adds the synopsis. That of the library lacks the values of flags.
fn add_synopsis(page: &mut Roff, command: &Command) {
    let mut line = vec![bold(
        command.get_bin_name().unwrap_or_else(|| command.get_name()),
    )];
    for flag in command.get_arguments().filter(|it| !it.is_positional()) {
        let ((Some(name), _) | (None, Some(name))) = (
            flag.get_long().map(|long| format!("--{long}")),
            flag.get_short().map(|short| format!("-{short}")),
        ) else {
            continue;
        };
        line.extend([roman(" ["), bold(name)]);
        let value = flag.get_value_names().and_then(|names| names.first());
        if let Some(value) = value.filter(|_| flag.get_action().takes_values()) {
            let (before, after) = if flag.is_require_equals_set() {
                ("[=", "]")
            } else {
                (" ", "")
            };
            line.extend([roman(before), italic(value.as_str()), roman(after)]);
        }
        line.push(roman("]"));
    }
    for argument in command.get_positionals() {
        let name = argument.get_value_names().and_then(|names| names.first());
        let name = name.map_or(argument.get_id().as_str(), |name| name.as_str());
        let (before, after) = if argument.is_required_set() {
            (" ", "")
        } else {
            (" [", "]")
        };
        line.extend([roman(before), italic(name), roman(after)]);
    }
    if command.has_subcommands() {
        line.extend([roman(" "), italic("command")]);
    }
    page.control("SH", ["SYNOPSIS"]).text(line);
}

/// Adds the text below the flags. Lines that are indented, such as examples, stand as
/// they are; the others are filled to the width of the terminal.
fn add_notes(page: &mut Roff, command: &Command) {
    let notes = command.get_after_long_help();
    let Some(notes) = notes.or_else(|| command.get_after_help()) else {
        return;
    };
    page.control("SH", ["NOTES"]);
    let mut is_filled = true;
    for line in notes.to_string().lines() {
        let is_text = !line.starts_with(' ');
        if line.is_empty() {
            page.control("PP", []);
            continue;
        }
        if is_text != is_filled {
            page.control(if is_text { "fi" } else { "nf" }, []);
            is_filled = is_text;
        }
        page.text([roman(line)]);
    }
    if !is_filled {
        page.control("fi", []);
    }
}

fn add_references(page: &mut Roff, is_program: bool, program: &Command) {
    let name = program.get_name();
    let pages: Vec<String> = if is_program {
        let commands = program.get_subcommands();
        commands
            .map(|it| format!("{name}-{}", it.get_name()))
            .collect()
    } else {
        vec![name.to_owned()]
    };
    page.control("SH", ["SEE ALSO"]);
    let last = pages.len() - 1;
    for (index, page_name) in pages.into_iter().enumerate() {
        let end = if index == last { "(1)" } else { "(1), " };
        page.text([bold(page_name), roman(end)]);
    }
}
