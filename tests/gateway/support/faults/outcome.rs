//! The outcome of a call, and the error that its caller gets.

use std::collections::BTreeMap;
use std::time::Duration;

use presence_gateway::proto::v1::{BulkWriteReport, IndexRange};
use prost::Message;
use tonic::{Code, Status};
use tonic_types::StatusExt;

use super::column::{Column, USERS};
use crate::errors::faults::table::Row;
use crate::support::vendor_api::permissions;
use crate::support::{
    CORRELATION_ID, assert_well_formed, metadata, method, rpc_status, violations,
};

/// The outcome of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Done,
    /// No connection; nothing was sent.
    Unreached,
    /// The deadline expired before any part of a bulk write was sent.
    NotSent,
    /// The deadline expired, and nothing was changed.
    TooLate,
    /// The connection broke, and nothing was changed.
    Lost,
    /// A write that may have been applied.
    Unsure,
    /// A write that may have been applied at the deadline.
    UnsureLate,
    /// The response is unreadable; a write was applied.
    Unreadable,
    /// The response is a page for people; by its status, a write was applied.
    HtmlPage,
    /// The response has another encoding than gzip; a write was applied.
    NotGzip,
    /// The response is too large to be read; a write was applied.
    TooLarge,
    /// The head of the response is too large to be read.
    HeadTooLarge,
    Redirected,
    /// The vendor rejected the request.
    Is(Code),
}

/// What a caller reads of a failure.
#[derive(Debug, PartialEq, Default)]
pub struct ErrorContent {
    code: i32,
    domain: String,
    reason: String,
    /// The metadata of the `ErrorInfo`.
    metadata: BTreeMap<String, String>,
    /// The expected part of the message, or the whole message without it.
    message: String,
    retry_after: Option<Duration>,
    pushback: Option<String>,
    has_quota: bool,
    fields: Vec<String>,
    /// The correlation id, in the metadata and in the details.
    correlation: [Option<String>; 2],
    report: Option<BulkWriteReport>,
}

impl Outcome {
    /// The error of a call of `column` with the fault of `row`.
    pub fn expected_error(self, row: &Row, column: &Column) -> ErrorContent {
        let status = row.fault.status();
        let has_api_error = row.fault.has_api_error();
        let (code, reason, message) = match self {
            Self::Done => return ErrorContent::default(),
            Self::Unreached => (
                Code::Unavailable,
                "UPSTREAM_UNREACHABLE",
                "nothing was sent",
            ),
            Self::NotSent => (Code::DeadlineExceeded, "NOT_TRIED", "not sent"),
            Self::TooLate => (
                Code::DeadlineExceeded,
                "DEADLINE_EXCEEDED",
                "nothing was changed",
            ),
            Self::Lost => (Code::Unavailable, "UPSTREAM_CONNECTION_LOST", "broke"),
            Self::Unsure => (Code::Unknown, "OUTCOME_UNKNOWN", MAYBE),
            Self::UnsureLate => (Code::DeadlineExceeded, "OUTCOME_UNKNOWN", MAYBE),
            Self::Unreadable if column.is_write() => {
                (Code::Internal, "UNREADABLE_ANSWER", "was applied")
            }
            Self::Unreadable => (Code::Internal, "UNREADABLE_ANSWER", "cannot be read"),
            Self::HtmlPage => (Code::Internal, "UNREADABLE_ANSWER", "is an HTML page"),
            Self::NotGzip => (Code::Internal, "UNREADABLE_ANSWER", "not by gzip"),
            Self::TooLarge => (Code::Internal, "UNREADABLE_ANSWER", "it is larger than"),
            Self::HeadTooLarge => (
                Code::Internal,
                "UNREADABLE_ANSWER",
                "its head has more than 100 lines",
            ),
            Self::Redirected => (Code::Internal, "UPSTREAM_REDIRECT", "redirect"),
            Self::Is(code) if has_api_error => (code, "SOME_VENDOR_CODE", "the vendor's words"),
            Self::Is(code) => (code, "UPSTREAM_ERROR", "without a vendor error body"),
        };
        let is_rejected = matches!(self, Self::Is(_));
        let is_unknown = matches!(self, Self::Unsure | Self::UnsureLate);
        let report = column.is_bulk_write().then(|| self.report());
        let is_applied = report
            .as_ref()
            .is_some_and(|report| !report.applied.is_empty());
        let retry_after = row.retry_after.filter(|_| is_rejected);
        let pushback = match retry_after {
            _ if is_unknown || is_applied => Some("-1".to_owned()),
            Some(delay) if delay >= row.deadline => Some("-1".to_owned()),
            delay => delay.map(|delay| (delay * 1000).to_string()),
        };
        let is_vendor_error = is_rejected && has_api_error;
        let names_fields = is_vendor_error && code == Code::InvalidArgument;
        let correlation = status.map(|_| CORRELATION_ID.to_owned());
        ErrorContent {
            code: code as i32,
            domain: if is_vendor_error {
                "genesys.cloud"
            } else {
                "presence-gateway"
            }
            .to_owned(),
            reason: reason.to_owned(),
            metadata: self.error_metadata(row, column),
            message: message.to_owned(),
            retry_after: retry_after.map(Duration::from_secs),
            pushback,
            has_quota: code == Code::ResourceExhausted,
            fields: names_fields
                .then(|| column.field[1].to_owned())
                .into_iter()
                .collect(),
            correlation: [correlation.clone(), correlation],
            report,
        }
    }

