//! The signals that end the process.

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

/// SIGTERM, and SIGINT, which is Ctrl-C.
#[derive(Debug)]
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

/// Tells of the first signal, by the exit code that a shell expects of a
/// process which it ended.
pub(crate) type First = oneshot::Receiver<u8>;

impl Signals {
    /// From this call on, a signal is noticed; until then it kills.
    pub(crate) fn listen() -> Result<Self, String> {
        let wait_for =
            |kind| signal(kind).map_err(|error| format!("cannot wait for signals: {error}"));
        Ok(Self {
            terminate: wait_for(SignalKind::terminate())?,
            interrupt: wait_for(SignalKind::interrupt())?,
        })
    }

    /// Runs what ends in good order when it is told of the first signal, and
    /// at once when a second one comes, whose exit code is the error.
    pub(crate) async fn until_second<F: Future>(
        mut self,
        run: impl FnOnce(First) -> F,
    ) -> Result<F::Output, u8> {
        let (tell, first) = oneshot::channel();
        let running = run(first);
        tokio::select! {
            // Who looks whether there was one must not be too early.
            biased;
            code = async {
                let _ = tell.send(self.next().await);
                self.next().await
            } => Err(code),
            output = running => Ok(output),
        }
    }

    async fn next(&mut self) -> u8 {
        let kind = tokio::select! {
            _ = self.terminate.recv() => SignalKind::terminate(),
            _ = self.interrupt.recv() => SignalKind::interrupt(),
        };
        u8::try_from(kind.as_raw_value()).map_or(u8::MAX, |number| 128 + number)
    }
}
