//! The vendor's answer, read within its bounds; and what it means where there is none.

use std::fmt::Write;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Response, StatusCode, header};
use http_body::Body as _;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper_util::client::legacy;
use memchr::memchr_iter;

use super::fault::Fault;
use crate::deadline::Deadline;
use crate::error::{Error, Uncertainty};
use crate::memory::Held;
use crate::operation::{Answer, Spec};

/// The largest answer that is read, in bytes: twice what a caller receives in
/// one message unless it asked for more.
const MAX_ANSWER: usize = 8 * 1024 * 1024;

/// The largest error body that is read, in bytes; a larger one counts as none.
const MAX_ERROR_BODY: usize = 1024 * 1024;

/// How much room is made for an answer before it is there: what 100 presences take.
const MAX_AHEAD: usize = 64 * 1024;

/// Reads an answer: the body of a success, or what a refusal says.
pub(super) async fn read(
    spec: &'static Spec,
    response: &mut Response<Incoming>,
    deadline: &Deadline,
    held: &Held,
) -> Result<Bytes, Error> {
    let status = response.status();
    if status.is_informational() {
        // Something else is to follow, and nothing tells what.
        let why = "it answers with another protocol than HTTP".to_owned();
        return Err(broken(spec, why));
    }
    if status.is_redirection() {
        return Err(Error::Redirected(status.as_u16()));
    }
    if !status.is_success() {
        // What was refused stays refused, also where the body breaks off, or
        // does not come in time.
        let body = deadline
            .bound(body(response, MAX_ERROR_BODY, &held.briefly()))
            .await;
        let body = body.and_then(Result::ok).unwrap_or_default();
        return Err(refused(spec, status, response.headers(), &body));
    }
    if matches!(spec.answer, Answer::Nothing) {
        return Ok(Bytes::new());
    }
    if is_encoded(response.headers()) {
        let what = "it is compressed, which was not asked for".to_owned();
        return Err(Error::Unreadable { spec, what });
    }
    let unreadable = |what| Err(Error::Unreadable { spec, what });
    match deadline.bound(body(response, MAX_ANSWER, held)).await {
        Some(Ok(body)) if held.take_besides(becomes(spec, &body), body.len()).is_ok() => Ok(body),
        Some(Err(Unread::TooLarge)) => unreadable(format!("it is larger than {MAX_ANSWER} bytes")),
        Some(Ok(_) | Err(Unread::NoMemory)) if spec.is_read() => Err(Error::NoMemory),
        // What was applied cannot be refused any more.
        Some(Ok(_) | Err(Unread::NoMemory)) => {
            unreadable("there was no memory left for it (--message-memory)".to_owned())
        }
        Some(Err(Unread::Lost(error))) => {
            Err(broken(spec, told("error reading the answer", &error)))
        }
        None => Err(expired(spec)),
    }
}

/// How many bytes an answer becomes as a message, whatever little is said of
/// each model in it, and of each text of a map.
pub(super) fn becomes(spec: &Spec, body: &[u8]) -> usize {
    /// A model without a field, with its place in a list.
    const MODEL: usize = 512;
    /// A text of a map with its key, and what the map grows by.
    const FIELD: usize = 256;
    let count = |sign| memchr_iter(sign, body).count();
    match spec.answer {
        // Presences, which hold no maps.
        Answer::List(_) => count(b'{') * MODEL,
        _ => count(b'{') * MODEL + count(b':') * FIELD,
    }
}

/// Whether a body is compressed, or hidden in another way.
fn is_encoded(headers: &HeaderMap) -> bool {
    let encodings = headers.get_all(header::CONTENT_ENCODING);
    encodings.iter().any(|encoding| {
        let encoding = encoding.as_bytes().trim_ascii();
        !encoding.is_empty() && !encoding.eq_ignore_ascii_case(b"identity")
    })
}

/// Why a body was not read to its end.
enum Unread {
    TooLarge,
    NoMemory,
    Lost(hyper::Error),
}

/// Reads a body up to `max` bytes, as far as there is memory.
async fn body(response: &mut Response<Incoming>, max: usize, held: &Held) -> Result<Bytes, Unread> {
    let declared = response.body().size_hint().exact().unwrap_or_default();
    if declared > max as u64 {
        return Err(Unread::TooLarge);
    }
    let mut body = BytesMut::new();
    while let Some(frame) = response.body_mut().frame().await {
        // Trailers, which the vendor does not send, say nothing to us.
        let Ok(chunk) = frame.map_err(Unread::Lost)?.into_data() else {
            continue;
        };
        if body.len() + chunk.len() > max {
            return Err(Unread::TooLarge);
        }
        held.take(chunk.len()).map_err(|_| Unread::NoMemory)?;
        if body.is_empty() {
            // Not for all of a large one, which may never come.
            let rest = usize::try_from(declared).unwrap_or(MAX_AHEAD);
            body.reserve(rest.clamp(chunk.len(), MAX_AHEAD.max(chunk.len())));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

fn refused(spec: &'static Spec, status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Error {
    let fault = Box::new(Fault::read(status.as_u16(), headers, body));
    match status.as_u16() {
        502 | 504 if !spec.is_read() => Error::OutcomeUnknown(Uncertainty::Refused(fault)),
        _ => Error::Refused(spec, fault),
    }
}

pub(super) fn expired(spec: &Spec) -> Error {
    if spec.is_read() {
        Error::Expired
    } else {
        Error::OutcomeUnknown(Uncertainty::Expired)
    }
}

/// What a request is that was given up while it left.
pub(super) fn recalled(spec: &Spec) -> Error {
    broken(spec, "the vendor refused the token meanwhile".to_owned())
}

pub(super) fn lost(spec: &Spec, error: &legacy::Error) -> Error {
    broken(spec, unsent(error))
}

/// Why a request could not be sent, or was lost.
pub(super) fn unsent(error: &legacy::Error) -> String {
    told("error sending request", error)
}

fn broken(spec: &Spec, why: String) -> Error {
    if spec.is_read() {
        Error::Lost(why)
    } else {
        Error::OutcomeUnknown(Uncertainty::Lost(why))
    }
}

/// Tells an error of the client for telemetry with its causes, and without the
/// URL, which may hold a password.
pub(crate) fn why(error: reqwest::Error) -> String {
    let error = error.without_url();
    causes(error.to_string(), &error)
}

fn told(what: &str, error: &dyn std::error::Error) -> String {
    causes(format!("{what}: {error}"), error)
}

fn causes(mut why: String, error: &dyn std::error::Error) -> String {
    let mut source = error.source();
    while let Some(cause) = source {
        // `write!` to a `String` cannot fail.
        let _ = write!(why, ": {cause}");
        source = cause.source();
    }
    why
}
