//! A watch of a running gateway: prints a line for each message.

use std::io::{self, Write};
use std::process::ExitCode;

use prost::Message;
use prost_reflect::{DynamicMessage, MethodDescriptor};
use tokio::task::{spawn_blocking, yield_now};
use tonic::{Request, Status};

use super::channel::{Client, path};
use super::codec::Raw;
use super::deadline::{Deadline, response};
use super::failure::Failure;
use super::json::to_json;
use super::report;
use crate::cli::signals::{FirstSignal, Signals};

/// Runs a watch until a signal or the gateway ends it. A second signal also ends the wait
/// for the reader of the standard output.
pub(super) async fn run(
    client: Client,
    method: &MethodDescriptor,
    request: Request<DynamicMessage>,
    deadline: Deadline,
    is_json: bool,
) -> ExitCode {
    let signals = match Signals::listen() {
        Ok(signals) => signals,
        Err(error) => {
            report(error);
            return ExitCode::FAILURE;
        }
    };
    let watch = |signal| run_until(signal, client, method, request, deadline, is_json);
    signals
        .run_until_second(watch)
        .await
        .unwrap_or_else(ExitCode::from)
}

/// Why a watch ended.
enum End {
    /// A signal, with its exit code.
    Signal(u8),
    Status(Box<Status>),
    Output(io::Error),
}

impl From<Status> for End {
    fn from(status: Status) -> Self {
        Self::Status(Box::new(status))
    }
}

async fn run_until(
    mut signal: FirstSignal,
    mut client: Client,
    method: &MethodDescriptor,
    request: Request<DynamicMessage>,
    deadline: Deadline,
    is_json: bool,
) -> ExitCode {
    let watched = watch(&mut client, method, request, &mut signal, deadline).await;
    match watched {
        Ok(()) => ExitCode::SUCCESS,
        Err(End::Signal(code)) => code.into(),
        Err(End::Status(status)) => {
            let failure: Failure = client.explain(*status).await;
            let _ = io::stderr().write_all(failure.print(method, is_json).as_bytes());
            ExitCode::FAILURE
        }
        // The reader, such as `head`, needs no more lines.
        Err(End::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::FAILURE,
        Err(End::Output(error)) => {
            report(format_args!("cannot write to the standard output: {error}"));
            ExitCode::FAILURE
        }
    }
}

async fn watch(
    client: &mut Client,
    method: &MethodDescriptor,
    request: Request<DynamicMessage>,
    signal: &mut FirstSignal,
    deadline: Deadline,
) -> Result<(), End> {
    let request = request.map(|request| request.encode_to_vec());
    let started = client.grpc.server_streaming(request, path(method)?, Raw);
    let started = deadline.limit(response(method), started);
    let mut responses = unless_signalled(signal, started).await?.into_inner();
    loop {
        let next = deadline.limit("the end of the watch", responses.message());
        let Some(message) = unless_signalled(signal, next).await? else {
            return Ok(());
        };
        let message = DynamicMessage::decode(method.output(), message.as_slice());
        let line = message
            .map_err(|error| error.to_string())
            .and_then(|message| to_json(&message, false).map_err(|error| error.to_string()));
        let line = line.map_err(|error| {
            Status::internal(format!("the response cannot be decoded: {error}"))
        })?;
        // On another thread, so that signals are noticed while a reader is slow.
        let printed = spawn_blocking(move || {
            let mut out = io::stdout().lock();
            writeln!(out, "{line}").and_then(|()| out.flush())
        });
        if let Err(error) = printed.await.map_err(io::Error::other).flatten() {
            // Ctrl-C also ends the reader of the lines.
            yield_now().await;
            return Err(match signal.try_recv() {
                Ok(code) => End::Signal(code),
                Err(_) => End::Output(error),
            });
        }
    }
}

/// Waits for the gateway until the first signal.
async fn unless_signalled<T>(
    signal: &mut FirstSignal,
    waiting: impl Future<Output = Result<T, Status>>,
) -> Result<T, End> {
    tokio::select! {
        biased;
        Ok(code) = signal => Err(End::Signal(code)),
        result = waiting => Ok(result?),
    }
}