    fn error_metadata(self, row: &Row, column: &Column) -> BTreeMap<String, String> {
        let mut metadata = BTreeMap::new();
        let mut put = |key: &str, value: String| metadata.insert(key.to_owned(), value);
        match (self, row.fault.status()) {
            (Self::Is(_) | Self::Redirected, Some(status)) => {
                put("http_status", status.to_string());
            }
            (Self::Unsure | Self::UnsureLate, Some(status)) if status >= 500 => {
                put("http_status", status.to_string());
                if row.fault.has_api_error() {
                    put("vendor_code", "some.vendor.code".to_owned());
                }
            }
            (Self::Unreadable | Self::HtmlPage | Self::NotGzip | Self::TooLarge, Some(status)) => {
                put("http_status", status.to_string());
                // A bulk write has it in its report: one batch was not applied.
                if column.is_write() && !column.is_bulk_write() {
                    put("outcome", "applied".to_owned());
                }
            }
            _ => {}
        }
        if let (Self::Is(Code::PermissionDenied), Some(needed)) =
            (self, permissions(&method(column.rpc)))
        {
            put("required_permissions", needed.names.join(","));
            let mode = if needed.mode == 1 { "ANY" } else { "ALL" };
            put("required_permissions_mode", mode.to_owned());
        }
        metadata
    }

    /// The report of a bulk write: the first batch met the fault, the second was
    /// not sent.
    fn report(self) -> BulkWriteReport {
        let last = i64::try_from(USERS).unwrap() - 1;
        let range = |first, last| vec![IndexRange { first, last }];
        let first = range(0, last - 1);
        let mut report = BulkWriteReport {
            not_tried: range(last, last),
            ..BulkWriteReport::default()
        };
        match self {
            Self::NotSent => report.not_tried = range(0, last),
            Self::Unsure | Self::UnsureLate => report.unknown = first,
            Self::Unreadable | Self::HtmlPage | Self::NotGzip | Self::TooLarge => {
                report.applied = first;
            }
            _ => report.failed = first,
        }
        report
    }
}

const MAYBE: &str = "may or may not have been applied";

impl ErrorContent {
    /// Reads a status whose message should contain `expected`.
    pub fn from_status(status: &Status, expected: &str) -> Self {
        assert_well_formed(status);
        let info = status.get_details_error_info().unwrap();
        let text = |name| metadata(status, name).map(str::to_owned);
        let details = rpc_status(status).details;
        let detail = |name: &str| {
            let detail = details.iter().find(|any| any.type_url.ends_with(name));
            detail.map(|any| any.value.as_slice())
        };
        Self {
            code: status.code() as i32,
            domain: info.domain,
            reason: info.reason,
            metadata: info.metadata.into_iter().collect(),
            message: if status.message().contains(expected) {
                expected
            } else {
                status.message()
            }
            .to_owned(),
            retry_after: status
                .get_details_retry_info()
                .and_then(|retry| retry.retry_delay),
            pushback: text("grpc-retry-pushback-ms"),
            has_quota: detail("google.rpc.QuotaFailure").is_some(),
            fields: violations(status),
            correlation: [
                text("inin-correlation-id"),
                status
                    .get_details_request_info()
                    .map(|request| request.request_id),
            ],
            report: detail("BulkWriteReport")
                .map(|report| BulkWriteReport::decode(report).unwrap()),
        }
    }

    pub fn message(&self) -> &str {
        &self.message
    }
}
