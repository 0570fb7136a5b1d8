//! From a failure to a status: code, message, details and metadata.

use std::collections::HashMap;
use std::fmt::Write;
use std::time::Duration;

use http::HeaderValue;
use prost::Message;
use prost_types::Any;
use tonic::metadata::MetadataMap;
use tonic::{Code, Status};
use tonic_types::pb::{
    self, BadRequest, ErrorInfo, QuotaFailure, RequestInfo, RetryInfo, bad_request, quota_failure,
};

use super::{DOMAIN, Error, Failure, Reason, Uncertainty, VENDOR_DOMAIN, Violation, code, reason};
use crate::fields;
use crate::operation::Spec;
use crate::upstream::fault::Fault;

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

/// How much of a text of the vendor's other than its message is passed on.
const MAX_TEXT_BYTES: usize = 128;

/// How many fields are named at most, before the size decides.
const MAX_VIOLATIONS: usize = 16;

/// A status in the making.
struct Draft {
    code: Code,
    message: String,
    domain: &'static str,
    reason: String,
    metadata: HashMap<String, String>,
    violations: Vec<Violation>,
    limits: Vec<quota_failure::Violation>,
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
        }
    }

    fn with(mut self, key: &str, value: impl Into<String>) -> Self {
        self.metadata.insert(key.to_owned(), clip(&value.into(), MAX_TEXT_BYTES));
        self
    }
}

/// The status of a failure.
pub(super) fn status(failure: Failure, time_left: Duration) -> Status {
    let delay = failure.error.retry_delay();
    let never = failure.error.is_outcome_unknown();
    let context_id = match &failure.error {
        Error::Refused(_, fault) => fault.context_id.clone(),
        _ => None,
    };
    let header = failure.correlation_id.or_else(|| HeaderValue::try_from(context_id?).ok());
    let correlation_id = header.as_ref().and_then(|id| id.to_str().ok()).map(str::to_owned);

    let mut draft = draft(failure.error);
    draft.message = clip(&draft.message, MAX_MESSAGE_BYTES);
    if draft.violations.len() > MAX_VIOLATIONS {
        omit(&mut draft, MAX_VIOLATIONS);
    }
    let details = loop {
        let mut details = Vec::new();
        if let Some(report) = &failure.report {
            details.push(any("genesys.presence.v1.BulkWriteReport", report));
        }
        if let Some(request_id) = correlation_id.as_ref().map(|id| clip(id, MAX_TEXT_BYTES)) {
            let serving_data = String::new();
            details.push(any("google.rpc.RequestInfo", &RequestInfo { request_id, serving_data }));
        }
        if let Some(delay) = delay {
            let retry_delay = prost_types::Duration::try_from(delay).ok();
            details.push(any("google.rpc.RetryInfo", &RetryInfo { retry_delay }));
        }
        draft.details(&mut details);
        let status = pb::Status { code: draft.code as i32, message: draft.message.clone(), details };
        let encoded = status.encode_to_vec();
        if on_the_wire(&draft.message) + encoded.len().div_ceil(3) * 4 <= MAX_STATUS_BYTES
            || !shrink(&mut draft)
        {
            break encoded;
        }
    };

    let mut metadata = MetadataMap::new().into_headers();
    if let Some(id) = header {
        metadata.insert(CORRELATION_ID, id);
    }
    if let Some(pushback) = pushback(delay, never, time_left) {
        metadata.insert(PUSHBACK, pushback);
    }
    let metadata = MetadataMap::from_headers(metadata);
    Status::with_details_and_metadata(draft.code, draft.message, details.into(), metadata)
}

impl Draft {
    fn details(&self, details: &mut Vec<Any>) {
        details.push(any(
            "google.rpc.ErrorInfo",
            &ErrorInfo {
                reason: self.reason.clone(),
                domain: self.domain.to_owned(),
                metadata: self.metadata.clone(),
            },
        ));
        if !self.violations.is_empty() {
            let field_violations = self.violations.iter().map(field_violation).collect();
            details.push(any("google.rpc.BadRequest", &BadRequest { field_violations }));
        }
        if !self.limits.is_empty() {
            let violations = self.limits.clone();
            details.push(any("google.rpc.QuotaFailure", &QuotaFailure { violations }));
        }
    }
}

