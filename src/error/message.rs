//! The parts of messages that depend on more than the text of an error.

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

/// The start of a message about an unreadable response of a success: a write was
/// applied.
pub(super) fn applied(spec: &Spec) -> &'static str {
    if spec.is_read() {
        ""
    } else {
        "the change was applied, but "
    }
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
