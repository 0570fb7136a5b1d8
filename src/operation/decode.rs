//! From the upstream's answer to the response.

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde_json::Value;

use super::prune::{PrunedFields, is_another, prune};
use super::{Operation, ResponseShape, Spec};
use crate::error::Error;
use crate::fields;
use crate::json::{self, SingleField};

/// Turns the body of a successful answer into the response; says what was left
/// out of it.
///
/// It is parsed straight into the message. Where that fails it is parsed once
/// more, through a tree of values: a repeated key is forgiven that way, text
/// that is not quite Unicode too, a scalar of another kind than promised is
/// left out where the answer is true without it, and what is really wrong is
/// found by name.
///
/// # Errors
///
/// [`Error::Unreadable`], saying which field of which model was wrong, and
/// nothing of what the answer holds.
pub fn decode<O: Operation>(body: &[u8]) -> Result<(O::Response, PrunedFields), Error> {
    let spec = O::SPEC;
    let whole = |response| Ok((response, PrunedFields::new()));
    let unreadable = |what: String| Err(Error::Unreadable { spec, what });
    // Checked once for all texts. What is no Unicode is left to the tree.
    let text = std::str::from_utf8(body).unwrap_or_default();
    match spec.shape {
        ResponseShape::Empty => return whole(O::Response::default()),
        _ if body.trim_ascii().is_empty() => {
            return unreadable(format!("it is empty where {} is promised", promised(spec)));
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
            let object = MapAccessDeserializer::new(SingleField::new(list.json, &mut deserializer));
            let response = O::Response::deserialize(object);
            // A `null` is no list here: it would read as "none of them".
            let is_list = body.trim_ascii_start().starts_with(b"[");
            if let (Ok(response), true, Ok(())) = (response, is_list, deserializer.end()) {
                return whole(response);
            }
        }
    }
    let tree = match json::parse_lossy(body) {
        Ok(tree) => tree,
        Err(position) => return unreadable(format!("it is not JSON ({position})")),
    };
    match (&spec.shape, &tree) {
        (ResponseShape::Object, Value::Object(_)) | (ResponseShape::List(_), Value::Array(_)) => {}
        (_, other) => {
            return unreadable(format!("it is {}, not {}", kind(other), promised(spec)));
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
        return unreadable(format!("none of its fields is what {model} promises"));
    }
    match serde_path_to_error::deserialize(&tree) {
        Ok(response) => Ok((response, pruned)),
        Err(error) => {
            let path = error.path().to_string();
            let model = fields::model_at(spec.response, &path);
            let field = fields::from_json(spec.response, &path);
            unreadable(format!(
                "the field `{field}` of {model} {}",
                mismatch(error.inner())
            ))
        }
    }
}

fn promised(spec: &Spec) -> &'static str {
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

/// Says what was found and what was promised, without the value found.
///
/// serde words it `invalid type: string "x", expected a boolean`; the value
/// stands in the middle and may hold anything.
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
            format!("holds {article} {found} where {expected} is promised")
        }
        // It has a length that is too large, and no type that is wrong.
        (None, Some(expected)) => format!("holds more where {expected} is promised"),
        _ => "is not what is promised".to_owned(),
    }
}
