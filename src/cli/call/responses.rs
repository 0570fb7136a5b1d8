//! Responses that come one after the other: how they are read and printed until the end
//! or a signal, and how the end is reported.

use std::io::{self, BufWriter, StdoutLock, Write};
use std::process::ExitCode;

use prost_reflect::MethodDescriptor;
use tokio::task::{spawn_blocking, yield_now};
use tonic::{Response, Status, Streaming};

use super::channel::Client;
use super::deadline::{Deadline, response};
use super::failure::Failure;
use super::report;
use crate::cli::signals::{FirstSignal, Signals};

/// Runs something until its end. The first signal is for it to notice; a second one also
/// ends the wait for the reader of the standard output.
pub(super) async fn run<F>(until_signal: impl FnOnce(FirstSignal) -> F) -> ExitCode
where
    F: Future<Output = ExitCode>,
{
    match Signals::listen() {
        Ok(signals) => {
            let ended = signals.run_until_second(until_signal).await;
            ended.unwrap_or_else(ExitCode::from)
        }
        Err(error) => {
            report(error);
            ExitCode::FAILURE
        }
    }
}

/// The responses of a call.
pub(super) struct Responses {
    responses: Streaming<Vec<u8>>,
    signal: FirstSignal,
    deadline: Deadline,
}

/// Why responses were not read to their end.
pub(super) enum Interruption {
    /// A signal, with its exit code.
    Signal(u8),
    Status(Box<Status>),
    Output(io::Error),
}

impl From<Status> for Interruption {
    fn from(status: Status) -> Self {
        Self::Status(Box::new(status))
    }
}

impl Responses {
    /// Waits for the first answer to a call.
    pub(super) async fn open(
        started: impl Future<Output = Result<Response<Streaming<Vec<u8>>>, Status>>,
        method: &MethodDescriptor,
        mut signal: FirstSignal,
        deadline: Deadline,
    ) -> Result<Self, Interruption> {
        let started = deadline.limit(response(method), started);
        let responses = unless_signalled(&mut signal, started).await?.into_inner();
        Ok(Self {
            responses,
            signal,
            deadline,
        })
    }

    /// The next response; none after the end.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<u8>>, Interruption> {
        let next = self.responses.message();
        let next = self.deadline.limit("the end of the responses", next);
        unless_signalled(&mut self.signal, next).await
    }

    /// Prints to the standard output, however slow its reader is. That happens on another
    /// thread, so that signals are noticed meanwhile.
    pub(super) async fn print(
        &mut self,
        write: impl FnOnce(&mut BufWriter<StdoutLock>) -> io::Result<()> + Send + 'static,
    ) -> Result<(), Interruption> {
        let printed = spawn_blocking(move || {
            let mut out = BufWriter::new(io::stdout().lock());
            write(&mut out).and_then(|()| out.flush())
        });
        let Err(error) = printed.await.map_err(io::Error::other).flatten() else {
            return Ok(());
        };
        // Ctrl-C also ends the reader of the lines. Its signal may have arrived before
        // this error without having been polled.
        yield_now().await;
        Err(match self.signal.try_recv() {
            Ok(code) => Interruption::Signal(code),
            Err(_) => Interruption::Output(error),
        })
    }
}

/// Waits for the gateway until the first signal.
async fn unless_signalled<T>(
    signal: &mut FirstSignal,
    waiting: impl Future<Output = Result<T, Status>>,
) -> Result<T, Interruption> {
    tokio::select! {
        biased;
        Ok(code) = signal => Err(Interruption::Signal(code)),
        result = waiting => Ok(result?),
    }
}

/// How the responses ended.
#[derive(Default)]
pub(super) struct End {
    pub code: u8,
    /// What was wrong here, not at the gateway.
    pub problem: Option<String>,
    failure: Option<Failure>,
}

impl End {
    pub(super) async fn new(read: Result<(), Interruption>, client: &Client) -> Self {
        let mut end = Self {
            code: 1,
            ..Self::default()
        };
        match read {
            Ok(()) => end.code = 0,
            Err(Interruption::Signal(code)) => end.code = code,
            Err(Interruption::Status(status)) => end.failure = Some(client.explain(*status).await),
            // The reader, such as `head`, needs no more lines.
            Err(Interruption::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => {}
            Err(Interruption::Output(error)) => {
                end.problem = Some(format!("the standard output: {error}"));
            }
        }
        end
    }

    /// Prints what was wrong to the standard error stream, and for people the summary.
    pub(super) fn print(self, method: &MethodDescriptor, is_json: bool, summary: &str) -> ExitCode {
        let text = if is_json {
            let problem = self.problem.map(Status::unknown).map(Failure::from);
            let failure = self.failure.or(problem);
            failure.map(|failure| failure.print(method, true))
        } else {
            self.problem.iter().for_each(report);
            let failure = self.failure.map(|failure| failure.print(method, false));
            Some(failure.unwrap_or_default() + summary)
        };
        let _ = io::stderr().write_all(text.unwrap_or_default().as_bytes());
        self.code.into()
    }
}
