//! The results of a stream as lines of JSON: one for each id.

use std::io::{self, Write};

use prost_reflect::{DynamicMessage, Value};
use tonic::Code;

use crate::cli::call::json::{escaped, to_json};
use crate::error;

/// Writes a line for each id of a response.
pub(super) fn write_lines(out: &mut impl Write, response: &DynamicMessage) -> io::Result<()> {
    let list = |name: &str| {
        let list = response.get_field_by_name(name);
        list.and_then(|list| list.as_list().map(<[Value]>::to_vec))
            .unwrap_or_default()
    };
    for presence in list("presences") {
        let Some(presence) = presence.as_message() else {
            continue;
        };
        let id = presence.get_field_by_name("user_id");
        let id = id.as_ref().and_then(|id| id.as_str()).unwrap_or_default();
        let presence = to_json(presence, false)?;
        writeln!(out, r#"{{"id":{},"presence":{presence}}}"#, quoted(id))?;
    }
    for id in list("missing_ids") {
        let id = quoted(id.as_str().unwrap_or_default());
        writeln!(out, r#"{{"id":{id},"missing":true}}"#)?;
    }
    for failure in list("failures") {
        let Some(failure) = failure.as_message() else {
            continue;
        };
        let status = failure.get_field_by_name("status");
        let error = match status.as_ref().and_then(|status| status.as_message()) {
            Some(status) => error_json(status)?,
            None => "{}".to_owned(),
        };
        let ids = failure.get_field_by_name("ids");
        let ids = ids.as_ref().and_then(|ids| ids.as_list());
        for id in ids.unwrap_or_default() {
            let id = quoted(id.as_str().unwrap_or_default());
            writeln!(out, r#"{{"id":{id},"error":{error}}}"#)?;
        }
    }
    out.flush()
}

/// The status of a failure as JSON, with the name of its code.
fn error_json(status: &DynamicMessage) -> serde_json::Result<String> {
    let code = status.get_field_by_name("code");
    let code = code.and_then(|code| code.as_i32()).unwrap_or_default();
    let code = error::code_name(Code::from_i32(code));
    let message = status.get_field_by_name("message");
    let message = message.as_ref().and_then(|message| message.as_str());
    let message = quoted(message.unwrap_or_default());
    let details = status.get_field_by_name("details");
    let details = details.as_ref().and_then(|details| details.as_list());
    let details = details.unwrap_or_default().iter();
    let details = details
        .filter_map(Value::as_message)
        .map(|detail| to_json(detail, false))
        .collect::<serde_json::Result<Vec<_>>>()?
        .join(",");
    Ok(format!(
        r#"{{"code":"{code}","message":{message},"details":[{details}]}}"#
    ))
}

/// A text as JSON.
fn quoted(text: &str) -> String {
    escaped(&serde_json::Value::from(text).to_string())
}
