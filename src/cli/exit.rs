//! How the program reports a failed start, and with which exit code it ends.

use std::fmt::Display;
use std::io::{self, Write};
use std::process::ExitCode;

use super::misspelt;

/// The exit code of a wrong command line or variable: `EX_USAGE` of sysexits.
pub(super) const EXIT_USAGE: u8 = 64;

/// Why a server does not start.
#[derive(Debug)]
pub(super) enum StartupError {
    /// A setting has to be changed.
    Misconfigured(String),
    /// No setting is at fault.
    Failed(String),
}

impl From<String> for StartupError {
    fn from(problem: String) -> Self {
        Self::Failed(problem)
    }
}

/// Reports an error, if there is one, and gives the exit code.
pub(super) fn exit_code(result: Result<ExitCode, StartupError>) -> ExitCode {
    match result {
        Ok(code) => code,
        Err(StartupError::Misconfigured(problem)) => misconfigured(&[problem]),
        Err(StartupError::Failed(problem)) => {
            report(&problem);
            ExitCode::FAILURE
        }
    }
}

/// Reports every problem of a configuration.
pub(super) fn misconfigured(problems: &[String]) -> ExitCode {
    problems.iter().for_each(report);
    misspelt::in_environment().iter().for_each(warn);
    report("--help lists the flags");
    EXIT_USAGE.into()
}

/// Prints a problem.
pub(super) fn report(problem: impl Display) {
    let _ = writeln!(io::stderr(), "presence-gateway: {problem}");
}

/// Prints what is no error, but most likely a mistake.
pub(super) fn warn(problem: impl Display) {
    report(format_args!("warning: {problem}"));
}
