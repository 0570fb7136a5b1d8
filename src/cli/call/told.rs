//! A status as people read it, with its details.

use std::fmt::Write;

use prost::Message;
use prost_reflect::DynamicMessage;
use prost_types::Any;
use tonic::Status;
use tonic_types::pb;

use crate::error;
use crate::proto;

/// The code, the message, the metadata of ours, and each detail as JSON.
pub(super) fn told(status: &Status) -> String {
    let mut told = format!(
        "{}: {}\n",
        error::code_name(status.code()),
        status.message()
    );
    let details = pb::Status::decode(status.details())
        .unwrap_or_default()
        .details;
    for detail in details {
        let name = detail.type_url.rsplit('/').next().unwrap_or_default();
        let json = json(name, &detail).unwrap_or_else(|| "of a type not known here".to_owned());
        // `write!` to a `String` cannot fail.
        let _ = writeln!(told, "  {name} {json}");
    }
    if let Some(pushback) = status.metadata().get(crate::error::PUSHBACK) {
        let _ = writeln!(
            told,
            "  {} {}",
            crate::error::PUSHBACK,
            pushback.to_str().unwrap_or("?")
        );
    }
    // The vendor's words must not command the terminal that shows them.
    told.chars()
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
