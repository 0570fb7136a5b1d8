//! Decodes the upstream's answer into the response message.

use serde::Deserialize;
use serde_json::Value;

use super::prune::{PrunedFields, is_another, prune};
use super::{Operation, ResponseShape, Spec};
use crate::fields;
use crate::json;

/// Decodes the body of a successful answer; also returns which fields it dropped.
///
/// Parses straight into the message. If that fails, parses again through a tree
/// of values. The second pass accepts repeated keys and invalid Unicode, drops
/// scalars of an unexpected type if the answer stays true without them, and
/// finds the name of a field that is really wrong.
///
/// # Errors
///
/// What is wrong with the answer. It names the wrong field and its model,
/// contains no data of the answer, and completes a sentence.
pub fn decode<O: Operation>(body: &[u8]) -> Result<(O::Response, PrunedFields), String> {
    let spec = O::SPEC;
    let whole = |response| Ok((response, PrunedFields::new()));
    // One check for all texts. The second pass handles invalid Unicode.
    let text = std::str::from_utf8(body).unwrap_or_default();
    match spec.shape {
        ResponseShape::Empty => return whole(O::Response::default()),
        _ if body.trim_ascii().is_empty() => {
            return Err(format!("it is empty where {} is expected", expected(spec)));
        }
        ResponseShape::Object => {
            let mut deserializer = serde_json::Deserializer::from_str(text);
            let response = json::object(&mut deserializer);
            if let (Ok(Some(response)), Ok(())) = (response, deserializer.end()) {
                return whole(response);
            }
        }
        ResponseShape::List(list) => {
            let mut deserializer = serde_json::Deserializer::from_str(text);
            let response =
                O::Response::deserialize(json::single_field(list.json, &mut deserializer));
            // A `null` would decode as an empty list, which means "none of them".
            let is_list = body.trim_ascii_start().starts_with(b"[");
            if let (Ok(response), true, Ok(())) = (response, is_list, deserializer.end()) {
                return whole(response);
            }
        }
    }
    let tree = match json::parse_lossy(body) {
        Ok(tree) => tree,
        Err(position) => return Err(format!("it is not JSON ({position})")),
    };
    match (&spec.shape, &tree) {
        (ResponseShape::Object, Value::Object(_)) | (ResponseShape::List(_), Value::Array(_)) => {}
        (_, other) => {
            return Err(format!("it is {}, not {}", kind(other), expected(spec)));
        }
    }
    let mut tree = match spec.shape {
        ResponseShape::List(list) => {
            Value::Object([(list.json.to_owned(), tree)].into_iter().collect())
        }
        _ => tree,
    };
    let pruned = prune(&mut tree, spec.response);
    if !pruned.is_empty() && is_another(&tree, spec.response) {
        let model = fields::model_at(spec.response, "");
        return Err(format!("it has no field of {model} with the expected type"));
    }
    match serde_path_to_error::deserialize(&tree) {
        Ok(response) => Ok((response, pruned)),
        Err(error) => {
            let path = error.path().to_string();
            let model = fields::model_at(spec.response, &path);
            let field = fields::from_json(spec.response, &path);
            Err(format!(
                "the field `{field}` of {model} {}",
                mismatch(error.inner())
            ))
        }
    }
}

fn expected(spec: &Spec) -> &'static str {
    match spec.shape {
        ResponseShape::List(_) => "an array",
        _ => "an object",
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

/// Describes the found and the expected type, without the value.
///
/// serde's text is `invalid type: string "x", expected a boolean`; the value in
/// the middle may be anything.
fn mismatch(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let expected = text
        .rsplit_once(", expected ")
        .map(|(_, expected)| expected);
    let found = text.split_once(": ").map(|(_, found)| found);
    match (found, expected) {
        (Some(found), Some(expected)) => {
            let found = found
                .split(['"', '`', ','])
                .next()
                .unwrap_or_default()
                .trim_end();
            let article = if found.starts_with(['a', 'e', 'i', 'o', 'u']) {
                "an"
            } else {
                "a"
            };
            format!("has {article} {found} where {expected} is expected")
        }
        // The length is wrong, not the type.
        (None, Some(expected)) => format!("has more elements where {expected} is expected"),
        _ => "does not have the expected type".to_owned(),
    }
}
