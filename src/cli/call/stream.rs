//! One stream to a running gateway: ids in, a line of JSON out for each.

use std::io::{self, BufWriter, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream;
use indicatif::{ProgressBar, ProgressStyle};
use parking_lot::Mutex;
use prost::Message;
use prost_reflect::{DynamicMessage, MethodDescriptor, Value};
use tokio::task::{spawn_blocking, yield_now};
use tonic::transport::Channel;
use tonic::{Code, Request, Status};

use super::deadline::{ANSWER, Deadline};
use super::ids::Ids;
use super::{codec, grpc, json, path, told};
use crate::cli::signals::{FirstSignal, Signals};
use crate::error;
use crate::proto::v1::StreamUsersPresenceBulkResponse;

/// How often the bar of a stream is drawn anew that makes no progress.
const TICK: Duration = Duration::from_millis(200);

/// What the first message is made of, and when the last answer must be there.
type Call = (Request<DynamicMessage>, Deadline);

/// Where a file of ids could not be read, which ends the stream.
type Unread = Arc<Mutex<Option<io::Error>>>;

/// Streams the ids, after what `request` has, and writes what comes of each to
/// the standard output; the progress goes to the standard error stream, where
/// that is a terminal, and what it came to in any case. A signal ends the
/// stream, and a second one the wait for whoever reads the standard output.
pub(super) async fn call(
    channel: Channel,
    method: &MethodDescriptor,
    call: Call,
    ids: Option<Ids>,
    is_secure: bool,
) -> ExitCode {
    let signals = match Signals::listen() {
        Ok(signals) => signals,
        Err(error) => {
            let _ = writeln!(io::stderr(), "presence-gateway call: {error}");
            return ExitCode::FAILURE;
        }
    };
    let stream = |first| stream(channel, method, call, ids, is_secure, first);
    signals
        .run_until_second(stream)
        .await
        .unwrap_or_else(ExitCode::from)
}

async fn stream(
    channel: Channel,
    method: &MethodDescriptor,
    (request, deadline): Call,
    ids: Option<Ids>,
    is_secure: bool,
    signal: FirstSignal,
) -> ExitCode {
    let (metadata, extensions, first) = request.into_parts();
    let bar = bar(ids.as_ref().and_then(|ids| ids.total));
    let unread = Unread::default();
    let messages = messages(method, &first, ids, Arc::clone(&unread));
    let request = Request::from_parts(metadata, extensions, messages);
    let mut tally = Tally::default();
    let limits = (signal, deadline);
    let ended = read(channel, method, request, limits, &bar, &mut tally).await;
    bar.finish_and_clear();
    let unread = unread.lock().take();
    let mut told = String::new();
    let mut code = u8::from(tally.failed > 0);
    if let Some(error) = unread {
        told = format!("presence-gateway call: --ids: {error}\n");
        code = 1;
    }
    let mut rest = "";
    match ended {
        Ok(()) => {}
        Err(Stop::Signal(number)) => {
            rest = "; interrupted: the rest was not asked, or not answered";
            code = number;
        }
        Err(Stop::Status(status)) => {
            told.push_str(&told::told(&super::lost(*status, is_secure)));
            code = 1;
        }
        // Whoever reads it has enough.
        Err(Stop::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => code = 1,
        Err(Stop::Output(error)) => {
            told = format!("presence-gateway call: the standard output: {error}\n");
            code = 1;
        }
    }
    let Tally {
        done,
        missing,
        failed,
    } = tally;
    let _ = writeln!(
        io::stderr(),
        "{told}{done} done, {missing} missing, {failed} failed{rest}"
    );
    code.into()
}

/// What became of the ids.
#[derive(Debug, Default)]
struct Tally {
    done: i64,
    missing: i64,
    failed: i64,
}

/// Why a stream was not read to its end.
enum Stop {
    /// With the exit code that fits it.
    Signal(u8),
    Status(Box<Status>),
    Output(io::Error),
}

impl From<Status> for Stop {
    fn from(status: Status) -> Self {
        Self::Status(Box::new(status))
    }
}

/// The messages to send: what the request has, and then the ids.
fn messages(
    method: &MethodDescriptor,
    first: &DynamicMessage,
    ids: Option<Ids>,
    unread: Unread,
) -> impl stream::Stream<Item = Vec<u8>> + Send + use<> {
    let empty = DynamicMessage::new(method.input());
    let first = Some(first.encode_to_vec());
    stream::unfold((first, ids), move |(first, mut ids)| {
        let (mut message, unread) = (empty.clone(), Arc::clone(&unread));
        async move {
            if let Some(first) = first {
                return Some((first, (None, ids)));
            }
            match ids.as_mut()?.next().await? {
                Ok(next) => {
                    let next = next.into_iter().map(Value::String).collect();
                    message.set_field_by_name("ids", Value::List(next));
                    Some((message.encode_to_vec(), (None, ids)))
                }
                Err(error) => {
                    *unread.lock() = Some(error);
                    None
                }
            }
        }
    })
}

async fn read(
    channel: Channel,
    method: &MethodDescriptor,
    request: Request<impl stream::Stream<Item = Vec<u8>> + Send + 'static>,
    (mut signal, deadline): (FirstSignal, Deadline),
    bar: &ProgressBar,
    tally: &mut Tally,
) -> Result<(), Stop> {
    let path = path(method)?;
    let begin = async {
        let mut client = grpc(channel).await?;
        client.streaming(request, path, codec::Raw).await
    };
    let begin = deadline.bound(ANSWER, begin);
    let mut answers = unless(&mut signal, begin).await?.into_inner();
    loop {
        let next = deadline.bound("the end of the stream", answers.message());
        let Some(answer) = unless(&mut signal, next).await? else {
            return Ok(());
        };
        let unreadable = |error: prost::DecodeError| {
            Status::internal(format!("the answer cannot be read: {error}"))
        };
        // For the counts, and for what is not known here, which is kept.
        let counts =
            StreamUsersPresenceBulkResponse::decode(answer.as_slice()).map_err(unreadable)?;
        let answer =
            DynamicMessage::decode(method.output(), answer.as_slice()).map_err(unreadable)?;
        if let Err(error) = write(answer, bar.clone()).await {
            // Ctrl-C ends whoever reads the lines as well, and a signal that
            // came before may not have been looked for yet.
            yield_now().await;
            return Err(match signal.try_recv() {
                Ok(code) => Stop::Signal(code),
                Err(_) => Stop::Output(error),
            });
        }
        let progress = counts.progress.unwrap_or_default();
        tally.done = progress.done;
        tally.missing = progress.missing;
        tally.failed = progress.failed;
        let ended = progress.duplicates + progress.done + progress.missing + progress.failed;
        bar.set_position(ended.try_into().unwrap_or_default());
        bar.set_message(format!(
            "{} done, {} missing, {} failed",
            tally.done, tally.missing, tally.failed
        ));
    }
}

/// Waits for what the gateway says, unless there is a signal.
async fn unless<T>(
    signal: &mut FirstSignal,
    said: impl Future<Output = Result<T, Status>>,
) -> Result<T, Stop> {
    tokio::select! {
        biased;
        Ok(code) = signal => Err(Stop::Signal(code)),
        said = said => Ok(said?),
    }
}

/// Writes the lines of an answer, whole, however long their reader takes. That
/// is waited for beside, or no signal would be noticed meanwhile.
async fn write(answer: DynamicMessage, bar: ProgressBar) -> io::Result<()> {
    let written = spawn_blocking(move || {
        let mut out = BufWriter::new(io::stdout().lock());
        bar.suspend(|| lines(&mut out, &answer))
    });
    written.await.map_err(io::Error::other)?
}

/// Writes a line for each id of an answer.
fn lines(out: &mut impl Write, answer: &DynamicMessage) -> io::Result<()> {
    let list = |name: &str| {
        let list = answer.get_field_by_name(name);
        list.and_then(|list| list.as_list().map(<[Value]>::to_vec))
            .unwrap_or_default()
    };
    for presence in list("presences") {
        let Some(presence) = presence.as_message() else {
            continue;
        };
        let id = presence.get_field_by_name("user_id");
        let id = id.as_ref().and_then(|id| id.as_str()).unwrap_or_default();
        let presence = json(presence, false)?;
        writeln!(out, r#"{{"id":{},"presence":{presence}}}"#, text(id))?;
    }
    for id in list("missing_ids") {
        let id = text(id.as_str().unwrap_or_default());
        writeln!(out, r#"{{"id":{id},"missing":true}}"#)?;
    }
    for failure in list("failures") {
        let Some(failure) = failure.as_message() else {
            continue;
        };
        let status = failure.get_field_by_name("status");
        let status = status.as_ref().and_then(|status| status.as_message());
        let error = match status {
            Some(status) => error(status)?,
            None => "{}".to_owned(),
        };
        let ids = failure.get_field_by_name("ids");
        let ids = ids
            .as_ref()
            .and_then(|ids| ids.as_list())
            .unwrap_or_default();
        for id in ids {
            let id = text(id.as_str().unwrap_or_default());
            writeln!(out, r#"{{"id":{id},"error":{error}}}"#)?;
        }
    }
    out.flush()
}

/// The status of a failure as JSON, with the name of its code.
fn error(status: &DynamicMessage) -> serde_json::Result<String> {
    let code = status.get_field_by_name("code");
    let code = code.and_then(|code| code.as_i32()).unwrap_or_default();
    let code = error::code_name(Code::from_i32(code));
    let message = status.get_field_by_name("message");
    let message = message.as_ref().and_then(|message| message.as_str());
    let message = text(message.unwrap_or_default());
    let details = status.get_field_by_name("details");
    let details = details.as_ref().and_then(|details| details.as_list());
    let details = details
        .unwrap_or_default()
        .iter()
        .filter_map(Value::as_message);
    let details = details.map(|detail| json(detail, false));
    let details = details.collect::<serde_json::Result<Vec<_>>>()?.join(",");
    Ok(format!(
        r#"{{"code":"{code}","message":{message},"details":[{details}]}}"#
    ))
}

/// A text as JSON.
fn text(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn bar(total: Option<u64>) -> ProgressBar {
    let (bar, template) = match total {
        Some(total) => (
            ProgressBar::new(total),
            "{bar:24} {pos}/{len} {percent}%  {msg}  {per_sec}, {eta} left",
        ),
        None => (
            ProgressBar::no_length(),
            "{spinner} {pos}  {msg}  {per_sec}",
        ),
    };
    // A template that is wrong would leave the default one.
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar.enable_steady_tick(TICK);
    bar
}
