//! The table: what each failure is in gRPC.

use std::collections::HashMap;

use prost::Message;
use prost_types::Any;
use tonic::Code;
use tonic_types::pb::{BadRequest, ErrorInfo, QuotaFailure, bad_request, quota_failure};

use super::text::clip;
use super::{
    DOMAIN, Error, NotTried, Reason, UnknownOutcome, VENDOR_DOMAIN, Violation, code, message,
    reason,
};
use crate::error::fault::Fault;
use crate::fields;
use crate::operation::Spec;
use crate::proto::v1::BulkWriteReport;

/// How much of a text of the vendor's other than its message is passed on.
const MAX_TEXT_BYTES: usize = 128;

/// The metadata that says what became of a write whose answer is no use.
const OUTCOME: &str = "outcome";

/// Whose limit it is that was reached.
const TOKEN: &str = "the caller's token";

/// A status in the making.
pub(super) struct Draft {
    pub code: Code,
    pub message: String,
    domain: &'static str,
    reason: String,
    metadata: HashMap<String, String>,
    violations: Vec<Violation>,
    limits: Vec<quota_failure::Violation>,
    omitted: usize,
}

impl Draft {
    fn new(code: Code, reason: Reason, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            domain: DOMAIN,
            reason: reason.as_str().to_owned(),
            metadata: HashMap::new(),
            violations: Vec::new(),
            limits: Vec::new(),
            omitted: 0,
        }
    }

    fn with(mut self, key: &str, value: impl Into<String>) -> Self {
        self.metadata
            .insert(key.to_owned(), clip(&value.into(), MAX_TEXT_BYTES));
        self
    }
}

impl Draft {
    /// The table: what each failure is in gRPC, and what it says to the caller.
    pub(super) fn of(error: Error) -> Self {
        let message = message::of(&error);
        match error {
            Error::Invalid(violations) => {
                let draft = Draft::new(Code::InvalidArgument, Reason::InvalidRequest, message);
                Draft {
                    violations,
                    ..draft
                }
            }
            Error::Unauthenticated(reason, _) => Draft::new(Code::Unauthenticated, reason, message),
            Error::Overloaded | Error::MemoryExhausted => {
                Draft::new(Code::Unavailable, Reason::Overloaded, message)
            }
            Error::RateLimited(_) => {
                let mut draft = Draft::new(Code::ResourceExhausted, Reason::TokenQuota, message);
                draft.limits.push(quota_failure::Violation {
                    subject: TOKEN.to_owned(),
                    description: "requests a minute, as the gateway counts them".to_owned(),
                    ..Default::default()
                });
                draft
            }
            Error::Draining | Error::StreamEnding | Error::ShuttingDown => {
                Draft::new(Code::Unavailable, Reason::ShuttingDown, message)
            }
            Error::TokenConcurrency => {
                Draft::new(Code::ResourceExhausted, Reason::TokenOverloaded, message)
            }
            Error::StreamIdle(_) | Error::StreamUnused(_) => {
                Draft::new(Code::Aborted, Reason::StreamIdle, message)
            }
            Error::DeadlineExceeded | Error::BatchExpired(_) => {
                Draft::new(Code::DeadlineExceeded, Reason::DeadlineExceeded, message)
            }
            Error::Unsendable(_) | Error::Panicked | Error::NoStream => {
                Draft::new(Code::Internal, Reason::Internal, message)
            }
            Error::Unreachable(_) | Error::ProxyRefused(_) => {
                Draft::new(Code::Unavailable, Reason::UpstreamUnreachable, message)
            }
            Error::ConnectionLost(_) => {
                Draft::new(Code::Unavailable, Reason::UpstreamConnectionLost, message)
            }
            Error::OutcomeUnknown(cause) => {
                let code = match &cause {
                    UnknownOutcome::DeadlineExceeded => Code::DeadlineExceeded,
                    UnknownOutcome::UpstreamStatus(fault) if fault.status == 504 => {
                        Code::DeadlineExceeded
                    }
                    _ => Code::Unknown,
                };
                let draft = Draft::new(code, Reason::OutcomeUnknown, message);
                match cause {
                    UnknownOutcome::UpstreamStatus(fault) => {
                        let draft = draft.with("http_status", fault.status.to_string());
                        match fault.code() {
                            Some(code) => draft.with("vendor_code", code),
                            None => draft,
                        }
                    }
                    _ => draft,
                }
            }
            Error::UpstreamStatus(spec, fault) => refused(spec, &fault, message),
            Error::Redirected(status) => {
                Draft::new(Code::Internal, Reason::UpstreamRedirect, message)
                    .with("http_status", status.to_string())
            }
            Error::Unreadable { spec, .. } => {
                let draft = Draft::new(Code::Internal, Reason::UnreadableAnswer, message);
                if spec.is_read() {
                    draft
                } else {
                    draft.with(OUTCOME, "applied")
                }
            }
            Error::NotTried(why) => {
                let code = match why {
                    NotTried::DeadlineExceeded => Code::DeadlineExceeded,
                    NotTried::CallFailed | NotTried::OutcomeUnknown => Code::Aborted,
                };
                Draft::new(code, Reason::NotTried, message)
            }
            Error::MessageLate(_) => {
                Draft::new(Code::DeadlineExceeded, Reason::DeadlineExceeded, message)
            }
            Error::MessageTooLarge(_) => {
                Draft::new(Code::ResourceExhausted, Reason::MessageTooLarge, message)
            }
            Error::ExtraMessage | Error::UnsupportedEncoding(_) => {
                Draft::new(Code::Unimplemented, Reason::MalformedRequest, message)
            }
            Error::Malformed(_) => Draft::new(Code::Internal, Reason::MalformedRequest, message),
            Error::UnknownMethod => Draft::new(Code::Unimplemented, Reason::UnknownMethod, message),
            Error::CallerGone => Draft::new(Code::Cancelled, Reason::MalformedRequest, message),
            Error::ConnectionDraining => {
                Draft::new(Code::Unavailable, Reason::ConnectionDraining, message)
            }
        }
    }

