//! Parsers of settings, and the errors they find.
//!
//! A setting is a text, from a flag, a variable or its default. Errors are
//! collected instead of returned, so that an operator sees all of them at once.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::time::Duration;

use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Args, Command, FromArgMatches};

/// The errors of a configuration, in the order in which they were found.
#[derive(Debug, Default)]
pub struct ConfigErrors(Vec<String>);

impl ConfigErrors {
    /// Adds an error, once: a whole sentence that names the flag.
    pub fn add(&mut self, error: impl Into<String>) {
        let error = error.into();
        if !self.0.contains(&error) {
            self.0.push(error);
        }
    }

    /// The number of errors up to now.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// Parses the value of a flag; a wrong one is an error and gives `None`.
    pub fn parse<T>(
        &mut self,
        flag: &str,
        raw: &str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        self.parse_as(&format!("--{flag}"), raw, parse)
    }

    /// Parses the value of a setting that was given as `name`: a flag or a variable.
    pub fn parse_as<T>(
        &mut self,
        name: &str,
        raw: &str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        parse(raw)
            .map_err(|wrong| self.add(format!("{name}: `{raw}` {wrong}")))
            .ok()
    }

    /// Takes the value of a result; its error is added and gives `None`.
    pub fn take<T>(&mut self, result: Result<T, String>) -> Option<T> {
        result.map_err(|error| self.add(error)).ok()
    }

    /// Takes the value of a result; its errors are added and give `None`.
    pub fn take_all<T>(&mut self, result: Result<T, Vec<String>>) -> Option<T> {
        let add = |errors: Vec<String>| errors.into_iter().for_each(|error| self.add(error));
        result.map_err(add).ok()
    }

    /// The errors.
    #[must_use]
    pub fn into_vec(self) -> Vec<String> {
        self.0
    }
}

/// Parses a duration with its unit, for example `5s`, `250ms` or `1m 30s`.
///
/// # Errors
///
/// If it is no duration. The text completes a sentence about the value.
pub fn parse_duration(raw: &str) -> Result<Duration, String> {
    humantime::parse_duration(raw)
        .map_err(|_| "is not a duration with a unit, for example `5s`, `250ms` or `1m`".to_owned())
}

/// Parses a number of bytes with its unit, for example `256MiB`.
///
/// # Errors
///
/// If it is no size. The text completes a sentence about the value.
pub fn parse_size(raw: &str) -> Result<u64, String> {
    const UNITS: [(&str, u64); 3] = [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];
    UNITS
        .iter()
        .find_map(|(unit, bytes)| {
            let count: u64 = raw.strip_suffix(unit)?.trim_end().parse().ok()?;
            count.checked_mul(*bytes)
        })
        .ok_or_else(|| {
            "is not a whole number with a unit, for example `512KiB`, `256MiB` or `1GiB`".to_owned()
        })
}

/// Parses a whole number within `range`.
///
/// # Errors
///
/// If it is no such number. The text names the range.
pub fn parse_number<T>(range: RangeInclusive<T>) -> impl FnOnce(&str) -> Result<T, String>
where
    T: std::str::FromStr + PartialOrd + Display,
{
    move |raw| {
        raw.parse()
            .ok()
            .filter(|value| range.contains(value))
            .ok_or_else(|| {
                format!(
                    "is not a whole number from {} to {}",
                    range.start(),
                    range.end()
                )
            })
    }
}

/// Parses `true` or `false`.
///
/// # Errors
///
/// If it is neither.
pub fn parse_bool(raw: &str) -> Result<bool, String> {
    match raw {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err("is neither `true` nor `false`".to_owned()),
    }
}

/// The defaults of the arguments. Ignores the environment.
///
/// # Panics
///
/// If a required argument has no default. A unit test of the module that
/// declares the arguments shows this.
#[must_use]
pub fn defaults<A: Args>() -> A {
    let command = A::augment_args(Command::new("defaults")).mut_args(|arg| arg.env(None::<&str>));
    command
        .try_get_matches_from(["defaults"])
        .and_then(|matches| A::from_arg_matches(&matches))
        .unwrap_or_else(|error| panic!("an argument without a default: {error}"))
}

/// Makes a command treat an empty variable as one that is not set: deployment
/// tools fill in templates that way. One that is not UTF-8 counts as unset too, and is
/// an error of [`not_utf8`].
#[must_use]
pub fn without_unusable_variables(command: Command) -> Command {
    let is_unusable = |name: &OsStr| {
        let value = std::env::var_os(name);
        value.is_some_and(|value| value.is_empty() || value.to_str().is_none())
    };
    command
        .mut_args(|arg| {
            if arg.get_env().is_some_and(is_unusable) {
                arg.env(None::<&str>)
            } else {
                arg
            }
        })
        .mut_subcommands(without_unusable_variables)
}

/// The errors of variables of a command whose values are not UTF-8.
#[must_use]
pub fn not_utf8(command: &Command) -> Vec<String> {
    let names = command.get_arguments().filter_map(Arg::get_env);
    let wrong =
        names.filter(|name| std::env::var_os(name).is_some_and(|value| value.to_str().is_none()));
    wrong
        .map(|name| format!("{}: the value is not UTF-8", name.to_string_lossy()))
        .collect()
}

/// The arguments whose values come from variables, so that an error can name these.
///
/// Flattened into a struct of arguments, as its first field: an argument that a field
/// has taken is not known any more.
#[derive(Debug, Clone, Default)]
pub struct FromVariables(BTreeSet<String>);

impl FromVariables {
    /// Whether the argument with this id, the name of its field, is one of them.
    #[must_use]
    pub fn contains(&self, id: &str) -> bool {
        self.0.contains(id)
    }
}

impl FromArgMatches for FromVariables {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let ids = matches.ids().map(clap::Id::as_str);
        let ids = ids.filter(|id| matches.value_source(id) == Some(ValueSource::EnvVariable));
        Ok(Self(ids.map(str::to_owned).collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Args for FromVariables {
    fn augment_args(command: Command) -> Command {
        command
    }

    fn augment_args_for_update(command: Command) -> Command {
        command
    }
}

/// Parses the arguments from the environment alone. An error from clap is added
/// and gives `None`.
#[must_use]
pub fn from_environment<A: Args>(errors: &mut ConfigErrors) -> Option<A> {
    let command = A::augment_args(Command::new("environment"));
    for error in not_utf8(&command) {
        errors.add(error);
    }
    without_unusable_variables(command)
        .try_get_matches_from(["environment"])
        .and_then(|matches| A::from_arg_matches(&matches))
        .map_err(|error| errors.add(error.render().to_string().trim().to_owned()))
        .ok()
}
