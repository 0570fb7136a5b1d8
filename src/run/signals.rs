//! The signals that end the process.

use tokio::signal::unix::{Signal, SignalKind, signal};

/// SIGTERM, and SIGINT, which is Ctrl-C.
#[derive(Debug)]
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// From this call on, a signal is noticed; until then it kills.
    pub(super) fn listen() -> Result<Self, String> {
        let wait_for =
            |kind| signal(kind).map_err(|error| format!("cannot wait for signals: {error}"));
        Ok(Self {
            terminate: wait_for(SignalKind::terminate())?,
            interrupt: wait_for(SignalKind::interrupt())?,
        })
    }

    /// Waits for the next one; gives the exit code that a shell expects of a
    /// process which it ended.
    pub(super) async fn next(&mut self) -> u8 {
        let kind = tokio::select! {
            _ = self.terminate.recv() => SignalKind::terminate(),
            _ = self.interrupt.recv() => SignalKind::interrupt(),
        };
        u8::try_from(kind.as_raw_value()).map_or(u8::MAX, |number| 128 + number)
    }
}
