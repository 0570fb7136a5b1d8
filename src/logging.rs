//! The log, written to standard error.

#[cfg(test)]
pub(crate) mod captured;

use std::backtrace::{Backtrace, BacktraceStatus};
use std::env;
use std::io::{self, IsTerminal};
use std::panic::{self, PanicHookInfo};
use std::str::FromStr;

use tracing::level_filters::LevelFilter;
use tracing::{Level, Metadata};
use tracing_subscriber::filter::{FilterExt, ParseError, Targets, filter_fn};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt};

/// The format of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// Plain text, for people.
    Text,
    /// One JSON object per line, for machines.
    Json,
}

impl FromStr for LogFormat {
    type Err = String;

    fn from_str(raw: &str) -> Result<Self, String> {
        match raw {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err("is neither `text` nor `json`".to_owned()),
        }
    }
}

impl LogFormat {
    /// Text on a terminal; JSON otherwise, for a log collector.
    #[must_use]
    pub fn detect() -> Self {
        if io::stderr().is_terminal() {
            Self::Text
        } else {
            Self::Json
        }
    }
}

/// The log filter from `RUST_LOG`; `info` if it is not set.
///
/// # Errors
///
/// If `RUST_LOG` is malformed.
pub fn filter() -> Result<Targets, String> {
    parse(&env::var("RUST_LOG").unwrap_or_default()).map_err(|error| {
        format!("RUST_LOG: {error}; write it as `info` or `presence_gateway=debug`")
    })
}

/// Parses levels and modules, separated by commas.
fn parse(raw: &str) -> Result<Targets, String> {
    let parts: Vec<_> = raw
        .split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .collect();
    if parts.is_empty() {
        return Ok(Targets::new().with_default(LevelFilter::INFO));
    }
    // `Targets` would take `[span]=debug` for the name of a module.
    if let Some(part) = parts
        .iter()
        .find(|part| part.contains(['[', ']', '{', '}']))
    {
        return Err(format!("`{part}` is neither a level nor a module"));
    }
    parts
        .join(",")
        .parse()
        .map_err(|error: ParseError| error.to_string())
}

/// Installs the log and the panic hook.
///
/// # Errors
///
/// If a log is already installed.
pub fn start(format: LogFormat, filter: Targets) -> Result<(), String> {
    let filter = filter.and(filter_fn(is_allowed));
    let layer = fmt::layer().with_writer(io::stderr);
    let layer = match format {
        LogFormat::Text => {
            let colors = io::stderr().is_terminal() && env::var_os("NO_COLOR").is_none();
            layer.with_target(false).with_ansi(colors).boxed()
        }
        LogFormat::Json => layer.json().flatten_event(true).boxed(),
    };
    tracing_subscriber::registry()
        .with(layer.with_filter(filter))
        .try_init()
        .map_err(|error| error.to_string())?;
    panic::set_hook(Box::new(log_panic));
    Ok(())
}

/// Logs where a panic happened, and not its message, which may contain a token
/// or other caller data.
fn log_panic(panic: &PanicHookInfo<'_>) {
    // Contains only function names; captured if `RUST_BACKTRACE` is set.
    let backtrace = Backtrace::capture();
    let is_captured = backtrace.status() == BacktraceStatus::Captured;
    tracing::error!(
        place = panic.location().map(tracing::field::display),
        backtrace = is_captured.then(|| tracing::field::display(backtrace)),
        "panic: a bug in the gateway"
    );
}

/// Rejects debug and trace events of libraries at any filter level: an HTTP
/// library that logs headers or URLs would log tokens and ids.
fn is_allowed(metadata: &Metadata<'_>) -> bool {
    metadata.target().starts_with("presence_gateway") || *metadata.level() <= Level::INFO
}

#[cfg(test)]
mod tests {
    use super::captured::CapturedLog;
    use super::*;

    #[test]
    fn the_filter_has_levels_and_modules_and_is_info_by_default() {
        let accepted = [
            ("", "info"),
            (" , ", "info"),
            ("warn", "warn"),
            ("warn,", "warn"),
            ("presence_gateway=debug", "presence_gateway=debug"),
            (
                "warn, presence_gateway::cli=info",
                "presence_gateway::cli=info,warn",
            ),
            ("off", "off"),
            ("hyper", "hyper=trace"),
        ];
        for (raw, expected) in accepted {
            let parsed = parse(raw).map(|filter| filter.to_string());
            assert_eq!(parsed.as_deref(), Ok(expected), "{raw}");
        }
        for raw in ["a=b=c", "hyper=loud", "[call]=debug", "hyper[{id=1}]=debug"] {
            assert!(parse(raw).is_err(), "{raw}");
        }
    }

    #[test]
    fn a_panic_is_logged_once_with_its_location_and_without_its_message() {
        let written = CapturedLog::default();
        let log = fmt().json().with_writer(written.clone()).finish();
        let before = panic::take_hook();
        panic::set_hook(Box::new(log_panic));
        let caught = tracing::subscriber::with_default(log, || {
            panic::catch_unwind(|| panic!("{} of a caller", "secret"))
        });
        panic::set_hook(before);
        assert!(caught.is_err());
        let log = written.text();
        assert_eq!(log.lines().count(), 1, "{log}");
        assert!(log.contains("src/logging.rs:"), "{log}");
        assert!(!log.contains("secret"), "{log}");
    }
}
