//! The vendor's answer, read within its bounds; and what it means where there is none.

use std::error::Error as _;
use std::fmt::Write;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, StatusCode, header};
use reqwest::Response;

use super::fault::Fault;
use crate::deadline::Deadline;
use crate::error::{Error, Uncertainty};
use crate::operation::{Answer, Spec};

/// The largest answer that is read, in bytes: twice what a caller receives in
/// one message unless it asked for more.
const MAX_ANSWER: usize = 8 * 1024 * 1024;

/// The largest error body that is read, in bytes; a larger one counts as none.
const MAX_ERROR_BODY: usize = 1024 * 1024;

/// Reads an answer: the body of a success, or what a refusal says.
pub(super) async fn read(
    spec: &'static Spec,
    response: &mut Response,
    deadline: &Deadline,
) -> Result<Bytes, Error> {
    let status = response.status();
    if status.is_redirection() || status.is_informational() {
        return Err(Error::Redirected(status.as_u16()));
    }
    if !status.is_success() {
        // What was refused stays refused, also where the body breaks off, or
        // does not come in time.
        let body = deadline.bound(body(response, MAX_ERROR_BODY)).await;
        let body = body.and_then(Result::ok).flatten().unwrap_or_default();
        return Err(refused(spec, status, response.headers(), &body));
    }
    if matches!(spec.answer, Answer::Nothing) {
        return Ok(Bytes::new());
    }
    if is_encoded(response.headers()) {
        let what = "it is compressed, which was not asked for".to_owned();
        return Err(Error::Unreadable { spec, what });
    }
    match deadline.bound(body(response, MAX_ANSWER)).await {
        Some(Ok(Some(body))) => Ok(body),
        Some(Ok(None)) => {
            let what = format!("it is larger than {MAX_ANSWER} bytes");
            Err(Error::Unreadable { spec, what })
        }
        Some(Err(error)) => Err(lost(spec, error)),
        None => Err(expired(spec)),
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

/// Reads a body up to `max` bytes; `None` for a larger one.
async fn body(response: &mut Response, max: usize) -> Result<Option<Bytes>, reqwest::Error> {
    let declared = response.content_length().unwrap_or_default();
    if declared > max as u64 {
        return Ok(None);
    }
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > max {
            return Ok(None);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Some(body.freeze()))
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

pub(super) fn lost(spec: &Spec, error: reqwest::Error) -> Error {
    let why = why(error);
    if spec.is_read() {
        Error::Lost(why)
    } else {
        Error::OutcomeUnknown(Uncertainty::Lost(why))
    }
}

/// Tells an error with its causes, and without the URL, which holds ids.
pub(crate) fn why(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut why = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        // `write!` to a `String` cannot fail.
        let _ = write!(why, ": {cause}");
        source = cause.source();
    }
    why
}
