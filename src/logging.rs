//! The log: lines on the standard error stream.

use std::io::{self, IsTerminal};
use std::str::FromStr;

use tracing::level_filters::LevelFilter;
use tracing::{Level, Metadata};
use tracing_subscriber::filter::{EnvFilter, FilterExt, filter_fn};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt};

/// How the log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For machines: one object on each line.
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
    /// Text on a terminal, and JSON elsewhere, where a collector reads it.
    #[must_use]
    pub fn fitting() -> Self {
        if io::stderr().is_terminal() {
            Self::Text
        } else {
            Self::Json
        }
    }
}

/// Reads the filter of the log: `RUST_LOG`, without which it is `info`.
///
/// # Errors
///
/// If `RUST_LOG` cannot be read.
pub fn filter() -> Result<EnvFilter, String> {
    EnvFilter::builder()
        .with_default_directive(LevelFilter::INFO.into())
        .from_env()
        .map_err(|error| {
            format!("RUST_LOG: {error}; write it as `info` or `presence_gateway=debug`")
        })
}

/// Starts the log.
///
/// # Errors
///
/// If there is a log already.
pub fn start(format: LogFormat, filter: EnvFilter) -> Result<(), String> {
    let filter = filter.and(filter_fn(is_ours_or_harmless));
    let layer = fmt::layer().with_writer(io::stderr);
    let layer = match format {
        LogFormat::Text => {
            let colours = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
            layer.with_target(false).with_ansi(colours).boxed()
        }
        LogFormat::Json => layer.json().flatten_event(true).boxed(),
    };
    tracing_subscriber::registry()
        .with(layer.with_filter(filter))
        .try_init()
        .map_err(|error| error.to_string())
}

/// Lets the libraries' details through at no level: an HTTP library that
/// traces its headers or its URLs writes tokens and ids.
fn is_ours_or_harmless(metadata: &Metadata<'_>) -> bool {
    metadata.target().starts_with("presence_gateway") || *metadata.level() <= Level::INFO
}
