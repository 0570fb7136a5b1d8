//! From a failure to a status: code, message, details and metadata.

use std::time::Duration;

use http::{HeaderMap, HeaderValue};
use prost::Message;
use tonic::metadata::MetadataMap;
use tonic::{Code, Status};
use tonic_types::pb::{self, RequestInfo, RetryInfo};

use super::draft::{Draft, any};
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

/// The longest correlation id that is passed on, in bytes. The vendor's have 36.
const MAX_CORRELATION_ID: usize = 128;

/// How many fields are named at most, before the size decides.
const MAX_VIOLATIONS: usize = 16;

/// The status of a failure.
pub(super) fn status(failure: Failure, time_left: Duration) -> Status {
    let delay = failure.error.retry_delay().map(whole_millis);
    // A repetition would apply once more what was, or may have been, applied;
    // or it would be refused by the proxy once more.
    let never = failure.error.is_outcome_unknown()
        || matches!(failure.error, Error::ProxyRefused(_))
        || failure
            .report
            .as_ref()
            .is_some_and(|report| !report.applied.is_empty());
    let mut headers = HeaderMap::new();
    if let Some(id) = failure.correlation_id.clone() {
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
    if let Some(delay) = failure.error.retry_delay().map(whole_millis) {
        let retry_delay = prost_types::Duration::try_from(delay).ok();
        besides.push(any("google.rpc.RetryInfo", &RetryInfo { retry_delay }));
    }
    let correlation_id = failure.correlation_id.as_ref();
    if let Some(id) = correlation_id.and_then(|id| id.to_str().ok()) {
        let info = RequestInfo {
            request_id: id.to_owned(),
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

/// The vendor's name for a call as metadata; none where it is nothing that
/// metadata can hold, which would cost the whole status on its way.
pub(crate) fn correlation_id(id: &[u8]) -> Option<HeaderValue> {
    let is_fit =
        (1..=MAX_CORRELATION_ID).contains(&id.len()) && id.iter().all(u8::is_ascii_graphic);
    is_fit.then(|| HeaderValue::from_bytes(id).ok())?
}

/// A delay as it is sent: in whole milliseconds, none of them too short, and
/// one at least. Calls of current grpcio (1.76 to 1.85) that get 0 do not
/// end by their deadline.
fn whole_millis(delay: Duration) -> Duration {
    let millis = delay.as_nanos().div_ceil(1_000_000).max(1);
    Duration::from_millis(u64::try_from(millis).unwrap_or(u64::MAX))
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

#[cfg(test)]
mod tests {
    use tonic_types::StatusExt;

    use super::*;
    use crate::error::Error;

    #[test]
    fn no_delay_is_told_as_none_or_shorter_than_it_is() {
        for (nanos, millis) in [
            (0, 1),
            (1, 1),
            (999_999, 1),
            (1_000_000, 1),
            (1_000_001, 2),
            (5_000_000_000, 5000),
        ] {
            let failure = Failure::from(Error::RateLimited(Duration::from_nanos(nanos)));
            let status = failure.into_status(Duration::from_secs(10));
            let pushback = status.metadata().get(PUSHBACK).unwrap();
            assert_eq!(pushback, millis.to_string().as_str(), "{nanos} ns");
            let told = status.get_details_retry_info().unwrap().retry_delay;
            assert_eq!(told, Some(Duration::from_millis(millis)), "{nanos} ns");
        }
    }
}
