//! The code, the reason and the details of each error.

use prost_types::Any;
use tonic::Code;
use tonic_types::pb::{BadRequest, ErrorInfo, QuotaFailure, bad_request, quota_failure};

use super::details::any;
use super::text::truncate;
use super::{
    DOMAIN, Error, Expired, NotTried, Reason, TimeLimit, UnknownOutcome, VENDOR_DOMAIN, Violation,
    code, message, reason,
};
use crate::error::response::ErrorResponse;
use crate::fields;
use crate::operation::Spec;
use crate::proto::v1::BulkWriteReport;

/// The longest vendor text, other than its message, that is passed on, in bytes.
const MAX_TEXT_BYTES: usize = 128;

/// The metadata key of the outcome of a write with an unreadable response.
const OUTCOME: &str = "outcome";

/// The metadata key of the regions that a call can choose.
const SERVED_REGIONS: &str = "served_regions";

/// The metadata key of a deadline that is not the caller's.
pub const DEADLINE: &str = "deadline";

/// The value of [`DEADLINE`] for one that the shutdown of the gateway cut.
pub const CUT_BY_SHUTDOWN: &str = "cut by shutdown";

/// The subject of a `QuotaFailure`: whose limit was reached.
const TOKEN: &str = "the caller's token";

/// The code and the reason of a deadline that passed.
const EXPIRED: (Code, Reason) = (Code::DeadlineExceeded, Reason::DeadlineExceeded);

/// The code and the reason of an RPC that the gateway does not serve.
const NOT_SERVED: (Code, Reason) = (Code::Unimplemented, Reason::UnknownMethod);

/// A status under construction.
pub(super) struct StatusBuilder {
    pub code: Code,
    pub message: String,
    info: ErrorInfo,
    fields: BadRequest,
    limits: QuotaFailure,
    omitted: usize,
}