/// The table: what each failure is in gRPC, and what it says to the caller.
fn draft(error: Error) -> Draft {
    let message = message(&error);
    match error {
        Error::Invalid(violations) => {
            let draft = Draft::new(Code::InvalidArgument, Reason::InvalidRequest, message);
            Draft { violations, ..draft }
        }
        Error::Unauthenticated(reason, _) => Draft::new(Code::Unauthenticated, reason, message),
        Error::Overloaded => Draft::new(Code::Unavailable, Reason::Overloaded, message),
        Error::Expired => Draft::new(Code::DeadlineExceeded, Reason::DeadlineExceeded, message),
        Error::Unreachable(_) => {
            Draft::new(Code::Unavailable, Reason::UpstreamUnreachable, message)
        }
        Error::Lost(_) => Draft::new(Code::Unavailable, Reason::UpstreamConnectionLost, message),
        Error::OutcomeUnknown(cause) => {
            let code = match &cause {
                Uncertainty::Expired => Code::DeadlineExceeded,
                Uncertainty::Refused(fault) if fault.status == 504 => Code::DeadlineExceeded,
                _ => Code::Unknown,
            };
            let draft = Draft::new(code, Reason::OutcomeUnknown, message);
            match cause {
                Uncertainty::Refused(fault) => {
                    let draft = draft.with("http_status", fault.status.to_string());
                    match fault.code {
                        Some(code) => draft.with("vendor_code", code),
                        None => draft,
                    }
                }
                _ => draft,
            }
        }
        Error::Refused(spec, fault) => refused(spec, *fault, message),
        Error::Redirected(status) => {
            Draft::new(Code::Internal, Reason::UpstreamRedirect, message)
                .with("http_status", status.to_string())
        }
        Error::Unreadable { spec, .. } => {
            let draft = Draft::new(Code::Internal, Reason::UnreadableAnswer, message);
            if spec.is_read() { draft } else { draft.with("outcome", "applied") }
        }
        Error::NotTried { expired } => {
            let code = if expired { Code::DeadlineExceeded } else { Code::Aborted };
            Draft::new(code, Reason::NotTried, message)
        }
        Error::Protocol(reason, code, _) => Draft::new(code, reason, message),
    }
}

fn refused(spec: &Spec, fault: Fault, message: String) -> Draft {
    let code = code::of(&fault, &spec.method);
    let mut draft = Draft::new(code, Reason::UpstreamError, message)
        .with("http_status", fault.status.to_string());
    if let Some(reason) = fault.code.as_deref().and_then(reason::of_vendor) {
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
            .fields
            .iter()
            .map(|(name, code)| {
                let name = fields::from_vendor(spec.request, body, &clip(name, MAX_TEXT_BYTES));
                let wrong = code.as_deref().or(fault.message.as_deref()).unwrap_or("is not valid");
                Violation::new(name, clip(wrong, MAX_TEXT_BYTES))
            })
            .collect();
    }
    if code == Code::ResourceExhausted {
        let limit = fault.limit.as_ref();
        draft.limits.push(quota_failure::Violation {
            subject: "the caller's token".to_owned(),
            description: clip(fault.message.as_deref().unwrap_or_default(), MAX_TEXT_BYTES),
            api_service: clip(limit.map_or("", |limit| &limit.namespace), MAX_TEXT_BYTES),
            quota_id: clip(limit.map_or("", |limit| &limit.key), MAX_TEXT_BYTES),
            quota_value: limit.and_then(|limit| limit.value).unwrap_or_default(),
            ..quota_failure::Violation::default()
        });
    }
    draft
}

