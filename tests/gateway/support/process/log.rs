//! The log of a process.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex, MutexGuard};

/// Timeout for a log line or an end that must come.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The lines that a process wrote to standard error. A clone shares them.
#[derive(Debug, Clone, Default)]
pub struct Log(Arc<(Mutex<Written>, Condvar)>);

#[derive(Debug, Default)]
struct Written {
    lines: Vec<String>,
    /// Whether no line can follow.
    is_complete: bool,
}

impl Log {
    pub fn lines(&self) -> Vec<String> {
        self.0.0.lock().lines.clone()
    }

    pub(super) fn push(&self, line: String) {
        self.0.0.lock().lines.push(line);
        self.0.1.notify_all();
    }

    pub(super) fn end(&self) {
        self.0.0.lock().is_complete = true;
        self.0.1.notify_all();
    }

    /// Blocks until a condition holds for the lines; panics with `what` after the
    /// timeout, or if the process ends before.
    pub fn wait_until(&self, what: &str, condition: impl Fn(&[String]) -> bool) {
        let mut written = self.0.0.lock();
        while !condition(&written.lines) {
            assert!(
                !written.is_complete,
                "the process ended before {what}: {:#?}",
                written.lines
            );
            self.wait(&mut written, what);
        }
    }

    /// Blocks until no line can follow.
    pub(super) fn wait_for_end(&self) {
        let mut written = self.0.0.lock();
        while !written.is_complete {
            self.wait(&mut written, "the end of the log");
        }
    }

    /// Waits for a change.
    fn wait(&self, written: &mut MutexGuard<'_, Written>, what: &str) {
        let wait = self.0.1.wait_until(written, Instant::now() + TIMEOUT);
        assert!(
            !wait.timed_out(),
            "timed out waiting for {what}: {:#?}",
            written.lines
        );
    }
}
