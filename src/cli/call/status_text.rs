//! A status as text for people.

use std::fmt::Write;

use prost::Message;
use prost_reflect::DynamicMessage;
use prost_types::Any;
use tonic::Status;
use tonic_types::pb;

use crate::error::{self, PUSHBACK};
use crate::proto;

/// Formats the code, the message, each detail as JSON, and the gateway's own
/// metadata.
pub(super) fn status_text(status: &Status) -> String {
    let mut text = format!(
        "{}: {}\n",
        error::code_name(status.code()),
        status.message()
    );
    let details = pb::Status::decode(status.details())
        .unwrap_or_default()
        .details;
    // `write!` to a `String` cannot fail.
    for detail in details {
        let name = detail.type_url.rsplit('/').next().unwrap_or_default();
        let json = json(name, &detail).unwrap_or_else(|| "of a type not known here".to_owned());
        let _ = writeln!(text, "  {name} {json}");
    }
    if let Some(pushback) = status.metadata().get(PUSHBACK) {
        let pushback = pushback.to_str().unwrap_or("?");
        let _ = writeln!(text, "  {PUSHBACK} {pushback}");
    }
    // Text from upstream must not control the terminal.
    text.chars()
        .map(|c| {
            if c.is_control() && c != '\n' {
                char::REPLACEMENT_CHARACTER
            } else {
                c
            }
        })
        .collect()
}

fn json(name: &str, detail: &Any) -> Option<String> {
    let descriptor = proto::pool().get_message_by_name(name)?;
    let message = DynamicMessage::decode(descriptor, detail.value.as_slice()).ok()?;
    serde_json::to_string(&message).ok()
}