/// What a failure says to the caller: what went wrong, and what to do about it.
fn message(error: &Error) -> String {
    match error {
        Error::Invalid(violations) => match violations.as_slice() {
            [] => "the request is not valid".to_owned(),
            [only] => format!("{} {}", only.field, only.description),
            [first, rest @ ..] => {
                format!("{} {} (and {} more)", first.field, first.description, rest.len())
            }
        },
        Error::Unauthenticated(_, message) => (*message).to_owned(),
        Error::Overloaded => {
            "the gateway has as many calls in flight as it accepts; try again".to_owned()
        }
        Error::Expired => "the deadline passed; nothing was changed by this call".to_owned(),
        Error::Unreachable(why) => {
            format!("no connection to the presence API, so nothing was sent: {why}")
        }
        Error::Lost(why) => {
            format!("the connection to the presence API broke before its answer: {why}")
        }
        Error::OutcomeUnknown(cause) => {
            let why = match cause {
                Uncertainty::Expired => "the deadline passed before the answer".to_owned(),
                Uncertainty::Lost(why) => format!("the connection broke before the answer: {why}"),
                Uncertainty::Refused(fault) => vendor_says(fault),
            };
            format!("the change may or may not have been applied; read before repeating it: {why}")
        }
        Error::Refused(spec, fault) => {
            let mut message = vendor_says(fault);
            if let (403, Some(permissions)) = (fault.status, &spec.permissions) {
                let names = permissions.names.join(", ");
                let mode = if permissions.mode == "ANY" { "any" } else { "all" };
                // `write!` to a `String` cannot fail.
                let _ = write!(message, " ({} needs {mode} of: {names}", spec.name);
                if !permissions.condition.is_empty() {
                    let _ = write!(message, ", {}", permissions.condition);
                }
                message.push(')');
            }
            message
        }
        Error::Redirected(status) => format!(
            "the presence API answered with a redirect ({status}), which is not followed; \
             check the gateway's region or upstream URL"
        ),
        Error::Unreadable { spec, what } => {
            let applied =
                if spec.is_read() { "" } else { "the change was applied, but " };
            format!("{applied}the answer of the presence API cannot be read: {what}")
        }
        Error::NotTried { expired: true } => "not sent, because time ran out".to_owned(),
        Error::NotTried { expired: false } => {
            "not sent, because an earlier batch of the call failed".to_owned()
        }
        Error::Protocol(_, _, message) => message.clone(),
    }
}

fn vendor_says(fault: &Fault) -> String {
    match (&fault.message, fault.is_vendors) {
        (Some(message), _) => message.clone(),
        (None, true) => format!("the presence API answered {}", fault.status),
        (None, false) => {
            format!("the presence API answered {} without an error body of its own", fault.status)
        }
    }
}

fn pushback(delay: Option<Duration>, never: bool, time_left: Duration) -> Option<HeaderValue> {
    match delay {
        _ if never => Some(HeaderValue::from_static("-1")),
        Some(delay) if delay < time_left => {
            Some(i32::try_from(delay.as_millis()).map_or(HeaderValue::from_static("-1"), Into::into))
        }
        Some(_) => Some(HeaderValue::from_static("-1")),
        None => None,
    }
}

fn field_violation(violation: &Violation) -> bad_request::FieldViolation {
    bad_request::FieldViolation {
        field: violation.field.clone(),
        description: violation.description.clone(),
        ..bad_request::FieldViolation::default()
    }
}

fn any(name: &str, message: &impl Message) -> Any {
    Any { type_url: format!("type.googleapis.com/{name}"), value: message.encode_to_vec() }
}

/// Takes the least useful part away; false when nothing is left to take.
fn shrink(draft: &mut Draft) -> bool {
    if draft.violations.len() > 1 {
        omit(draft, draft.violations.len() / 2);
    } else if draft.message.len() > 64 {
        draft.message = clip(&draft.message, draft.message.len() / 2);
    } else if !draft.limits.is_empty() {
        draft.limits.clear();
    } else {
        return false;
    }
    true
}

/// Keeps the first violations and counts the others.
fn omit(draft: &mut Draft, keep: usize) {
    let key = "violations_omitted";
    let before: usize = draft.metadata.get(key).and_then(|n| n.parse().ok()).unwrap_or_default();
    let omitted = before + draft.violations.len() - keep;
    draft.violations.truncate(keep);
    draft.metadata.insert(key.to_owned(), omitted.to_string());
}

/// Cuts a text to `max` bytes as they travel in a header, at a character boundary.
fn clip(text: &str, max: usize) -> String {
    if on_the_wire(text) <= max {
        return text.to_owned();
    }
    let mut size = "...".len();
    let kept = text.chars().take_while(|c| {
        size += on_the_wire(c.encode_utf8(&mut [0; 4]));
        size <= max
    });
    kept.collect::<String>() + "..."
}

/// How many bytes a message takes percent-encoded.
fn on_the_wire(text: &str) -> usize {
    text.bytes()
        .map(|byte| if byte.is_ascii_graphic() && !b"\"#%<>`?{}".contains(&byte) { 1 } else { 3 })
        .sum()
}
