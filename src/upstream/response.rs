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

use super::body::{Unread, read_body};
use crate::deadline::Deadline;
use crate::error::chain::{causes, http_causes};
use crate::error::fault::Fault;
use crate::error::{Error, UnknownOutcome};
use crate::memory::MemoryLease;
use crate::operation::{ResponseShape, Spec};

/// The largest response body that is read, in bytes: twice what a caller
/// receives in one message unless it asked for more.
pub const MAX_ANSWER: usize = 8 * 1024 * 1024;

/// The largest error body that is read, in bytes; a larger one counts as none.
pub const MAX_ERROR_BODY: usize = 1024 * 1024;

/// Reads a response: the body of a success, or the reason of a refusal.
pub(super) async fn read(
    spec: &'static Spec,
    response: &mut Response,
    deadline: &Deadline,
    memory: &MemoryLease,
) -> Result<Bytes, Error> {
    let status = response.status();
    if status.is_informational() {
        // An unknown protocol follows.
        let why = "it answers with another protocol than HTTP".to_owned();
        return Err(broken(spec, why));
    }
    if status.is_redirection() {
        return Err(Error::Redirected(status.as_u16()));
    }
    if !status.is_success() {
        // A refusal stays one if its body breaks off, or does not come in time.
        let body = deadline
            .timeout(read_body(response, MAX_ERROR_BODY, &memory.sub_lease()))
            .await;
        let body = body.and_then(Result::ok).unwrap_or_default();
        return Err(refused(spec, status, response.headers(), &body));
    }
    if matches!(spec.shape, ResponseShape::Empty) {
        return Ok(Bytes::new());
    }
    let unreadable = |what| Err(Error::Unreadable { spec, what });
    match deadline
        .timeout(read_body(response, MAX_ANSWER, memory))
        .await
    {
        Some(Ok(body))
            if memory
                .reserve_excess(decoded_size(spec, &body), body.len())
                .is_ok() =>
        {
            Ok(body)
        }
        Some(Err(Unread::TooLarge)) => unreadable(format!("it is larger than {MAX_ANSWER} bytes")),
        Some(Err(Unread::Encoded)) => unreadable("it is compressed, and not by gzip".to_owned()),
        Some(Err(Unread::Garbled)) => {
            unreadable("it is compressed, and cannot be inflated".to_owned())
        }
        Some(Ok(_) | Err(Unread::NoMemory)) if spec.is_read() => Err(Error::MemoryExhausted),
        // A write that was applied cannot be refused any more.
        Some(Ok(_) | Err(Unread::NoMemory)) => {
            unreadable("there was no memory left for it (--message-memory)".to_owned())
        }
        Some(Err(Unread::Lost(error))) => {
            // reqwest's own text speaks of decoding.
            Err(broken(
                spec,
                causes("error reading the answer".to_owned(), &error),
            ))
        }
        None => Err(expired(spec)),
    }
}

/// Returns the size of a body as a message, in bytes: an upper bound, also if
/// its models and the texts of its maps are as short as can be.
pub(super) fn decoded_size(spec: &Spec, body: &[u8]) -> usize {
    /// A model without a field, with its slot in a list.
    const MODEL: usize = 512;
    /// A text of a map with its key, and the growth of the map.
    const FIELD: usize = 256;
    let count = |sign| memchr_iter(sign, body).count();
    match spec.shape {
        // Presences, which hold no maps.
        ResponseShape::List(_) => count(b'{') * MODEL,
        _ => count(b'{') * MODEL + count(b':') * FIELD,
    }
}

fn refused(spec: &'static Spec, status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Error {
    let fault = Box::new(Fault::parse(status.as_u16(), headers, body));
    match status.as_u16() {
        502 | 504 if !spec.is_read() => {
            Error::OutcomeUnknown(UnknownOutcome::UpstreamStatus(fault))
        }
        _ => Error::UpstreamStatus(spec, fault),
    }
}

pub(super) fn expired(spec: &Spec) -> Error {
    if spec.is_read() {
        Error::DeadlineExceeded
    } else {
        Error::OutcomeUnknown(UnknownOutcome::DeadlineExceeded)
    }
}

/// The error of a request that was cancelled while it was being sent.
pub(super) fn recalled(spec: &Spec) -> Error {
    broken(spec, "the vendor refused the token meanwhile".to_owned())
}

/// The error of a request that was sent, and has no readable response.
pub(super) fn lost(spec: &'static Spec, error: reqwest::Error) -> Error {
    let is_too_large = successors(error.source(), |&cause| cause.source())
        .filter_map(|cause| cause.downcast_ref::<hyper::Error>())
        .any(hyper::Error::is_parse_too_large);
    if !is_too_large {
        return broken(spec, http_causes(error));
    }
    // hyper's limits; it reports them for 1xx heads as well.
    let what = "its head has more than 100 lines, or more than 400 KB".to_owned();
    if spec.is_read() {
        Error::Unreadable { spec, what }
    } else {
        Error::OutcomeUnknown(UnknownOutcome::Unreadable(what))
    }
}

fn broken(spec: &Spec, why: String) -> Error {
    if spec.is_read() {
        Error::ConnectionLost(why)
    } else {
        Error::OutcomeUnknown(UnknownOutcome::ConnectionLost(why))
    }
}