    /// Adds what became of the bulk write that the error speaks for.
    pub(super) fn tell(&mut self, report: &BulkWriteReport) {
        self.message.insert_str(0, &message::summary(report));
        let rest = [&report.failed, &report.unknown, &report.not_tried];
        if rest.iter().any(|ranges| !ranges.is_empty()) {
            // True of a part, it would be taken for the whole.
            self.metadata.remove(OUTCOME);
        }
    }

    /// The details that the error itself has.
    pub(super) fn details(&self) -> Vec<Any> {
        let info = ErrorInfo {
            reason: self.reason.clone(),
            domain: self.domain.to_owned(),
            metadata: self.metadata.clone(),
        };
        let mut details = vec![any("google.rpc.ErrorInfo", &info)];
        if !self.violations.is_empty() {
            let field_violations = self.violations.iter().map(field_violation).collect();
            details.push(any(
                "google.rpc.BadRequest",
                &BadRequest { field_violations },
            ));
        }
        if !self.limits.is_empty() {
            let violations = self.limits.clone();
            details.push(any("google.rpc.QuotaFailure", &QuotaFailure { violations }));
        }
        details
    }

    /// Takes the least useful part away; false when nothing is left to take.
    pub(super) fn shrink(&mut self) -> bool {
        if self.violations.len() > 1 {
            self.keep_violations(self.violations.len() / 2);
        } else if self.message.len() > 64 {
            self.message = clip(&self.message, self.message.len() / 2);
        } else if !self.limits.is_empty() {
            self.limits.clear();
        } else {
            return false;
        }
        true
    }

    /// Keeps the first violations and counts the others.
    pub(super) fn keep_violations(&mut self, keep: usize) {
        let before = self.violations.len();
        if before > keep {
            self.violations.truncate(keep);
            self.omitted += before - keep;
            self.metadata
                .insert("violations_omitted".to_owned(), self.omitted.to_string());
        }
    }
}

fn refused(spec: &Spec, fault: &Fault, message: String) -> Draft {
    let code = code::from_fault(fault, &spec.method);
    let mut draft = Draft::new(code, Reason::UpstreamError, message)
        .with("http_status", fault.status.to_string());
    if let Some(reason) = fault.code().and_then(reason::of_vendor) {
        draft.domain = VENDOR_DOMAIN;
        draft.reason = reason;
    }
    if let (403, Some(permissions)) = (fault.status, &spec.permissions) {
        draft = draft
            .with("required_permissions", permissions.names.join(","))
            .with("required_permissions_mode", permissions.mode);
    }
    if code == Code::InvalidArgument {
        let body = spec.body.map(|body| body.proto);
        draft.violations = fault
            .fields()
            .into_iter()
            .map(|(name, code)| {
                let name = clip(name, MAX_TEXT_BYTES);
                let name = fields::from_vendor(spec.request, body, &name, &fault.positions);
                let wrong = code.or(fault.message()).unwrap_or("is not valid");
                Violation::new(name, clip(wrong, MAX_TEXT_BYTES))
            })
            .collect();
    }
    if code == Code::ResourceExhausted {
        let limit = fault.limit();
        draft.limits.push(quota_failure::Violation {
            subject: TOKEN.to_owned(),
            description: clip(fault.message().unwrap_or_default(), MAX_TEXT_BYTES),
            api_service: clip(
                limit
                    .and_then(|limit| limit.namespace.as_deref())
                    .unwrap_or_default(),
                MAX_TEXT_BYTES,
            ),
            quota_id: clip(
                limit
                    .and_then(|limit| limit.key.as_deref())
                    .unwrap_or_default(),
                MAX_TEXT_BYTES,
            ),
            quota_value: limit.and_then(|limit| limit.value).unwrap_or_default(),
            ..quota_failure::Violation::default()
        });
    }
    draft
}

fn field_violation(violation: &Violation) -> bad_request::FieldViolation {
    bad_request::FieldViolation {
        field: violation.field.clone(),
        description: violation.description.clone(),
        ..bad_request::FieldViolation::default()
    }
}

pub(super) fn any(name: &str, message: &impl Message) -> Any {
    Any {
        type_url: format!("type.googleapis.com/{name}"),
        value: message.encode_to_vec(),
    }
}
