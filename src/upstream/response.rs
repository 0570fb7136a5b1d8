//! The vendor's answer, read within its bounds; and what it means where there is none.

use std::error::Error as _;

use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode};
use hyper::body::Incoming;
use hyper_util::client::legacy;
use memchr::memchr_iter;

use super::body::{self, Unread};
use super::tunnel::ProxyRefusal;
use crate::deadline::Deadline;
use crate::error::chain::causes;
use crate::error::fault::Fault;
use crate::error::{Error, UnknownOutcome};
use crate::memory::MemoryLease;
use crate::operation::{ResponseShape, Spec};

/// The largest answer that is read, in bytes: twice what a caller receives in
/// one message unless it asked for more.
pub const MAX_ANSWER: usize = 8 * 1024 * 1024;

/// The largest error body that is read, in bytes; a larger one counts as none.
pub const MAX_ERROR_BODY: usize = 1024 * 1024;

/// Reads an answer: the body of a success, or what a refusal says.
pub(super) async fn read(
    spec: &'static Spec,
    response: &mut Response<Incoming>,
    deadline: &Deadline,
    held: &MemoryLease,
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
            .timeout(body::read(response, MAX_ERROR_BODY, &held.sub_lease()))
            .await;
        let body = body.and_then(Result::ok).unwrap_or_default();
        return Err(refused(spec, status, response.headers(), &body));
    }
    if matches!(spec.shape, ResponseShape::Empty) {
        return Ok(Bytes::new());
    }
    let unreadable = |what| Err(Error::Unreadable { spec, what });
    match deadline
        .timeout(body::read(response, MAX_ANSWER, held))
        .await
    {
        Some(Ok(body))
            if held
                .reserve_excess(becomes(spec, &body), body.len())
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

/// What a request is that was given up while it left.
pub(super) fn recalled(spec: &Spec) -> Error {
    broken(spec, "the vendor refused the token meanwhile".to_owned())
}

/// What a request comes to that left, and had no answer that could be read.
pub(super) fn lost(spec: &'static Spec, error: &legacy::Error) -> Error {
    let cause = error.source();
    let cause = cause.and_then(|cause| cause.downcast_ref::<hyper::Error>());
    if !cause.is_some_and(hyper::Error::is_parse_too_large) {
        return broken(spec, unsent(error));
    }
    // hyper's limits, which it tells for 1xx heads too, and no further.
    let what = "its head has more than 100 lines, or more than 400 KB".to_owned();
    if spec.is_read() {
        Error::Unreadable { spec, what }
    } else {
        Error::OutcomeUnknown(UnknownOutcome::Unreadable(what))
    }
}

/// What a request comes to that never left.
pub(super) fn unreached(error: &legacy::Error) -> Error {
    let cause = error.source();
    match cause.and_then(|cause| cause.downcast_ref::<ProxyRefusal>()) {
        Some(refusal) if refusal.is_final() => Error::ProxyRefused(refusal.to_string()),
        _ => Error::Unreachable(unsent(error)),
    }
}

/// Why a request could not be sent, or was lost.
fn unsent(error: &legacy::Error) -> String {
    told("error sending request", error)
}

fn broken(spec: &Spec, why: String) -> Error {
    if spec.is_read() {
        Error::ConnectionLost(why)
    } else {
        Error::OutcomeUnknown(UnknownOutcome::ConnectionLost(why))
    }
}

fn told(what: &str, error: &dyn std::error::Error) -> String {
    causes(format!("{what}: {error}"), error)
}