impl StatusBuilder {
    /// The status of an error. This match is the table from errors to gRPC.
    pub(super) fn new(error: Error) -> Self {
        let mut status = Self {
            code: Code::Internal,
            message: error.to_string(),
            info: ErrorInfo::default(),
            fields: BadRequest::default(),
            limits: QuotaFailure::default(),
            omitted: 0,
        };
        let (code, reason) = match error {
            Error::Invalid(violations) => {
                status.add_fields(violations);
                (Code::InvalidArgument, Reason::InvalidRequest)
            }
            Error::Unauthenticated(reason, _) => (Code::Unauthenticated, reason),
            Error::RegionNotServed { served, .. } => {
                let served = served.map(|served| (SERVED_REGIONS.to_owned(), served));
                status.info.metadata.extend(served);
                (Code::InvalidArgument, Reason::RegionNotServed)
            }
            Error::Overloaded
            | Error::TooManyStreams
            | Error::TooManyWatches
            | Error::MemoryExhausted
            | Error::MessageEvicted => (Code::Unavailable, Reason::Overloaded),
            Error::RateLimited { delay, refused } => {
                status.add_exceeded(message::exceeded_limit(delay, refused));
                (Code::ResourceExhausted, Reason::TokenQuota)
            }
            Error::Draining | Error::StreamEnding | Error::ShuttingDown => {
                (Code::Unavailable, Reason::ShuttingDown)
            }
            Error::TokenConcurrency | Error::TokenWatches => {
                (Code::ResourceExhausted, Reason::TokenOverloaded)
            }
            Error::TopicRejected { permissions, .. } => {
                status.add_permissions(&permissions);
                (Code::PermissionDenied, Reason::TopicRejected)
            }
            Error::NotificationsUnavailable(_) => {
                (Code::Unavailable, Reason::NotificationsUnavailable)
            }
            Error::TokenRevoked => (Code::Unauthenticated, Reason::TokenRevoked),
            Error::StreamIdle(_) | Error::StreamUnused(_) | Error::WatchIdle(_) => {
                (Code::Aborted, Reason::StreamIdle)
            }
            Error::DeadlineExceeded(expired) => {
                status.add_limit(expired);
                EXPIRED
            }
            Error::BatchExpired(_) | Error::MessageLate(_) => EXPIRED,
            Error::Unreachable(_) | Error::NotProcessed { .. } | Error::ProxyRefused(_) => {
                (Code::Unavailable, Reason::UpstreamUnreachable)
            }
            Error::ConnectionLost(_) => (Code::Unavailable, Reason::UpstreamConnectionLost),
            Error::OutcomeUnknown(cause) => {
                (status.outcome_unknown(&cause), Reason::OutcomeUnknown)
            }
            Error::UpstreamStatus(spec, response) => (
                status.upstream_status(spec, &response),
                Reason::UpstreamError,
            ),
            Error::Redirected(http_status) => {
                status.add("http_status", http_status.to_string());
                (Code::Internal, Reason::UpstreamRedirect)
            }
            Error::Unreadable {
                spec, http_status, ..
            } => {
                if let Some(http_status) = http_status {
                    status.add("http_status", http_status.to_string());
                }
                if !spec.is_read {
                    status.add(OUTCOME, "applied");
                }
                (Code::Internal, Reason::UnreadableAnswer)
            }
            Error::NotTried(NotTried::DeadlineExceeded) => {
                (Code::DeadlineExceeded, Reason::NotTried)
            }
            Error::NotTried(NotTried::CallFailed | NotTried::OutcomeUnknown) => {
                (Code::Aborted, Reason::NotTried)
            }
            Error::MessageTooLarge(_) => (Code::ResourceExhausted, Reason::MessageTooLarge),
            Error::ExtraMessage | Error::UnsupportedEncoding(_) => {
                (Code::Unimplemented, Reason::MalformedRequest)
            }
            Error::Malformed(_) => (Code::Internal, Reason::MalformedRequest),
            Error::CallerGone => (Code::Cancelled, Reason::MalformedRequest),
            Error::UnknownMethod | Error::WatchesOff => NOT_SERVED,
            Error::Unsendable(_) | Error::Panicked | Error::NoStream => {
                (Code::Internal, Reason::Internal)
            }
            Error::ConnectionDraining => (Code::Unavailable, Reason::ConnectionDraining),
        };
        status.code = code;
        if status.info.reason.is_empty() {
            status.info.reason = reason.as_str().into();
            status.info.domain = DOMAIN.into();
        }
        status
    }

    /// Adds an entry to the metadata of `ErrorInfo`.
    fn add(&mut self, key: &str, value: impl Into<String>) {
        let value = truncate(&value.into(), MAX_TEXT_BYTES);
        self.info.metadata.insert(key.to_owned(), value);
    }

    /// Adds that a shutdown cut the deadline: another replica may have the time.
    fn add_limit(&mut self, expired: Expired) {
        if expired.limit == TimeLimit::Drain {
            self.add(DEADLINE, CUT_BY_SHUTDOWN);
        }
    }

    /// Adds the limit of the token that was exceeded.
    fn add_exceeded(&mut self, description: String) {
        self.limits.violations.push(quota_failure::Violation {
            subject: TOKEN.to_owned(),
            description,
            ..Default::default()
        });
    }

    /// Adds the permissions that the vendor misses, where it names them.
    fn add_permissions(&mut self, permissions: &[String]) {
        if !permissions.is_empty() {
            self.add("required_permissions", permissions.join(","));
        }
    }

    fn add_fields(&mut self, violations: impl IntoIterator<Item = Violation>) {
        let violations = violations.into_iter();
        let fields = violations.map(|violation| bad_request::FieldViolation {
            field: violation.field,
            description: violation.description,
            ..Default::default()
        });
        self.fields.field_violations.extend(fields);
    }

