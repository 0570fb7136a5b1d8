//! The message of each status: what went wrong, and what the caller can do.

use std::fmt::Write;

use super::{Error, NotTried, UnknownOutcome};
use crate::error::fault::Fault;
use crate::operation::Spec;
use crate::proto::v1::{BulkWriteReport, IndexRange};

/// The message of an error.
#[allow(clippy::too_many_lines, reason = "a table")]
pub(super) fn describe(error: &Error) -> String {
    match error {
        Error::Invalid(violations) => match violations.as_slice() {
            [] => "the request is not valid".to_owned(),
            [only] => format!("{} {}", only.field, only.description),
            [first, rest @ ..] => format!(
                "{} {} (and {} more)",
                first.field,
                first.description,
                rest.len()
            ),
        },
        Error::Unauthenticated(_, message) => (*message).to_owned(),
        Error::Overloaded => "the gateway is at its limit of concurrent calls (--max-in-flight) \
             or of tokens; nothing was sent; try again after a delay"
            .to_owned(),
        Error::MemoryExhausted => "calls in flight use all of the gateway's memory for messages \
             (--message-memory), or this token's share of it; nothing was changed; try again \
             after a delay"
            .to_owned(),
        Error::RateLimited(delay) => format!(
            "rate limit of the token: its next request can start in {:.1} s, which is after the \
             deadline; nothing was sent; try again then, or with a longer deadline",
            delay.as_secs_f64()
        ),
        Error::Draining => "the gateway is shutting down; the call was still queued, and nothing \
             was sent; try again, another replica will answer"
            .to_owned(),
        Error::TokenConcurrency => "the token already uses its share (25 %) of concurrent calls; \
             nothing was sent; try again when other calls have finished"
            .to_owned(),
        Error::StreamEnding => "the gateway is shutting down; the last message lists the ids that \
             were not read; open another stream for them, another replica will answer"
            .to_owned(),
        Error::StreamIdle(timeout) => format!(
            "the caller neither sent nor received anything for {timeout:?} \
             (--stream-idle-timeout); open another stream for the remaining ids"
        ),
        Error::StreamUnused(timeout) => format!(
            "no id arrived within {timeout:?} of the start of the stream; open the stream when \
             there are ids to read"
        ),
        Error::DeadlineExceeded => {
            "the deadline passed; nothing was changed by this call".to_owned()
        }
        Error::BatchExpired(limit) => format!(
            "the presence API did not answer this batch within {limit:?} (--max-deadline); the \
             stream continues with the other batches"
        ),
        Error::Unsendable(why) => {
            format!("the call cannot be turned into a request to the presence API: {why}")
        }
        Error::Unreachable(why) | Error::ProxyRefused(why) => {
            format!("cannot connect to the presence API, so nothing was sent: {why}")
        }
        Error::ConnectionLost(why) => {
            format!("the connection to the presence API broke before the answer arrived: {why}")
        }
        Error::OutcomeUnknown(cause) => {
            let why = match cause {
                UnknownOutcome::DeadlineExceeded => {
                    "the deadline passed before the answer arrived".to_owned()
                }
                UnknownOutcome::ConnectionLost(why) => {
                    format!("the connection broke before the answer arrived: {why}")
                }
                UnknownOutcome::Unreadable(what) => {
                    format!("the answer of the presence API cannot be read: {what}")
                }
                UnknownOutcome::UpstreamStatus(fault) => upstream_message(fault),
            };
            format!(
                "the change may or may not have been applied; read the current state before you \
                 repeat it: {why}"
            )
        }
        Error::UpstreamStatus(spec, fault) => with_permissions(spec, fault),
        Error::Redirected(status) => format!(
            "the presence API answered with a redirect ({status}), which the gateway does not \
             follow; check the gateway's region or upstream URL"
        ),
        Error::Unreadable { spec, what } => {
            let applied = if spec.is_read() {
                ""
            } else {
                "the change was applied, but "
            };
            format!("{applied}the answer of the presence API cannot be read: {what}")
        }
        Error::NotTried(NotTried::DeadlineExceeded) => {
            "not sent, because the deadline passed".to_owned()
        }
        Error::NotTried(NotTried::CallFailed) => {
            "not sent, because an earlier batch of the call failed".to_owned()
        }
        Error::NotTried(NotTried::OutcomeUnknown) => "not sent, because an earlier update of the \
             same user may still be applied; read the user's presence before you repeat it"
            .to_owned(),
        Error::MessageLate(limit) => format!(
            "the request message did not arrive within {limit:?} of its headers; nothing was sent"
        ),
        Error::MessageTooLarge(max) => format!(
            "the message is larger than the limit of {max} bytes; split the request into several \
             calls or messages"
        ),
        Error::ExtraMessage => "the call has more than one message; nothing was sent; make one \
             call for each message"
            .to_owned(),
        Error::Malformed(why) => format!("the request is not a message of this RPC: {why}"),
        Error::UnsupportedEncoding(why) => format!(
            "the request is compressed with an unsupported encoding; use gzip, or send it \
             uncompressed: {why}"
        ),
        Error::UnknownMethod => "there is no such RPC; the services are \
             genesys.presence.v1.PresenceService, genesys.presence.v1.PresenceStreamService and \
             genesys.presence.v1.LegacyPresenceService; server reflection lists their RPCs"
            .to_owned(),
        Error::Panicked => "the gateway failed while it handled this call, which is a bug in the \
             gateway; if the call is a write, it may have been applied"
            .to_owned(),
        Error::NoStream => "the call does not run on an HTTP/2 stream of the gateway".to_owned(),
        Error::CallerGone => "the caller reset the stream, or its connection broke".to_owned(),
        Error::ConnectionDraining => "the connection is being closed because of its age; open the \
             stream again on a new connection"
            .to_owned(),
        Error::ShuttingDown => "the gateway is shutting down; open the stream again, another \
             replica will answer"
            .to_owned(),
    }
}

/// The upstream's message, followed by the permissions that may be missing.
fn with_permissions(spec: &Spec, fault: &Fault) -> String {
    let mut message = upstream_message(fault);
    if let (403, Some(permissions)) = (fault.status, &spec.permissions) {
        let names = permissions.names.join(", ");
        let mode = match permissions.mode {
            "ANY" => "any",
            _ => "all",
        };
        // `write!` to a `String` cannot fail.
        let _ = write!(message, " ({} needs {mode} of: {names}", spec.name);
        if !permissions.condition.is_empty() {
            let _ = write!(message, ", {}", permissions.condition);
        }
        message.push(')');
    }
    message
}

fn upstream_message(fault: &Fault) -> String {
    match (fault.message(), fault.body.is_some()) {
        (Some(message), _) => message.to_owned(),
        (None, true) => format!("the presence API answered {}", fault.status),
        (None, false) => format!(
            "the upstream answered {} without a vendor error body",
            fault.status
        ),
    }
}

/// How many updates of a bulk write were applied, as a prefix of its message.
pub(super) fn summary(report: &BulkWriteReport) -> String {
    let count = |ranges: &[IndexRange]| -> i64 {
        ranges
            .iter()
            .map(|range| range.last - range.first + 1)
            .sum()
    };
    let (applied, unknown) = (count(&report.applied), count(&report.unknown));
    let total = applied + unknown + count(&report.failed) + count(&report.not_tried);
    let unknown = match unknown {
        0 => String::new(),
        unknown => format!(", {unknown} may have been"),
    };
    format!("{applied} of {total} updates were applied{unknown}: ")
}
