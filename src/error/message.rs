//! What a failure says to the caller: what went wrong, and what to do about it.

use std::fmt::Write;

use super::{Error, NotTried, UnknownOutcome};
use crate::error::fault::Fault;
use crate::operation::Spec;
use crate::proto::v1::{BulkWriteReport, IndexRange};

/// The words of an error.
#[allow(clippy::too_many_lines, reason = "a table")]
pub(super) fn of(error: &Error) -> String {
    match error {
        Error::Invalid(violations) => match violations.as_slice() {
            [] => "the request is not valid".to_owned(),
            [only] => format!("{} {}", only.field, only.description),
            [first, rest @ ..] => {
                format!(
                    "{} {} (and {} more)",
                    first.field,
                    first.description,
                    rest.len()
                )
            }
        },
        Error::Unauthenticated(_, message) => (*message).to_owned(),
        Error::Overloaded => {
            "the gateway has as many calls in flight as it accepts; try again".to_owned()
        }
        Error::MemoryExhausted => {
            "the calls in flight hold as much memory as the gateway gives to messages \
             (--message-memory); nothing was changed; try again"
                .to_owned()
        }
        Error::RateLimited(delay) => format!(
            "the token has used its requests of this minute, or the vendor refuses more, and its \
             next turn, in {:.1} s, comes after the deadline; nothing was sent",
            delay.as_secs_f64()
        ),
        Error::Draining => {
            "the gateway is shutting down; the call was still waiting, and nothing was sent"
                .to_owned()
        }
        Error::TokenConcurrency => {
            "the token has a quarter of all calls that the gateway accepts in flight; \
                          nothing was sent; wait for some of them"
                .to_owned()
        }
        Error::StreamEnding => {
            "the gateway is shutting down; ids that were not read are named in the last message: \
             open another stream for them, which another replica will answer"
                .to_owned()
        }
        Error::StreamIdle(time) => format!(
            "the caller neither sent nor took anything for {time:?} (--stream-idle-timeout); open \
             another stream for what is left"
        ),
        Error::StreamUnused(time) => format!(
            "the stream was opened {time:?} ago and no id has come; open it when there is one to ask for"
        ),
        Error::DeadlineExceeded => {
            "the deadline passed; nothing was changed by this call".to_owned()
        }
        Error::BatchExpired(limit) => format!(
            "the presence API did not answer this batch within {limit:?} (--max-deadline); the \
             rest of the stream goes on"
        ),
        Error::Unsendable(why) => {
            format!("no request to the presence API can be made of the call: {why}")
        }
        Error::Unreachable(why) | Error::ProxyRefused(why) => {
            format!("no connection to the presence API, so nothing was sent: {why}")
        }
        Error::ConnectionLost(why) => {
            format!("the connection to the presence API broke before its answer: {why}")
        }
        Error::OutcomeUnknown(cause) => {
            let why = match cause {
                UnknownOutcome::DeadlineExceeded => {
                    "the deadline passed before the answer".to_owned()
                }
                UnknownOutcome::ConnectionLost(why) => {
                    format!("the connection broke before the answer: {why}")
                }
                UnknownOutcome::Unreadable(what) => {
                    format!("the answer of the presence API cannot be read: {what}")
                }
                UnknownOutcome::UpstreamStatus(fault) => vendor_says(fault),
            };
            format!("the change may or may not have been applied; read before repeating it: {why}")
        }
        Error::UpstreamStatus(spec, fault) => refused(spec, fault),
        Error::Redirected(status) => format!(
            "the presence API answered with a redirect ({status}), which is not followed; \
             check the gateway's region or upstream URL"
        ),
        Error::Unreadable { spec, what } => {
            let applied = if spec.is_read() {
                ""
            } else {
                "the change was applied, but "
            };
            format!("{applied}the answer of the presence API cannot be read: {what}")
        }
        Error::NotTried(NotTried::DeadlineExceeded) => "not sent, because time ran out".to_owned(),
        Error::NotTried(NotTried::CallFailed) => {
            "not sent, because an earlier batch of the call failed".to_owned()
        }
        Error::NotTried(NotTried::OutcomeUnknown) => {
            "not sent, because an earlier update of the same user may still be applied; read the \
             presence before repeating it"
                .to_owned()
        }
        Error::MessageLate(limit) => format!(
            "the request message did not arrive within {limit:?} of its headers; nothing was sent"
        ),
        Error::MessageTooLarge(max) => format!(
            "the message is larger than the limit of {max} bytes; split the request into several \
             calls or messages"
        ),
        Error::ExtraMessage => {
            "the call has more than one message; nothing was sent; make one call for each message"
                .to_owned()
        }
        Error::Malformed(why) => format!("the request is not a message of this RPC: {why}"),
        Error::UnsupportedEncoding(why) => format!(
            "the request is compressed with an unsupported encoding; use gzip, or send it \
             uncompressed: {why}"
        ),
        Error::UnknownMethod => {
            "there is no such RPC: the services are genesys.presence.v1.PresenceService, \
             genesys.presence.v1.PresenceStreamService and \
             genesys.presence.v1.LegacyPresenceService, and server reflection lists their RPCs"
                .to_owned()
        }
        Error::Panicked => {
            "the gateway failed while it served this call (a bug in the gateway); if the call is a \
             write, it may have been applied"
                .to_owned()
        }
        Error::NoStream => "the call has no HTTP/2 stream to run beside".to_owned(),
        Error::CallerGone => "the caller reset the stream, or its connection broke".to_owned(),
        Error::ConnectionDraining => {
            "the connection is being closed because it reached its maximum age; open the stream \
             again on a new connection"
                .to_owned()
        }
        Error::ShuttingDown => {
            "the gateway is shutting down; open the stream again, which another replica will answer"
                .to_owned()
        }
    }
}

/// The vendor's words, with the permissions that may be missing.
fn refused(spec: &Spec, fault: &Fault) -> String {
    let mut message = vendor_says(fault);
    if let (403, Some(permissions)) = (fault.status, &spec.permissions) {
        let names = permissions.names.join(", ");
        let mode = if permissions.mode == "ANY" {
            "any"
        } else {
            "all"
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

fn vendor_says(fault: &Fault) -> String {
    match (fault.message(), fault.body.is_some()) {
        (Some(message), _) => message.to_owned(),
        (None, true) => format!("the presence API answered {}", fault.status),
        (None, false) => {
            format!(
                "the presence API answered {} without an error body of its own",
                fault.status
            )
        }
    }
}

/// What became of a bulk write, in a sentence before its error.
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
