//! The values of `error.type` in metrics and spans: a fixed set, which contains
//! no data of callers.

use super::names::OTHER;
use crate::error::{Error, UnknownOutcome};

/// The error type of a call or an attempt that was cancelled.
pub(super) const CANCELLED: &str = "cancelled";

/// The error type of an attempt that the vendor did not accept, and that is made again.
pub(super) const NOT_ACCEPTED: &str = "not_accepted";

/// Why an attempt of a request failed.
pub(super) fn error_type(error: &Error) -> &'static str {
    match error {
        Error::UpstreamStatus(_, response)
        | Error::OutcomeUnknown(UnknownOutcome::UpstreamStatus(response)) => {
            status(response.status)
        }
        Error::Redirected(_) => "redirected",
        Error::NotProcessed { is_end: true, .. } => NOT_ACCEPTED,
        Error::Unreachable(_) | Error::NotProcessed { .. } | Error::ProxyRefused(_) => {
            "unreachable"
        }
        Error::ConnectionLost(_) | Error::OutcomeUnknown(UnknownOutcome::ConnectionLost(_)) => {
            "connection_lost"
        }
        Error::DeadlineExceeded(_)
        | Error::BatchExpired(_)
        | Error::OutcomeUnknown(UnknownOutcome::DeadlineExceeded(_)) => "timeout",
        Error::Unreadable { .. } | Error::OutcomeUnknown(UnknownOutcome::Unreadable(_)) => {
            "unreadable_answer"
        }
        Error::Unsendable(_) => "unsendable",
        Error::RateLimited { .. } => "quota",
        Error::NotTried(_) => "not_tried",
        Error::Draining | Error::StreamEnding | Error::ConnectionDraining | Error::ShuttingDown => {
            "shutting_down"
        }
        Error::Invalid(_)
        | Error::Unauthenticated(..)
        | Error::RegionNotServed { .. }
        | Error::Overloaded
        | Error::TooManyStreams
        | Error::TooManyWatches
        | Error::WatchesOff
        | Error::TokenWatches
        | Error::TopicRejected { .. }
        | Error::NotificationsUnavailable(_)
        | Error::TokenRevoked
        | Error::WatchIdle(_)
        | Error::MemoryExhausted
        | Error::MessageEvicted
        | Error::TokenConcurrency
        | Error::StreamIdle(_)
        | Error::StreamUnused(_)
        | Error::MessageLate(_)
        | Error::MessageTooLarge(_)
        | Error::ExtraMessage
        | Error::Malformed(_)
        | Error::UnsupportedEncoding(_)
        | Error::UnknownMethod
        | Error::Panicked
        | Error::NoStream
        | Error::CallerGone => OTHER,
    }
}

/// The HTTP status of a failure. The vendor, or a proxy in front of it, may send
/// any number; only those that the vendor documents have a value of their own.
fn status(status: u16) -> &'static str {
    const DOCUMENTED: [&str; 18] = [
        "400", "401", "403", "404", "405", "408", "409", "412", "413", "414", "415", "422", "429",
        "500", "501", "502", "503", "504",
    ];
    let mut documented = DOCUMENTED.into_iter();
    let known = documented.find(|known| known.parse() == Ok(status));
    known.unwrap_or(OTHER)
}
