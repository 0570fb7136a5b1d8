//! The parts of messages that depend on more than the text of an error.

use std::time::Duration;

use super::UnreadableBody;
use crate::error::response::ErrorResponse;
use crate::operation::{Spec, Violation};
use crate::proto::v1::{BulkWriteReport, IndexRange};

/// The first of the violations, and how many more there are.
pub(super) fn invalid(violations: &[Violation]) -> String {
    match violations {
        [] => "the request is not valid".to_owned(),
        [only] => format!("{} {}", only.field, only.description),
        [first, rest @ ..] => {
            let (field, wrong) = (&first.field, &first.description);
            format!("{field} {wrong} (and {} more)", rest.len())
        }
    }
}

/// What is wrong with the region of a call, and which are served.
pub(super) fn region(problem: &str, served: Option<&str>) -> String {
    let served = match served {
        Some(served) if served.contains(',') => {
            format!("it serves {served}; the first is the default")
        }
        Some(only) => format!("it serves {only} alone, also without this metadata"),
        None => "it has a single upstream without regions: leave this metadata out".to_owned(),
    };
    format!("the metadata genesys-region {problem} ({served}); nothing was sent")
}

/// A token that may not send its next request before the deadline.
pub(super) fn rate_limited(delay: Duration, refused: Option<Duration>) -> String {
    let why = match refused {
        Some(ago) => {
            let ago = ago.as_secs();
            format!("the presence API answered 429 to the token {ago} s ago")
        }
        None => "rate limit of the token, as counted by the gateway".to_owned(),
    };
    let delay = delay.as_secs_f64();
    format!(
        "{why}: its next request can start in {delay:.1} s, which is after the deadline; nothing \
         was sent; try again then, or with a longer deadline"
    )
}

/// The limit that such a token has reached.
pub(super) fn exceeded_limit(delay: Duration, refused: Option<Duration>) -> String {
    match refused {
        Some(ago) => format!(
            "requests, as limited by the presence API: it answered 429 {} s ago, and the gateway \
             sends the token's next one in {:.1} s",
            ago.as_secs(),
            delay.as_secs_f64()
        ),
        None => "requests per minute, as counted by the gateway".to_owned(),
    }
}

/// An unreadable response: of a success, by which a write was applied.
pub(super) fn unreadable(spec: &Spec, http_status: Option<u16>, what: &UnreadableBody) -> String {
    let status = http_status.map(|status| format!("HTTP {status}"));
    match what {
        UnreadableBody::Html => {
            let status = status.unwrap_or_default();
            let page = "it is an HTML page, most likely of a proxy or a login page that answered \
                        in place of the presence API; check the gateway's upstream and proxy";
            if spec.is_read {
                format!("the response ({status}) cannot be read: {page}")
            } else {
                format!(
                    "by its status ({status}), the change was applied, but the response cannot be \
                     read: {page}, and read the current state"
                )
            }
        }
        UnreadableBody::Other(what) => {
            let applied = if spec.is_read {
                ""
            } else {
                "the change was applied, but "
            };
            let status = status.map(|status| format!(" ({status})"));
            let status = status.unwrap_or_default();
            format!("{applied}the response of the presence API{status} cannot be read: {what}")
        }
    }
}

/// A topic that the vendor rejects.
pub(super) fn topic_rejected(why: Option<&str>, permissions: &[String]) -> String {
    let why = why
        .filter(|why| !why.is_empty())
        .map(|why| format!(": {why}"));
    let needed = match permissions {
        [] => String::new(),
        permissions => format!(" (it needs {})", permissions.join(", ")),
    };
    let why = why.unwrap_or_default();
    format!("the presence API does not notify the token of this user{why}{needed}")
}

/// The upstream's message, followed by the permissions that may be missing.
pub(super) fn with_permissions(spec: &Spec, response: &ErrorResponse) -> String {
    let message = upstream_message(response);
    let (403, Some(permissions)) = (response.status, &spec.permissions) else {
        return message;
    };
    let mode = permissions.mode.to_ascii_lowercase();
    let mut needed = permissions.names.to_vec();
    if !permissions.condition.is_empty() {
        needed.push(permissions.condition);
    }
    let needed = needed.join(", ");
    format!("{message} ({} needs {mode} of: {needed})", spec.name)
}

pub(super) fn upstream_message(response: &ErrorResponse) -> String {
    match (response.message(), response.body.is_some()) {
        (Some(message), _) => message.to_owned(),
        (None, true) => format!("the presence API answered {}", response.status),
        (None, false) => format!(
            "the upstream answered {} without a vendor error body",
            response.status
        ),
    }
}

/// How many updates of a bulk write were applied, as a prefix of its message.
pub(super) fn summary(report: &BulkWriteReport) -> String {
    let size = |range: &IndexRange| range.last - range.first + 1;
    let count = |ranges: &[IndexRange]| ranges.iter().map(size).sum::<i64>();
    let (applied, unknown) = (count(&report.applied), count(&report.unknown));
    let total = applied + unknown + count(&report.failed) + count(&report.not_tried);
    let unknown = match unknown {
        0 => String::new(),
        unknown => format!(", {unknown} may have been"),
    };
    format!("{applied} of {total} updates were applied{unknown}: ")
}
