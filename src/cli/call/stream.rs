//! A stream to a running gateway: sends ids, and prints a line for each.

mod lines;
mod progress;

use std::future::ready;
use std::io::{self, BufWriter, Write};
use std::process::ExitCode;
use std::sync::Arc;

use futures_util::stream::{self, Stream, StreamExt};
use indicatif::ProgressBar;
use parking_lot::Mutex;
use prost::Message;
use prost_reflect::{DynamicMessage, MethodDescriptor, Value};
use tokio::task::{spawn_blocking, yield_now};
use tonic::{Request, Status};

use super::channel::{Client, path};
use super::codec::Raw;
use super::deadline::{Deadline, response};
use super::failure::Failure;
use super::id_reader::IdReader;
use super::report;
use crate::cli::signals::{FirstSignal, Signals};
use crate::proto::v1::StreamUsersPresenceBulkResponse;
use progress::Progress;

/// The error of reading the ids, which ends the stream.
type IdError = Arc<Mutex<Option<io::Error>>>;

/// Runs a stream: sends the ids of `request`, then those of `ids`. Prints the
/// results to the standard output, and the final counts to the standard error
/// stream; if that is a terminal, the progress as well. For programs, `is_json`,
/// the standard error stream gets nothing but an error.
///
/// The first signal ends the stream. A second one also ends the wait for the
/// reader of the standard output.
pub(super) async fn run(
    client: Client,
    method: &MethodDescriptor,
    request: Request<DynamicMessage>,
    ids: Option<IdReader>,
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
    let stream = |signal| run_until(signal, client, method, request, ids, deadline, is_json);
    signals
        .run_until_second(stream)
        .await
        .unwrap_or_else(ExitCode::from)
}

async fn run_until(
    signal: FirstSignal,
    mut client: Client,
    method: &MethodDescriptor,
    request: Request<DynamicMessage>,
    ids: Option<IdReader>,
    deadline: Deadline,
    is_json: bool,
) -> ExitCode {
    let mut progress = Progress::new(ids.as_ref().and_then(|ids| ids.total), !is_json);
    let (metadata, extensions, first) = request.into_parts();
    let id_error = IdError::default();
    let messages = messages(method, &first, ids, Arc::clone(&id_error));
    let request = Request::from_parts(metadata, extensions, messages);
    let limits = (signal, deadline);
    let received = receive(&mut client, method, request, limits, &mut progress).await;
    progress.finish();

    let mut problem = id_error
        .lock()
        .take()
        .map(|error| format!("--ids: {error}"));
    let mut code = u8::from(progress.counts.failed > 0 || problem.is_some());
    let (mut failure, mut rest) = (None, "");
    match received {
        Ok(()) => {}
        Err(StreamError::Signal(number)) => {
            rest = "; interrupted: the other ids were not sent or not answered";
            code = number;
        }
        Err(StreamError::Status(status)) => {
            failure = Some(client.explain(*status).await);
            code = 1;
        }
        // The reader, such as `head`, needs no more lines.
        Err(StreamError::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => code = 1,
        Err(StreamError::Output(error)) => {
            problem = Some(format!("the standard output: {error}"));
            code = 1;
        }
    }
    if is_json {
        let problem = problem.map(|problem| Failure::from(Status::unknown(problem)));
        if let Some(failure) = failure.or(problem) {
            eprint(&failure.print(method, true));
        }
    } else {
        problem.iter().for_each(report);
        let failure = failure.map(|failure| failure.print(method, false));
        eprint(&format!(
            "{}{progress}{rest}\n",
            failure.unwrap_or_default()
        ));
    }
    code.into()
}

fn eprint(text: &str) {
    let _ = io::stderr().write_all(text.as_bytes());
}

/// Why a stream was not read to its end.
enum StreamError {
    /// A signal, with its exit code.
    Signal(u8),
    Status(Box<Status>),
    Output(io::Error),
}

impl From<Status> for StreamError {
    fn from(status: Status) -> Self {
        Self::Status(Box::new(status))
    }
}

/// The messages to send: the request, then the ids.
fn messages(
    method: &MethodDescriptor,
    first: &DynamicMessage,
    ids: Option<IdReader>,
    id_error: IdError,
) -> impl Stream<Item = Vec<u8>> + Send + use<> {
    let empty = DynamicMessage::new(method.input());
    let first = stream::once(ready(first.encode_to_vec()));
    first.chain(stream::unfold(ids, move |mut ids| {
        let (mut message, id_error) = (empty.clone(), Arc::clone(&id_error));
        async move {
            match ids.as_mut()?.next().await? {
                Ok(next) => {
                    let next = next.into_iter().map(Value::String).collect();
                    message.set_field_by_name("ids", Value::List(next));
                    Some((message.encode_to_vec(), ids))
                }
                Err(error) => {
                    *id_error.lock() = Some(error);
                    None
                }
            }
        }
    }))
}

/// Sends the messages, and prints each response.
async fn receive(
    client: &mut Client,
    method: &MethodDescriptor,
    request: Request<impl Stream<Item = Vec<u8>> + Send + 'static>,
    (mut signal, deadline): (FirstSignal, Deadline),
    progress: &mut Progress,
) -> Result<(), StreamError> {
    let started = client.grpc.streaming(request, path(method)?, Raw);
    let started = deadline.limit(response(method), started);
    let mut responses = unless_signalled(&mut signal, started).await?.into_inner();
    loop {
        let next = deadline.limit("the end of the stream", responses.message());
        let Some(response) = unless_signalled(&mut signal, next).await? else {
            return Ok(());
        };
        let undecodable = |error: prost::DecodeError| {
            Status::internal(format!("the response cannot be decoded: {error}"))
        };
        // Decoded twice: once for the counts, and once with the fields that
        // this version does not know, which are printed as well.
        let counts =
            StreamUsersPresenceBulkResponse::decode(response.as_slice()).map_err(undecodable)?;
        let response =
            DynamicMessage::decode(method.output(), response.as_slice()).map_err(undecodable)?;
        if let Err(error) = print(response, progress.bar()).await {
            // Ctrl-C also ends the reader of the lines. Its signal may have
            // arrived before this error without having been polled.
            yield_now().await;
            return Err(match signal.try_recv() {
                Ok(code) => StreamError::Signal(code),
                Err(_) => StreamError::Output(error),
            });
        }
        progress.update(&counts);
    }
}

/// Waits for the gateway until the first signal.
async fn unless_signalled<T>(
    signal: &mut FirstSignal,
    waiting: impl Future<Output = Result<T, Status>>,
) -> Result<T, StreamError> {
    tokio::select! {
        biased;
        Ok(code) = signal => Err(StreamError::Signal(code)),
        result = waiting => Ok(result?),
    }
}

/// Prints the lines of a response, all of them, however slow their reader is.
/// That happens on another thread, so that signals are noticed meanwhile.
async fn print(response: DynamicMessage, bar: ProgressBar) -> io::Result<()> {
    let printed = spawn_blocking(move || {
        let mut out = BufWriter::new(io::stdout().lock());
        bar.suspend(|| lines::write_lines(&mut out, &response))
    });
    printed.await.map_err(io::Error::other)?
}
