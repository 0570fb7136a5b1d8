//! From the upstream's answer to the response.

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde_json::Value;

use super::{Answer, Operation, Spec};
use crate::error::Error;
use crate::fields;
use crate::json::{self, Wrapped};

/// Turns the body of a successful answer into the response.
///
/// It is parsed straight into the message. Where that fails it is parsed once
/// more, through a tree of values: a repeated key is forgiven that way, text
/// that is not quite Unicode too, and what is really wrong is found by name.
///
/// # Errors
///
/// [`Error::Unreadable`], saying which field of which model was wrong, and
/// nothing of what the answer holds.
pub fn decode<O: Operation>(body: &[u8]) -> Result<O::Response, Error> {
    let spec = O::SPEC;
    let unreadable = |what: String| Err(Error::Unreadable { spec, what });
    match spec.answer {
        Answer::Nothing => return Ok(O::Response::default()),
        _ if body.trim_ascii().is_empty() => {
            return unreadable(format!("it is empty where {} is promised", promised(spec)));
        }
        Answer::Object => {
            let mut deserializer = serde_json::Deserializer::from_slice(body);
            let response = json::object(&mut deserializer);
            if let (Ok(Some(response)), Ok(())) = (response, deserializer.end()) {
                return Ok(response);
            }
        }
        Answer::List(list) => {
            let mut deserializer = serde_json::Deserializer::from_slice(body);
            let wrapped = MapAccessDeserializer::new(Wrapped::new(list.json, &mut deserializer));
            let response = O::Response::deserialize(wrapped);
            // A `null` is no list here: it would read as "none of them".
            let is_list = body.trim_ascii_start().starts_with(b"[");
            if let (Ok(response), true, Ok(())) = (response, is_list, deserializer.end()) {
                return Ok(response);
            }
        }
    }
    let tree = match tree(body) {
        Ok(tree) => tree,
        Err(position) => return unreadable(format!("it is not JSON ({position})")),
    };
    match (&spec.answer, &tree) {
        (Answer::Object, Value::Object(_)) | (Answer::List(_), Value::Array(_)) => {}
        (_, other) => {
            return unreadable(format!("it is {}, not {}", kind(other), promised(spec)));
        }
    }
    let tree = match spec.answer {
        Answer::List(list) => Value::Object([(list.json.to_owned(), tree)].into_iter().collect()),
        _ => tree,
    };
    serde_path_to_error::deserialize(&tree).or_else(|error| {
        let path = error.path().to_string();
        let model = fields::model_at(spec.response, &path);
        let field = fields::from_json(spec.response, &path);
        unreadable(format!(
            "the field `{field}` of {model} {}",
            mismatch(error.inner())
        ))
    })
}

fn promised(spec: &Spec) -> &'static str {
    match spec.answer {
        Answer::List(_) => "an array",
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
        _ => "is not what is promised".to_owned(),
    }
}

/// Parses an answer into a tree, mending what is not quite Unicode: a message
/// cut in the middle of a character by who stored it must not cost the rest.
fn tree(body: &[u8]) -> Result<Value, String> {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    serde_json::from_slice(body)
        .or_else(|_| serde_json::from_str(&without_lone_surrogates(&String::from_utf8_lossy(body))))
        .map_err(|error: serde_json::Error| {
            format!("line {}, column {}", error.line(), error.column())
        })
}

/// Replaces `\uD800` to `\uDFFF` escapes that are no pair by U+FFFD.
fn without_lone_surrogates(json: &str) -> String {
    let mut mended = String::with_capacity(json.len());
    let mut rest = json;
    while let Some(at) = rest.find('\\') {
        let (before, escape) = rest.split_at(at);
        mended.push_str(before);
        let length = match (
            surrogate(escape),
            surrogate(escape.get(6..).unwrap_or_default()),
        ) {
            (Some(0xD800..=0xDBFF), Some(0xDC00..=0xDFFF)) => 12,
            (Some(_), _) => {
                mended.push_str("\\ufffd");
                rest = &escape[6..];
                continue;
            }
            // An escape of one character, which may itself be a backslash.
            (None, _) => 1 + escape[1..].chars().next().map_or(0, char::len_utf8),
        };
        mended.push_str(&escape[..length]);
        rest = &escape[length..];
    }
    mended + rest
}

/// The surrogate that a text begins with, as a `\uXXXX` escape.
fn surrogate(text: &str) -> Option<u16> {
    let digits = text.strip_prefix("\\u")?.get(..4)?;
    u16::from_str_radix(digits, 16)
        .ok()
        .filter(|unit| (0xD800..=0xDFFF).contains(unit))
}
