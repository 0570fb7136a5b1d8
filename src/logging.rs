//! The log: lines on the standard error stream.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::io::{self, IsTerminal};
use std::panic::{self, PanicHookInfo};
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
        .map_err(|error| error.to_string())?;
    panic::set_hook(Box::new(tell_panic));
    Ok(())
}

/// Writes where a panic was, and not what it says: that may show anything
/// that the code knew, such as a token.
fn tell_panic(panic: &PanicHookInfo<'_>) {
    // Names of functions alone; taken where `RUST_BACKTRACE` asks for it.
    let backtrace = Backtrace::capture();
    let is_taken = backtrace.status() == BacktraceStatus::Captured;
    tracing::error!(
        place = panic.location().map(tracing::field::display),
        backtrace = is_taken.then(|| tracing::field::display(backtrace)),
        "a panic, which is a fault of the gateway's"
    );
}

/// Lets the libraries' details through at no level: an HTTP library that
/// traces its headers or its URLs writes tokens and ids.
fn is_ours_or_harmless(metadata: &Metadata<'_>) -> bool {
    metadata.target().starts_with("presence_gateway") || *metadata.level() <= Level::INFO
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use parking_lot::Mutex;

    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_panic_is_logged_once_with_its_place_and_without_its_words() {
        let written = Written::default();
        let log = written.clone();
        let log = fmt().json().with_writer(move || log.clone()).finish();
        let before = panic::take_hook();
        panic::set_hook(Box::new(tell_panic));
        let caught = tracing::subscriber::with_default(log, || {
            panic::catch_unwind(|| panic!("{} of a caller", "secret"))
        });
        panic::set_hook(before);
        assert!(caught.is_err());
        let log = String::from_utf8(written.0.lock().clone()).unwrap();
        assert_eq!(log.lines().count(), 1, "{log}");
        assert!(log.contains("src/logging.rs:"), "{log}");
        assert!(!log.contains("secret"), "{log}");
    }
}
