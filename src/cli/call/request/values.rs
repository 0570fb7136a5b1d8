//! A wrong value of a request: what it is, and what it must be.

use prost_reflect::{FieldDescriptor, Kind};
use serde_json::{Value, json};

use super::fields::accepts;
use crate::cli::call::describe::kind;
use crate::cli::call::lister::lister;
use crate::cli::call::template::DATE_TIME;
use crate::proto::TIMESTAMP;

/// The longest wrong value that is shown whole, in characters.
const SHOWN: usize = 40;

pub(super) fn wrong_value(path: &str, value: &Value, field: &FieldDescriptor) -> String {
    let list = Value::Array(vec![value.clone()]);
    let right = if field.is_list() && accepts(field, &list) {
        format!("a list: write {list}")
    } else if field.is_list() {
        format!("a list in brackets, of {}", one(field))
    } else {
        single(value, field)
    };
    format!("`{path}` is {}, and must be {right}", shown(value))
}

pub(super) fn wrong_element(path: &str, value: &Value, field: &FieldDescriptor) -> String {
    let right = single(value, field);
    format!("`{path}` is {}, and must be {right}", shown(value))
}

/// What a single value of a field is, and the given one in the right form.
fn single(value: &Value, field: &FieldDescriptor) -> String {
    match (field.kind(), value) {
        (Kind::String, Value::Bool(_) | Value::Number(_)) => {
            format!("{}: write \"{value}\"", one(field))
        }
        (Kind::Message(message), Value::String(text))
            if message.get_field_by_name("id").is_some() =>
        {
            let id = if is_uuid(text) { text } else { "…" };
            let right = json!({field.json_name(): {"id": id}});
            let list = match lister(message.name()) {
                Some(rpc) => format!("; `presence-gateway call {rpc}` lists the ids"),
                None => String::new(),
            };
            format!("{}: write {right}{list}", one(field))
        }
        _ => one(field),
    }
}

/// Whether a text is the id of a resource.
fn is_uuid(text: &str) -> bool {
    let is_part = |part: &str| part.bytes().all(|byte| byte.is_ascii_hexdigit());
    text.split('-').map(str::len).eq([8, 4, 4, 4, 12]) && text.split('-').all(is_part)
}

/// What a single value of a field is.
fn one(field: &FieldDescriptor) -> String {
    match field.kind() {
        Kind::Message(entry) if entry.is_map_entry() => {
            "an object of names and texts, as in {\"en_US\": \"Lunch\"}".to_owned()
        }
        Kind::Message(message) if message.full_name() == TIMESTAMP => {
            format!("a date and a time with their zone, as in \"{DATE_TIME}\"")
        }
        Kind::Message(message) => {
            let names: Vec<_> = message
                .fields()
                .map(|field| field.json_name().to_owned())
                .collect();
            format!("an object with the fields {}", names.join(", "))
        }
        Kind::Bool => "true or false, without quotes".to_owned(),
        Kind::String => "a text in double quotes".to_owned(),
        _ => format!(
            "a {}, without quotes",
            kind(field).trim_start_matches("list of ")
        ),
    }
}

/// A wrong value, with its type.
pub(super) fn shown(value: &Value) -> String {
    let text = value.to_string();
    let text = match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    };
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(_) => text,
        Value::Number(_) => format!("the number {text}"),
        Value::String(_) => format!("the text {text}"),
        Value::Array(_) => format!("the list {text}"),
        Value::Object(_) => format!("the object {text}"),
    }
}
