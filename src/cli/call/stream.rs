//! A stream to a running gateway: sends ids, and prints a line for each.

mod lines;
mod progress;

use std::future::ready;
use std::io;
use std::process::ExitCode;
use std::sync::Arc;

use futures_util::stream::{self, Stream, StreamExt};
use parking_lot::Mutex;
use prost::Message;
use prost_reflect::{DynamicMessage, MethodDescriptor, Value};
use tonic::{Request, Status};

use super::channel::{Client, path};
use super::codec::Raw;
use super::deadline::Deadline;
use super::id_reader::IdReader;
use super::responses::{self, End, Interruption, Responses};
use crate::cli::signals::FirstSignal;
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
    let stream = |signal| run_until(signal, client, method, request, ids, deadline, is_json);
    responses::run(stream).await
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

    let rest = match received {
        Err(Interruption::Signal(_)) => {
            "; interrupted: the other ids were not sent or not answered"
        }
        _ => "",
    };
    let mut end = End::new(received, &client).await;
    let id_error = id_error.lock().take();
    let problem = id_error.map(|error| format!("--ids: {error}"));
    if end.code == 0 && (progress.counts.failed > 0 || problem.is_some()) {
        end.code = 1;
    }
    end.problem = end.problem.or(problem);
    end.print(method, is_json, &format!("{progress}{rest}\n"))
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

/// Sends the messages, and prints the lines of each response.
async fn receive(
    client: &mut Client,
    method: &MethodDescriptor,
    request: Request<impl Stream<Item = Vec<u8>> + Send + 'static>,
    (signal, deadline): (FirstSignal, Deadline),
    progress: &mut Progress,
) -> Result<(), Interruption> {
    let started = client.grpc.streaming(request, path(method)?, Raw);
    let mut responses = Responses::open(started, method, signal, deadline).await?;
    while let Some(response) = responses.next().await? {
        let undecodable = |error: prost::DecodeError| {
            Status::internal(format!("the response cannot be decoded: {error}"))
        };
        // Decoded twice: once for the counts, and once with the fields that
        // this version does not know, which are printed as well.
        let counts =
            StreamUsersPresenceBulkResponse::decode(response.as_slice()).map_err(undecodable)?;
        let response =
            DynamicMessage::decode(method.output(), response.as_slice()).map_err(undecodable)?;
        let bar = progress.bar();
        responses
            .print(move |out| bar.suspend(|| lines::write_lines(out, &response)))
            .await?;
        progress.update(&counts);
    }
    Ok(())
}
