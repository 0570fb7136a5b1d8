//! What a call comes to, in all that its caller is told.

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

/// What becomes of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Done,
    /// Nothing was sent: there was no connection.
    Unreached,
    /// No part of a bulk write was sent: there was no time.
    NotSent,
    /// There was no time, and nothing was changed.
    TooLate,
    /// The connection broke, and nothing was changed.
    Lost,
    /// A write that may have been applied.
    Unsure,
    /// A write that may have been applied when time ran out.
    UnsureLate,
    /// The answer is none; a write was applied.
    Unreadable,
    /// The answer is compressed; a write was applied.
    NotGzip,
    /// The answer is more than is read; a write was applied.
    TooLarge,
    /// The head of the answer is more than is read.
    HeadTooLarge,
    Redirected,
    /// The vendor refused.
    Is(Code),
}

/// What a caller is told of a failure.
#[derive(Debug, PartialEq, Default)]
pub struct ErrorContent {
    code: i32,
    domain: String,
    reason: String,
    /// The metadata of the reason.
    metadata: BTreeMap<String, String>,
    /// The words that matter, or all of them where those are missing.
    says: String,
    retry_after: Option<Duration>,
    pushback: Option<String>,
    has_quota: bool,
    fields: Vec<String>,
    /// The vendor's name for the call: in the metadata and in the details.
    correlation: [Option<String>; 2],
    report: Option<BulkWriteReport>,
}

impl Outcome {
    /// What the caller of `column` is told when this comes of the fault `row`.
    pub fn expected_error(self, row: &Row, column: &Column) -> ErrorContent {
        let status = row.fault.status();
        let is_vendors = row.fault.is_vendors();
        let (code, reason, says) = match self {
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
            Self::NotGzip => (Code::Internal, "UNREADABLE_ANSWER", "not by gzip"),
            Self::TooLarge => (Code::Internal, "UNREADABLE_ANSWER", "it is larger than"),
            Self::HeadTooLarge => (
                Code::Internal,
                "UNREADABLE_ANSWER",
                "its head has more than 100 lines",
            ),
            Self::Redirected => (Code::Internal, "UPSTREAM_REDIRECT", "redirect"),
            Self::Is(code) if is_vendors => (code, "SOME_VENDOR_CODE", "the vendor's words"),
            Self::Is(code) => (code, "UPSTREAM_ERROR", "without a vendor error body"),
        };
        let is_refused = matches!(self, Self::Is(_));
        let is_unsure = matches!(self, Self::Unsure | Self::UnsureLate);
        let report = column.is_bulk_write().then(|| self.report());
        let is_applied = report
            .as_ref()
            .is_some_and(|report| !report.applied.is_empty());
        let retry_after = row.retry_after.filter(|_| is_refused);
        let pushback = match retry_after {
            _ if is_unsure || is_applied => Some("-1".to_owned()),
            Some(delay) if delay >= row.deadline => Some("-1".to_owned()),
            delay => delay.map(|delay| (delay * 1000).to_string()),
        };
        let is_domain = is_refused && is_vendors;
        let names_fields = is_domain && code == Code::InvalidArgument;
        let correlation = status.map(|_| CORRELATION_ID.to_owned());
        ErrorContent {
            code: code as i32,
            domain: if is_domain {
                "genesys.cloud"
            } else {
                "presence-gateway"
            }
            .to_owned(),
            reason: reason.to_owned(),
            metadata: self.error_metadata(row, column),
            says: says.to_owned(),
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
                if row.fault.is_vendors() {
                    put("vendor_code", "some.vendor.code".to_owned());
                }
            }
            // Of a bulk write, the report says it: there is a batch that was not.
            (Self::Unreadable | Self::NotGzip | Self::TooLarge, _)
                if column.is_write() && !column.is_bulk_write() =>
            {
                put("outcome", "applied".to_owned());
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

    /// What is told of the updates of a bulk write: the first batch met the
    /// fault, and the second was never sent.
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
            Self::Unreadable | Self::NotGzip | Self::TooLarge => report.applied = first,
            _ => report.failed = first,
        }
        report
    }
}

const MAYBE: &str = "may or may not have been applied";

impl ErrorContent {
    /// What a status tells, which should say `says`.
    pub fn from_status(status: &Status, says: &str) -> Self {
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
            says: if status.message().contains(says) {
                says
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

    pub fn says(&self) -> &str {
        &self.says
    }
}
