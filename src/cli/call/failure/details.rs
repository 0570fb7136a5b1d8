//! The details of a status as lines for people.

use prost::Message;
use prost_reflect::{DynamicMessage, MessageDescriptor};
use prost_types::Any;
use tonic_types::pb;

use crate::cli::call::json::to_json;
use crate::proto::{self, v1::BulkWriteReport, v1::IndexRange};

/// A detail: its type, and a line for each of its values.
pub(super) fn text(detail: &Any, request: &MessageDescriptor) -> String {
    let name = detail.type_url.rsplit('/').next().unwrap_or_default();
    let lines = lines(name, detail, request).unwrap_or_else(|| vec![json(name, detail)]);
    let lines: String = lines.iter().map(|line| format!("    {line}\n")).collect();
    format!("  {name}\n{lines}")
}

/// The lines of a detail of a known type.
fn lines(name: &str, detail: &Any, request: &MessageDescriptor) -> Option<Vec<String>> {
    let lines = match name {
        "google.rpc.ErrorInfo" => {
            let info: pb::ErrorInfo = decode(detail)?;
            let mut metadata: Vec<_> = info.metadata.into_iter().collect();
            metadata.sort();
            let metadata = metadata
                .into_iter()
                .map(|(key, value)| format!("{key}: {value}"));
            let first = [
                format!("reason: {}", info.reason),
                format!("domain: {}", info.domain),
            ];
            first.into_iter().chain(metadata).collect()
        }
        "google.rpc.RetryInfo" => {
            let info: pb::RetryInfo = decode(detail)?;
            vec![format!("retry after: {}", seconds(&info)?)]
        }
        "google.rpc.BadRequest" => {
            let bad: pb::BadRequest = decode(detail)?;
            let line = |violation: pb::bad_request::FieldViolation| {
                let field = field(&violation.field, request);
                format!("{field}: {}", violation.description)
            };
            bad.field_violations.into_iter().map(line).collect()
        }
        "google.rpc.QuotaFailure" => {
            let failure: pb::QuotaFailure = decode(detail)?;
            let line = |violation: pb::quota_failure::Violation| {
                format!("{}: {}", violation.subject, violation.description)
            };
            failure.violations.into_iter().map(line).collect()
        }
        "google.rpc.RequestInfo" => {
            let info: pb::RequestInfo = decode(detail)?;
            vec![format!(
                "request id: {} (Genesys Cloud's support asks for it)",
                info.request_id
            )]
        }
        "genesys.presence.v1.BulkWriteReport" => report(&decode(detail)?),
        _ => return None,
    };
    Some(lines)
}

/// The path of a field, with its name in JSON where that is another.
fn field(path: &str, request: &MessageDescriptor) -> String {
    match json_path(path, request) {
        Some(json) if json != path => format!("{path} (in JSON `{json}`)"),
        _ => path.to_owned(),
    }
}

/// The path of a field in JSON: `body[3].presenceDefinition.id`.
fn json_path(path: &str, request: &MessageDescriptor) -> Option<String> {
    let mut message = Some(request.clone());
    let parts = path.split('.').map(|part| {
        let (name, index) = part.split_at(part.find('[').unwrap_or(part.len()));
        let field = message.take()?.get_field_by_name(name)?;
        message = field.kind().as_message().cloned();
        Some(format!("{}{index}", field.json_name()))
    });
    let parts: Option<Vec<String>> = parts.collect();
    Some(parts?.join("."))
}

fn decode<M: Message + Default>(detail: &Any) -> Option<M> {
    M::decode(detail.value.as_slice()).ok()
}

/// The delay of a `RetryInfo`, in seconds.
pub(super) fn seconds(info: &pb::RetryInfo) -> Option<String> {
    let delay = info.retry_delay.as_ref()?;
    #[allow(clippy::cast_precision_loss, reason = "delays are minutes at most")]
    let seconds = delay.seconds as f64 + f64::from(delay.nanos) / 1e9;
    Some(format!("{seconds} s"))
}

/// What became of the updates of a bulk write, by their positions.
fn report(report: &BulkWriteReport) -> Vec<String> {
    let kinds = [
        ("applied", &report.applied),
        ("failed", &report.failed),
        ("outcome unknown", &report.unknown),
        ("not tried", &report.not_tried),
    ];
    let range = |range: &IndexRange| match (range.first, range.last) {
        (first, last) if first == last => format!("body[{first}]"),
        (first, last) => format!("body[{first}] to body[{last}]"),
    };
    let line = |(name, ranges): (&str, &Vec<IndexRange>)| {
        let ranges: Vec<String> = ranges.iter().map(range).collect();
        (!ranges.is_empty()).then(|| format!("{name}: {}", ranges.join(", ")))
    };
    kinds.into_iter().filter_map(line).collect()
}

fn json(name: &str, detail: &Any) -> String {
    let json = || {
        let descriptor = proto::pool().get_message_by_name(name)?;
        let message = DynamicMessage::decode(descriptor, detail.value.as_slice()).ok()?;
        to_json(&message, false).ok()
    };
    json().unwrap_or_else(|| "of a type not known here".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_shown_with_its_name_in_json_where_that_is_another() {
        let request = |name: &str| {
            let name = format!("genesys.presence.v1.{name}Request");
            proto::pool().get_message_by_name(&name).unwrap()
        };
        for (rpc, path, shown) in [
            ("GetUserPresence", "user_id", "user_id (in JSON `userId`)"),
            (
                "GetUsersPresencesPurecloudBulk",
                "ids[3]",
                "ids[3] (in JSON `id[3]`)",
            ),
            (
                "PutUsersPresencesBulk",
                "body[7].presence_definition.id",
                "body[7].presence_definition.id (in JSON `body[7].presenceDefinition.id`)",
            ),
            ("PatchUserPresence", "body.message", "body.message"),
            ("PatchUserPresence", "of the vendor", "of the vendor"),
            (
                "PatchUserPresence",
                "body.message.deeper",
                "body.message.deeper",
            ),
        ] {
            assert_eq!(field(path, &request(rpc)), shown);
        }
    }
}
