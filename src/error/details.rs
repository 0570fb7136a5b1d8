//! Assembles a status: code, message, details and metadata, within a size limit.

use std::time::Duration;

use http::{HeaderMap, HeaderValue};
use prost::Message;
use prost_types::Any;
use tonic::Status;
use tonic::metadata::MetadataMap;
use tonic_types::pb::{self, RequestInfo, RetryInfo};

use super::status_builder::StatusBuilder;
use super::text::{encoded_len, truncate};
use super::{Error, Failure};

/// The header with the vendor's id of a request, by which the vendor's support
/// finds it. Forwarded to the caller.
pub const CORRELATION_ID: &str = "inin-correlation-id";

/// The trailer that tells a client when to retry, in milliseconds; a negative
/// value means never (gRFC A6).
pub const PUSHBACK: &str = "grpc-retry-pushback-ms";

/// The largest size of a status on the wire: percent-encoded message and base64
/// details. Clients reject headers above 8 or 16 KiB, and lose the status.
pub const MAX_STATUS_BYTES: usize = 4096;

/// The part of it that the message may use.
const MAX_MESSAGE_BYTES: usize = 1024;

/// The longest correlation id that is passed on, in bytes. The vendor's are 36
/// bytes long.
const MAX_CORRELATION_ID: usize = 128;

/// The most field violations in a status; its size may allow fewer.
const MAX_VIOLATIONS: usize = 16;

impl Failure {
    /// The status that the caller receives.
    ///
    /// A delay longer than `time_left` becomes the pushback "never": a client
    /// that waits past its deadline loses the details of the status.
    #[must_use]
    pub fn into_status(self, time_left: Duration) -> Status {
        let mut headers = HeaderMap::new();
        if let Some(id) = self.correlation_id.clone() {
            headers.insert(CORRELATION_ID, id);
        }
        if let Some(pushback) = self.pushback(time_left) {
            headers.insert(PUSHBACK, pushback);
        }
        let metadata = MetadataMap::from_headers(headers);
        let status = self.into_rpc_status();
        let details = status.encode_to_vec().into();
        Status::with_details_and_metadata(status.code.into(), status.message, details, metadata)
    }

    /// The status of one part of a bulk call, for use inside a response: with
    /// all details and without metadata.
    #[must_use]
    pub fn into_rpc_status(self) -> pb::Status {
        let mut extra = Vec::new();
        if let Some(delay) = self.error.retry_delay().map(whole_millis) {
            let retry_delay = prost_types::Duration::try_from(delay).ok();
            extra.push(any("google.rpc.RetryInfo", &RetryInfo { retry_delay }));
        }
        let correlation_id = self.correlation_id.as_ref();
        if let Some(id) = correlation_id.and_then(|id| id.to_str().ok()) {
            let info = RequestInfo {
                request_id: id.to_owned(),
                serving_data: String::new(),
            };
            extra.push(any("google.rpc.RequestInfo", &info));
        }
        let mut builder = StatusBuilder::new(self.error);
        if let Some(report) = &self.report {
            // Always small: it has at most as many ranges as batches were in flight.
            extra.push(any("genesys.presence.v1.BulkWriteReport", report));
            builder.add_report(report);
        }
        builder.message = truncate(&builder.message, MAX_MESSAGE_BYTES);
        builder.keep_violations(MAX_VIOLATIONS);
        loop {
            let mut details = builder.details();
            details.extend(extra.iter().cloned());
            let status = pb::Status {
                code: builder.code as i32,
                message: builder.message.clone(),
                details,
            };
            let size = encoded_len(&status.message) + status.encoded_len().div_ceil(3) * 4;
            if size <= MAX_STATUS_BYTES || !builder.shrink() {
                return status;
            }
        }
    }

    fn pushback(&self, time_left: Duration) -> Option<HeaderValue> {
        const NEVER: HeaderValue = HeaderValue::from_static("-1");
        let report = self.report.as_ref();
        // A retry would repeat a write that was, or may have been, applied; or the
        // proxy would refuse it again.
        if self.error.is_outcome_unknown()
            || matches!(self.error, Error::ProxyRefused(_))
            || report.is_some_and(|report| !report.applied.is_empty())
        {
            return Some(NEVER);
        }
        let delay = whole_millis(self.error.retry_delay()?);
        let millis = i32::try_from(delay.as_millis()).ok();
        let millis = millis.filter(|_| delay < time_left);
        Some(millis.map_or(NEVER, HeaderValue::from))
    }
}

/// The vendor's correlation id as metadata; `None` if it is empty, too long or not
/// printable ASCII: with an invalid value, the whole status would be lost.
pub(crate) fn correlation_id(id: &[u8]) -> Option<HeaderValue> {
    let is_valid =
        (1..=MAX_CORRELATION_ID).contains(&id.len()) && id.iter().all(u8::is_ascii_graphic);
    is_valid.then(|| HeaderValue::from_bytes(id).ok())?
}

/// A delay rounded up to whole milliseconds, at least one. A call of grpcio
/// (1.76 to 1.85) that gets 0 does not end at its deadline; compare
/// <https://github.com/grpc/grpc/issues/41036>.
fn whole_millis(delay: Duration) -> Duration {
    let millis = delay.as_nanos().div_ceil(1_000_000).max(1);
    Duration::from_millis(u64::try_from(millis).unwrap_or(u64::MAX))
}

/// A detail of a status.
pub(super) fn any(name: &str, message: &impl Message) -> Any {
    Any {
        type_url: format!("type.googleapis.com/{name}"),
        value: message.encode_to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use tonic_types::StatusExt;

    use super::*;
    use crate::error::Error;

    #[test]
    fn a_delay_is_never_rounded_down_or_sent_as_zero() {
        for (nanos, millis) in [
            (0, 1),
            (1, 1),
            (999_999, 1),
            (1_000_000, 1),
            (1_000_001, 2),
            (5_000_000_000, 5000),
        ] {
            let failure = Failure::from(Error::RateLimited {
                delay: Duration::from_nanos(nanos),
                refused: None,
            });
            let status = failure.into_status(Duration::from_secs(10));
            let pushback = status.metadata().get(PUSHBACK).unwrap();
            assert_eq!(pushback, millis.to_string().as_str(), "{nanos} ns");
            let delay = status.get_details_retry_info().unwrap().retry_delay;
            assert_eq!(delay, Some(Duration::from_millis(millis)), "{nanos} ns");
        }
    }
}
