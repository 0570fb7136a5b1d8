//! Decodes the upstream's response: JSON to the encoded response message.

use serde_json::{Value, json};
use serde_path_to_error::Track;

use super::prune::{PrunedFields, is_another, prune};
use super::{ResponseShape, Spec};
use crate::fields;
use crate::json::{self, UnknownFields, Writer};
use crate::proto::EncodedMessage;

/// A decoded response.
#[derive(Debug, Default)]
pub struct Decoded {
    /// The response message.
    pub message: EncodedMessage,
    /// The fields that were dropped.
    pub(crate) pruned: PrunedFields,
    /// The fields that the models do not have; empty if some were dropped.
    pub(crate) unknown: UnknownFields,
}

/// Decodes the body of a successful response to an operation.
///
/// Writes the message while it reads the JSON. If that fails, reads again, from a tree
/// of values: that accepts repeated keys and invalid Unicode, drops scalars of an
/// unexpected type if the response stays true without them, and names the field of any
/// other mismatch.
///
/// # Errors
///
/// What is wrong with the response, as the end of a sentence. It names the field
/// and its model, and contains no data of the response.
pub fn decode(spec: &Spec, body: &[u8]) -> Result<Decoded, String> {
    let trimmed = body.trim_ascii();
    // Checks all texts at once. Invalid Unicode becomes an empty text, which the
    // first pass rejects; the second pass accepts it.
    let text = std::str::from_utf8(body).unwrap_or_default();
    let mut deserializer = serde_json::Deserializer::from_str(text);
    // The message is smaller than its JSON but for some numbers.
    let mut writer = Writer::with_capacity(body.len());
    let is_read = match spec.shape {
        ResponseShape::Empty => return Ok(Decoded::default()),
        _ if trimmed.is_empty() => {
            let expected = expected(spec);
            return Err(format!("it is empty where {expected} is expected"));
        }
        ResponseShape::Object => json::object(spec.model, &mut deserializer, &mut writer),
        // A `null` is rejected: it would decode as an empty list, which means that
        // the vendor has no elements.
        ResponseShape::List(list) if trimmed.starts_with(b"[") => {
            json::field(list, &mut deserializer, &mut writer).map(|()| true)
        }
        ResponseShape::List(_) => Ok(false),
    };
    if let (Ok(true), Ok(())) = (is_read, deserializer.end()) {
        return Ok(Decoded {
            message: EncodedMessage::new(writer.message),
            pruned: PrunedFields::new(),
            unknown: writer.unknown,
        });
    }
    let tree =
        json::parse_lossy(body).map_err(|position| format!("it is not JSON ({position})"))?;
    let mut tree = match (&spec.shape, tree) {
        (ResponseShape::Object, tree @ Value::Object(_)) => tree,
        (ResponseShape::List(list), tree @ Value::Array(_)) => json!({ list.json: tree }),
        (_, other) => return Err(format!("it is {}, not {}", kind(&other), expected(spec))),
    };
    let pruned = prune(&mut tree, spec.response);
    if !pruned.is_empty() && is_another(&tree, spec.response) {
        let model = fields::model_at(spec.response, "");
        return Err(format!("it has no field of {model} with the expected type"));
    }
    let (mut writer, mut track) = (Writer::default(), Track::new());
    let tracked = serde_path_to_error::Deserializer::new(&tree, &mut track);
    match json::object(spec.model, tracked, &mut writer) {
        Ok(_) => Ok(Decoded {
            message: EncodedMessage::new(writer.message),
            pruned,
            unknown: UnknownFields::new(),
        }),
        Err(error) => {
            let path = track.path().to_string();
            let model = fields::model_at(spec.response, &path);
            let field = fields::from_json(spec.response, &path);
            Err(format!(
                "the field `{field}` of {model} {}",
                mismatch(&error)
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