    /// Adds the known details of a write with an unknown outcome; returns its code.
    fn outcome_unknown(&mut self, cause: &UnknownOutcome) -> Code {
        match cause {
            UnknownOutcome::DeadlineExceeded(expired) => {
                self.add_limit(*expired);
                Code::DeadlineExceeded
            }
            UnknownOutcome::ConnectionLost(_) | UnknownOutcome::Unreadable(_) => Code::Unknown,
            UnknownOutcome::UpstreamStatus(response) => {
                self.add("http_status", response.status.to_string());
                if let Some(code) = response.code() {
                    self.add("vendor_code", code);
                }
                match response.status {
                    504 => Code::DeadlineExceeded,
                    _ => Code::Unknown,
                }
            }
        }
    }

    /// Adds the details of an upstream error; returns its code.
    fn upstream_status(&mut self, spec: &Spec, response: &ErrorResponse) -> Code {
        let code = code::from_response(response, &spec.method);
        self.add("http_status", response.status.to_string());
        if let Some(reason) = response.code().and_then(reason::from_vendor_code) {
            self.info.domain = VENDOR_DOMAIN.into();
            self.info.reason = reason;
        }
        if let (403, Some(permissions)) = (response.status, &spec.permissions) {
            self.add("required_permissions", permissions.names.join(","));
            self.add("required_permissions_mode", permissions.mode);
        }
        if code == Code::InvalidArgument {
            let body = spec.body.map(|body| body.proto);
            let fields = response.fields().into_iter().map(|(name, code)| {
                let name = truncate(name, MAX_TEXT_BYTES);
                let name = fields::from_vendor(spec.request, body, &name, &response.positions);
                let wrong = code.or(response.message()).unwrap_or("is not valid");
                Violation::new(name, truncate(wrong, MAX_TEXT_BYTES))
            });
            self.add_fields(fields);
        }
        if code == Code::ResourceExhausted {
            let limit = response.body.as_ref().and_then(|body| body.limit.as_ref());
            let short = |text: Option<&str>| truncate(text.unwrap_or_default(), MAX_TEXT_BYTES);
            self.limits.violations.push(quota_failure::Violation {
                subject: TOKEN.to_owned(),
                description: short(response.message()),
                api_service: short(limit.and_then(|limit| limit.namespace.as_deref())),
                quota_id: short(limit.and_then(|limit| limit.key.as_deref())),
                quota_value: limit.and_then(|limit| limit.value).unwrap_or_default(),
                ..Default::default()
            });
        }
        code
    }

    /// Adds the report of the bulk write that failed with this error.
    pub(super) fn add_report(&mut self, report: &BulkWriteReport) {
        self.message.insert_str(0, &message::summary(report));
        let rest = [&report.failed, &report.unknown, &report.not_tried];
        if rest.iter().any(|ranges| !ranges.is_empty()) {
            // It is the outcome of one batch, not that of the whole call.
            self.info.metadata.remove(OUTCOME);
        }
    }

    /// The details that come from the error itself.
    pub(super) fn details(&self) -> Vec<Any> {
        let mut details = vec![any("google.rpc.ErrorInfo", &self.info)];
        if !self.fields.field_violations.is_empty() {
            details.push(any("google.rpc.BadRequest", &self.fields));
        }
        if !self.limits.violations.is_empty() {
            details.push(any("google.rpc.QuotaFailure", &self.limits));
        }
        details
    }

    /// Removes the least useful part; false if nothing is left to remove.
    pub(super) fn shrink(&mut self) -> bool {
        let fields = self.fields.field_violations.len();
        if fields > 1 {
            self.keep_violations(fields / 2);
        } else if self.message.len() > 64 {
            self.message = truncate(&self.message, self.message.len() / 2);
        } else if !self.limits.violations.is_empty() {
            self.limits.violations.clear();
        } else {
            return false;
        }
        true
    }

    /// Keeps the first violations, and counts the others in the metadata.
    pub(super) fn keep_violations(&mut self, keep: usize) {
        let before = self.fields.field_violations.len();
        if before > keep {
            self.fields.field_violations.truncate(keep);
            self.omitted += before - keep;
            self.add("violations_omitted", self.omitted.to_string());
        }
    }
}
