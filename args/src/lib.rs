//! How one setting is read.
//!
//! A setting arrives as text, from a flag, a variable or its default. It is
//! turned into a value here, and a problem is remembered instead of returned,
//! so that an operator sees every mistake of a configuration at once.

use std::ffi::OsStr;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::time::Duration;

use clap::{Args, Command};

/// Collects what is wrong with a configuration while it is being read.
#[derive(Debug, Default)]
pub struct ConfigErrors(Vec<String>);

impl ConfigErrors {
    /// Remembers one problem, told as a whole sentence that names the flag.
    pub fn add(&mut self, problem: impl Into<String>) {
        self.0.push(problem.into());
    }

    /// Whether this one is known.
    #[must_use]
    pub fn has(&self, problem: &str) -> bool {
        self.0.iter().any(|known| known == problem)
    }

    /// How many were found up to now.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// Reads one setting; a value that cannot be read is remembered and gives `None`.
    pub fn parse<T>(
        &mut self,
        flag: &str,
        raw: &str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        parse(raw)
            .map_err(|wrong| self.add(format!("--{flag}: `{raw}` {wrong}")))
            .ok()
    }

    /// Takes the value of what was read elsewhere; a problem is remembered and gives `None`.
    pub fn take<T>(&mut self, read: Result<T, String>) -> Option<T> {
        read.map_err(|problem| self.add(problem)).ok()
    }

    /// What was found wrong, in the order in which it was found.
    #[must_use]
    pub fn into_vec(self) -> Vec<String> {
        self.0
    }
}

/// Reads a duration with its unit, such as `5s`, `250ms` or `1m 30s`.
///
/// # Errors
///
/// Says what a duration looks like.
pub fn parse_duration(raw: &str) -> Result<Duration, String> {
    humantime::parse_duration(raw)
        .map_err(|_| "is not a duration with a unit, such as `5s`, `250ms` or `1m`".to_owned())
}

/// Reads a number of bytes with its unit, such as `256MiB`.
///
/// # Errors
///
/// Says what a size looks like.
pub fn parse_size(raw: &str) -> Result<u64, String> {
    const UNITS: [(&str, u64); 3] = [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];
    UNITS
        .iter()
        .find_map(|(unit, bytes)| {
            let count: u64 = raw.strip_suffix(unit)?.trim_end().parse().ok()?;
            count.checked_mul(*bytes)
        })
        .ok_or_else(|| {
            "is not a whole number with a unit, such as `512KiB`, `256MiB` or `1GiB`".to_owned()
        })
}

/// Reads a whole number within `range`.
///
/// # Errors
///
/// Says which numbers are accepted.
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

/// Reads `true` or `false`.
///
/// # Errors
///
/// Says that only these two are accepted.
pub fn parse_bool(raw: &str) -> Result<bool, String> {
    match raw {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err("is neither `true` nor `false`".to_owned()),
    }
}

/// The arguments as they are when nothing is given, whatever the environment says.
///
/// # Panics
///
/// Panics if an argument has neither a default nor is optional, which a unit
/// test of the module that declares the arguments shows at once.
#[must_use]
pub fn defaults<A: Args>() -> A {
    let command = A::augment_args(Command::new("defaults")).mut_args(|arg| arg.env(None::<&str>));
    command
        .try_get_matches_from(["defaults"])
        .and_then(|matches| A::from_arg_matches(&matches))
        .unwrap_or_else(|error| panic!("an argument without a default: {error}"))
}

/// A command for which a variable that is set to nothing is one that is not
/// set: deployment tools fill in templates that way.
#[must_use]
pub fn without_empty_variables(command: Command) -> Command {
    let is_empty = |name: &OsStr| std::env::var_os(name).is_some_and(|value| value.is_empty());
    command
        .mut_args(|arg| {
            if arg.get_env().is_some_and(is_empty) {
                arg.env(None::<&str>)
            } else {
                arg
            }
        })
        .mut_subcommands(without_empty_variables)
}

/// How many threads serve: what `TOKIO_WORKER_THREADS` says, else one for each
/// core that the process may use.
///
/// # Errors
///
/// If the variable holds no such number.
pub fn threads() -> Result<usize, String> {
    match std::env::var_os("TOKIO_WORKER_THREADS") {
        None => Ok(std::thread::available_parallelism().map_or(1, usize::from)),
        Some(raw) => {
            let raw = raw.to_string_lossy();
            let read = parse_number(1..=1024_usize)(&raw);
            read.map_err(|wrong| format!("TOKIO_WORKER_THREADS: `{raw}` {wrong}"))
        }
    }
}

/// The arguments as the environment has them, where they are no flags.
///
/// What clap cannot take is remembered and gives `None`.
#[must_use]
pub fn from_environment<A: Args>(problems: &mut ConfigErrors) -> Option<A> {
    let command = without_empty_variables(A::augment_args(Command::new("environment")));
    command
        .try_get_matches_from(["environment"])
        .and_then(|matches| A::from_arg_matches(&matches))
        .map_err(|error| problems.add(error.render().to_string().trim().to_owned()))
        .ok()
}
