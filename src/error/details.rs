//! From a failure to a status: code, message, details and metadata.

use std::time::Duration;

use http::{HeaderMap, HeaderValue};
use prost::Message;
use tonic::metadata::MetadataMap;
use tonic::{Code, Status};
use tonic_types::pb::{self, RequestInfo, RetryInfo};

use super::draft::{Draft, MAX_TEXT_BYTES, any};
use super::text::{clip, on_the_wire};
use super::{Error, Failure};

/// The header by which the vendor finds a call again. Passed on to the caller.
pub const CORRELATION_ID: &str = "inin-correlation-id";

/// What tells a core gRPC client when to repeat a call, in milliseconds; a
/// negative value tells it not to (gRFC A6).
pub const PUSHBACK: &str = "grpc-retry-pushback-ms";

/// How large the message and the details of a status may be together, as they
/// travel: a client refuses headers of more than 8 or 16 KiB, and the status
/// with them.
pub const MAX_STATUS_BYTES: usize = 4096;

/// How much of it the message may take.
const MAX_MESSAGE_BYTES: usize = 1024;

/// How many fields are named at most, before the size decides.
const MAX_VIOLATIONS: usize = 16;

/// The status of a failure.
pub(super) fn status(failure: Failure, time_left: Duration) -> Status {
    let delay = failure.error.retry_delay();
    // A repetition would apply once more what was, or may have been, applied.
    let never = failure.error.is_outcome_unknown()
        || failure
            .report
            .as_ref()
            .is_some_and(|report| !report.applied.is_empty());
    let mut headers = HeaderMap::new();
    if let Some(id) = correlation_id(&failure) {
        headers.insert(CORRELATION_ID, id);
    }
    if let Some(pushback) = pushback(delay, never, time_left) {
        headers.insert(PUSHBACK, pushback);
    }
    let status = rpc_status(failure);
    let details = status.encode_to_vec().into();
    let metadata = MetadataMap::from_headers(headers);
    Status::with_details_and_metadata(Code::from(status.code), status.message, details, metadata)
}

/// The same as a message, which is also what travels as the details.
pub(super) fn rpc_status(failure: Failure) -> pb::Status {
    let mut besides = Vec::new();
    if let Some(delay) = failure.error.retry_delay() {
        let retry_delay = prost_types::Duration::try_from(delay).ok();
        besides.push(any("google.rpc.RetryInfo", &RetryInfo { retry_delay }));
    }
    if let Some(id) = correlation_id(&failure)
        .as_ref()
        .and_then(|id| id.to_str().ok())
    {
        let request_id = clip(id, MAX_TEXT_BYTES);
        let info = RequestInfo {
            request_id,
            serving_data: String::new(),
        };
        besides.push(any("google.rpc.RequestInfo", &info));
    }
    if let Some(report) = &failure.report {
        // Small whatever the request: its ranges are as few as batches in flight.
        besides.push(any("genesys.presence.v1.BulkWriteReport", report));
    }

    let mut draft = Draft::of(failure.error);
    if let Some(report) = &failure.report {
        draft.tell(report);
    }
    draft.message = clip(&draft.message, MAX_MESSAGE_BYTES);
    draft.keep_violations(MAX_VIOLATIONS);
    loop {
        let mut details = draft.details();
        details.extend(besides.iter().cloned());
        let status = pb::Status {
            code: draft.code as i32,
            message: draft.message.clone(),
            details,
        };
        let size = on_the_wire(&status.message) + status.encoded_len().div_ceil(3) * 4;
        if size <= MAX_STATUS_BYTES || !draft.shrink() {
            return status;
        }
    }
}

/// The vendor's name for the call: from the header, else from the error body.
fn correlation_id(failure: &Failure) -> Option<HeaderValue> {
    failure
        .correlation_id
        .clone()
        .or_else(|| match &failure.error {
            Error::Refused(_, fault) => {
                let id = fault.body.as_ref()?.context_id.as_deref()?;
                HeaderValue::from_str(id)
                    .ok()
                    .filter(|id| id.len() <= MAX_TEXT_BYTES)
            }
            _ => None,
        })
}

/// The pushback that tells a client not to repeat the call.
const NEVER: HeaderValue = HeaderValue::from_static("-1");

fn pushback(delay: Option<Duration>, never: bool, time_left: Duration) -> Option<HeaderValue> {
    match delay {
        _ if never => Some(NEVER),
        Some(delay) if delay < time_left => {
            Some(i32::try_from(delay.as_millis()).map_or(NEVER, HeaderValue::from))
        }
        Some(_) => Some(NEVER),
        None => None,
    }
}
