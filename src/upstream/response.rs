//! The upstream's response, read within its bounds; and the errors of a request
//! without one.

#![expect(
    clippy::disallowed_types,
    reason = "a part of the one module that calls the upstream"
)]

use std::error::Error as _;
use std::iter::successors;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use memchr::memchr_iter;
use reqwest::Response;

use super::body::{BodyError, read_body};
use crate::deadline::Deadline;
use crate::error::chain::{causes, http_causes};
use crate::error::response::ErrorResponse;
use crate::error::{Error, UnknownOutcome, UnreadableBody, Waiting};
use crate::memory::MemoryLease;
use crate::operation::{ResponseShape, Spec};

/// The largest response body that is read, in bytes: twice what a caller
/// receives in one message unless it asked for more.
const MAX_BODY: usize = 8 * 1024 * 1024;

/// The largest error body that is read, in bytes; a larger one counts as none.
const MAX_ERROR_BODY: usize = 1024 * 1024;

/// Reads a response: the body of a success, or the error of any other status.
pub(super) async fn read_response(
    spec: &'static Spec,
    response: &mut Response,
    deadline: &Deadline,
    attempt: u32,
    memory: &MemoryLease,
) -> Result<Bytes, Error> {
    let status = response.status();
    if status.is_informational() {
        // 101: bytes of an unknown protocol follow.
        let why = "the upstream switched to another protocol than HTTP".to_owned();
        return Err(connection_lost(spec, why));
    }
    if status.is_redirection() {
        return Err(Error::Redirected(status.as_u16()));
    }
    if !status.is_success() {
        // The status is enough if the body is cut off or late.
        let lease = memory.sub_lease();
        let body = deadline
            .timeout(read_body(response, MAX_ERROR_BODY, &lease))
            .await;
        let body = body.and_then(Result::ok).unwrap_or_default();
        return Err(error_status(spec, status, response.headers(), &body));
    }
    if matches!(spec.shape, ResponseShape::Empty) {
        return Ok(Bytes::new());
    }
    let unreadable = |what| Err(unreadable(spec, status, what));
    match deadline
        .timeout(read_body(response, MAX_BODY, memory))
        .await
    {
        Some(Ok(body))
            if memory
                .reserve_excess(decoded_size(spec, &body), body.len())
                .is_ok() =>
        {
            Ok(body)
        }
        Some(Ok(body)) => {
            memory.release(body.len());
            memory_exhausted(spec, status)
        }
        Some(Err(BodyError::TooLarge)) => unreadable(format!("it is larger than {MAX_BODY} bytes")),
        Some(Err(BodyError::UnsupportedEncoding)) => {
            unreadable("it is compressed, and not by gzip".to_owned())
        }
        Some(Err(BodyError::CorruptGzip)) => {
            unreadable("it is compressed, and cannot be inflated".to_owned())
        }
        Some(Err(BodyError::MemoryExhausted)) => memory_exhausted(spec, status),
        Some(Err(BodyError::ConnectionLost(error))) => {
            // A write may not have been applied: the head may come from something
            // in front of the vendor.
            // reqwest's own text would be "error decoding response body".
            Err(connection_lost(
                spec,
                causes("error reading the response".to_owned(), &error),
            ))
        }
        Some(Err(BodyError::CutOff)) => {
            let why = "the response ended before its declared length".to_owned();
            Err(connection_lost(spec, why))
        }
        None => Err(deadline_exceeded(spec, deadline, attempt)),
    }
}

/// The error of a success whose body cannot be read.
fn unreadable(spec: &'static Spec, status: StatusCode, what: String) -> Error {
    Error::Unreadable {
        spec,
        http_status: Some(status.as_u16()),
        what: UnreadableBody::Other(what),
    }
}

/// The result of a success for whose body there is no memory.
fn memory_exhausted(spec: &'static Spec, status: StatusCode) -> Result<Bytes, Error> {
    if spec.is_read {
        return Err(Error::MemoryExhausted);
    }
    // A write that was applied cannot be rejected any more.
    let what = "there was no memory left for it (--message-memory)".to_owned();
    Err(unreadable(spec, status, what))
}

/// Returns an upper bound of the size that a body has as a message, in bytes.
/// It holds even if all models and all texts of maps are as short as JSON allows.
pub(super) fn decoded_size(spec: &Spec, body: &[u8]) -> usize {
    /// The size of a model without fields, with its slot in a list.
    const MODEL: usize = 512;
    /// The size of a map's entry, and its share of the map's spare capacity.
    const FIELD: usize = 256;
    let count = |sign| memchr_iter(sign, body).count();
    match spec.shape {
        // Lists are of presences, which have no maps.
        ResponseShape::List(_) => count(b'{') * MODEL,
        _ => count(b'{') * MODEL + count(b':') * FIELD,
    }
}

fn error_status(
    spec: &'static Spec,
    status: StatusCode,
    headers: &HeaderMap,
    body: &[u8],
) -> Error {
    let response = Box::new(ErrorResponse::parse(status.as_u16(), headers, body));
    match status.as_u16() {
        502 | 504 if !spec.is_read => {
            Error::OutcomeUnknown(UnknownOutcome::UpstreamStatus(response))
        }
        _ => Error::UpstreamStatus(spec, response),
    }
}

/// Returns the error of a request whose response did not arrive in time.
pub(super) fn deadline_exceeded(spec: &Spec, deadline: &Deadline, attempt: u32) -> Error {
    let passed = deadline.passed(Waiting::Response(attempt));
    if spec.is_read {
        Error::DeadlineExceeded(passed)
    } else {
        Error::OutcomeUnknown(UnknownOutcome::DeadlineExceeded(passed))
    }
}

/// Returns the error of a request that was cancelled while it was sent.
pub(super) fn cancelled(spec: &Spec) -> Error {
    connection_lost(
        spec,
        "the vendor refused another request of the token with 429 while it was sent".to_owned(),
    )
}

/// Returns the error of a request that was sent and has no readable response.
pub(super) fn transport_error(spec: &'static Spec, error: reqwest::Error) -> Error {
    let is_too_large = successors(error.source(), |&cause| cause.source())
        .filter_map(|cause| cause.downcast_ref::<hyper::Error>())
        .any(hyper::Error::is_parse_too_large);
    if !is_too_large {
        return connection_lost(spec, http_causes(error));
    }
    // The limits are hyper's; it applies them to 1xx heads as well.
    let what = "its head has more than 100 lines, or more than 400 KB".to_owned();
    if spec.is_read {
        Error::Unreadable {
            spec,
            http_status: None,
            what: UnreadableBody::Other(what),
        }
    } else {
        Error::OutcomeUnknown(UnknownOutcome::Unreadable(what))
    }
}

fn connection_lost(spec: &Spec, why: String) -> Error {
    if spec.is_read {
        Error::ConnectionLost(why)
    } else {
        Error::OutcomeUnknown(UnknownOutcome::ConnectionLost(why))
    }
}
