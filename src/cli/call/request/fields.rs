//! A request that is JSON, but not of this RPC: each wrong field and value, with its
//! path and with what would be right.

use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, MethodDescriptor};
use serde_json::{Map, Value, json};

use super::quoted;
use super::values::{shown, wrong_element, wrong_value};
use crate::nearest::{is_near, plain, sorted};
use crate::proto::TIMESTAMP;

/// The most problems of a request that are reported.
const REPORTED: usize = 5;

/// How deep a misplaced field is searched for.
const DEPTH: usize = 4;

/// Explains what is wrong with a request, beside what is known already; `None` if
/// nothing is found.
pub(super) fn explain(
    request: &Value,
    known: Vec<String>,
    method: &MethodDescriptor,
) -> Option<String> {
    let input = method.input();
    if !request.is_object() {
        let found = shown(request);
        let right = quoted(method);
        return Some(format!(
            "the request is {found}, and must be an object: write {right}"
        ));
    }
    let mut search = Search {
        root: input.clone(),
        problems: Vec::new(),
    };
    search.object("", request, &input);
    search.problems.extend(known);
    (!search.problems.is_empty()).then(|| report(search.problems, method))
}

/// A text about the problems of a request.
pub(super) fn report(mut problems: Vec<String>, method: &MethodDescriptor) -> String {
    let omitted = problems.len().saturating_sub(REPORTED);
    problems.truncate(REPORTED);
    if omitted > 0 {
        problems.push(format!("and {omitted} more"));
    }
    let end = format!(
        "\n`presence-gateway call {} --describe` describes the request.",
        method.name()
    );
    problems.join("\n") + &end
}

struct Search {
    root: MessageDescriptor,
    problems: Vec<String>,
}

impl Search {
    /// Checks the fields of an object at a path.
    fn object(&mut self, path: &str, value: &Value, message: &MessageDescriptor) {
        for (name, value) in value.as_object().into_iter().flatten() {
            let path = join(path, name);
            let by_name = message.get_field_by_json_name(name);
            match by_name.or_else(|| message.get_field_by_name(name)) {
                Some(field) => self.field(&path, value, &field),
                None => self.problems.push(self.unknown(&path, name, message)),
            }
        }
    }

    /// Checks the value of a field at a path.
    fn field(&mut self, path: &str, value: &Value, field: &FieldDescriptor) {
        if value.is_null() || accepts(field, value) {
            return;
        }
        match (field.kind(), value) {
            (Kind::Message(entry), Value::Object(entries)) if entry.is_map_entry() => {
                let value_field = entry.map_entry_value_field();
                for (key, value) in entries {
                    let single = Value::Object(Map::from_iter([(key.clone(), value.clone())]));
                    if !accepts(field, &single) {
                        let path = join(path, key);
                        self.problems.push(wrong_value(&path, value, &value_field));
                    }
                }
            }
            (kind, Value::Array(elements)) if field.is_list() => {
                for (index, element) in elements.iter().enumerate() {
                    let path = format!("{path}[{index}]");
                    match &kind {
                        Kind::Message(message) if is_nested(message) && element.is_object() => {
                            self.object(&path, element, message);
                        }
                        _ if accepts(field, &json!([element])) => {}
                        _ => self.problems.push(wrong_element(&path, element, field)),
                    }
                }
            }
            (Kind::Message(message), Value::Object(_))
                if is_nested(&message) && !field.is_list() =>
            {
                self.object(path, value, &message);
            }
            _ => self.problems.push(wrong_value(path, value, field)),
        }
    }

    /// The text about a field that a message does not have.
    fn unknown(&self, path: &str, name: &str, message: &MessageDescriptor) -> String {
        let names: Vec<String> = message
            .fields()
            .map(|field| field.json_name().to_owned())
            .collect();
        let elsewhere = find(name, &self.root, "", DEPTH);
        let nearest = sorted(name, names.iter().map(String::as_str));
        let meant = nearest.first().filter(|nearest| is_near(name, nearest));
        let meant = match (meant, elsewhere) {
            (Some(meant), elsewhere) if plain(meant) == plain(name) || elsewhere.is_none() => {
                format!("; did you mean `{meant}`?")
            }
            (_, Some(elsewhere)) => format!("; did you mean `{elsewhere}`?"),
            _ => ".".to_owned(),
        };
        let text = format!("there is no field `{path}`{meant}");
        if names.is_empty() {
            return text + " This request has no fields: write '{}'";
        }
        format!("{text} {} has: {}", message.name(), nearest.join(", "))
    }
}

/// The path of a field with this name in a message, at any depth.
fn find(name: &str, message: &MessageDescriptor, path: &str, depth: usize) -> Option<String> {
    let is_it = |field: &FieldDescriptor| plain(field.json_name()) == plain(name);
    if let Some(field) = message.fields().find(is_it) {
        return Some(join(path, field.json_name()));
    }
    let depth = depth.checked_sub(1)?;
    message.fields().find_map(|field| {
        let inner = field
            .kind()
            .as_message()
            .filter(|inner| is_nested(inner))
            .cloned()?;
        let list = if field.is_list() { "[0]" } else { "" };
        find(
            name,
            &inner,
            &format!("{}{list}", join(path, field.json_name())),
            depth,
        )
    })
}

/// Whether a message is an object with fields of its own in JSON.
pub(super) fn is_nested(message: &MessageDescriptor) -> bool {
    !message.is_map_entry() && message.full_name() != TIMESTAMP
}

/// Whether a field accepts a value: decided by the parser of requests itself.
pub(super) fn accepts(field: &FieldDescriptor, value: &Value) -> bool {
    let message = json!({field.json_name(): value});
    DynamicMessage::deserialize(field.parent_message().clone(), message).is_ok()
}

pub(super) fn join(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}

#[cfg(test)]
mod tests;
