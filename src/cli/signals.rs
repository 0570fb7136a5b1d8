//! The signals that end the process.

use std::process::ExitCode;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

/// SIGTERM, and SIGINT, which Ctrl-C sends.
#[derive(Debug)]
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

/// Resolves at the first signal, to the exit code that a shell expects of a
/// process that this signal ended.
pub(super) type FirstSignal = oneshot::Receiver<u8>;

/// The exit code for SIGINT.
const INTERRUPTED: u8 = 130;

/// The signal that shuts a server down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ShutdownSignal {
    /// SIGTERM.
    Terminate,
    /// SIGINT.
    Interrupt,
}

impl Signals {
    /// Installs the handlers. Before this call a signal kills the process.
    pub(super) fn listen() -> Result<Self, String> {
        let handle = |kind| signal(kind).map_err(|error| format!("cannot handle signals: {error}"));
        Ok(Self {
            terminate: handle(SignalKind::terminate())?,
            interrupt: handle(SignalKind::interrupt())?,
        })
    }

    /// Runs a server, which shuts down gracefully at the first signal. A second
    /// signal stops it at once.
    pub(super) async fn run_server<F: Future<Output = ()>>(
        self,
        serve: impl FnOnce(BoxFuture<'static, ShutdownSignal>) -> F,
    ) -> ExitCode {
        let shutdown = |code| match code {
            Ok(INTERRUPTED) => ShutdownSignal::Interrupt,
            _ => ShutdownSignal::Terminate,
        };
        let serve = |first: FirstSignal| serve(first.map(shutdown).boxed());
        match self.run_until_second(serve).await {
            Ok(()) => ExitCode::SUCCESS,
            Err(code) => code.into(),
        }
    }

    /// Runs a future, which may end gracefully at the first signal. A second signal
    /// stops it at once; the error is that signal's exit code.
    pub(super) async fn run_until_second<F: Future>(
        mut self,
        run: impl FnOnce(FirstSignal) -> F,
    ) -> Result<F::Output, u8> {
        let (send, first) = oneshot::channel();
        let running = run(first);
        tokio::select! {
            // Signals first, so that the future sees one that has arrived.
            biased;
            code = async {
                let _ = send.send(self.next().await);
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
