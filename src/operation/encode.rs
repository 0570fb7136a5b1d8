//! From a request to the REST call: path variables first, then the body, and
//! what is left is the query.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value};
use serde_path_to_error::{Serializer, Track};

use super::{Call, Field, Operation, Segment, Spec};
use crate::error::{Error, Violation};
use crate::fields;

/// The longest id that is sent, in bytes. The vendor's ids are UUIDs of 36.
pub const MAX_ID_BYTES: usize = 256;

/// What stays as it is in a path segment and in the query: RFC 3986's
/// unreserved characters. All else is encoded, a percent sign too, so that no
/// value can add a segment, a parameter or a fragment.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Turns a request into the REST call that it stands for.
///
/// # Errors
///
/// [`Error::Invalid`], naming the field, for an id that cannot be a path
/// segment or an element of a list, a missing body, and a date out of range.
pub fn encode<O: Operation>(request: &O) -> Result<Call, Error> {
    let mut fields = to_object(request)?;
    let spec = O::SPEC;
    let mut url = path(spec, &mut fields)?;
    let body = match spec.body {
        None => None,
        Some(field) => Some(body(field, &mut fields)?.into()),
    };
    let mut separator = '?';
    for field in spec.query {
        if let Some(value) = fields.remove(field.json) {
            url.push(separator);
            url.push_str(field.json);
            url.push('=');
            url.extend(utf8_percent_encode(&parameter(field, &value)?, ENCODED));
            separator = '&';
        }
    }
    Ok(Call {
        spec,
        path_and_query: url,
        body,
    })
}

/// Checks an id that is a path segment of its own.
///
/// # Errors
///
/// Says what is wrong with it: empty, a dot segment (which URL parsers fold
/// away even where it is percent-encoded), or too long.
pub fn check_id(id: &str) -> Result<(), String> {
    match id {
        "" => Err("must not be empty".into()),
        "." | ".." => Err("must not be `.` or `..`, which a URL cannot carry as an id".into()),
        _ if id.len() > MAX_ID_BYTES => Err(format!(
            "must be at most {MAX_ID_BYTES} bytes long; it has {}",
            id.len()
        )),
        _ => Ok(()),
    }
}

/// Checks the elements of a list, which travels comma-joined.
///
/// # Errors
///
/// [`Error::Invalid`], naming every element that is empty, too long, or holds a comma.
pub fn check_list<'a>(
    field: &str,
    elements: impl IntoIterator<Item = &'a str>,
) -> Result<(), Error> {
    let violations: Vec<Violation> = elements
        .into_iter()
        .enumerate()
        .filter_map(|(index, element)| {
            let wrong = match element {
                "" => "must not be empty".to_owned(),
                _ if element.contains(',') => {
                    "must not contain a comma, which separates the elements; give each its own element"
                        .to_owned()
                }
                _ if element.len() > MAX_ID_BYTES => {
                    format!("must be at most {MAX_ID_BYTES} bytes long; it has {}", element.len())
                }
                _ => return None,
            };
            Some(Violation::new(format!("{field}[{index}]"), wrong))
        })
        .collect();
    if violations.is_empty() {
        Ok(())
    } else {
        Err(Error::Invalid(violations))
    }
}

fn to_object<O: Operation>(request: &O) -> Result<Map<String, Value>, Error> {
    if let Ok(Value::Object(fields)) = serde_json::to_value(request) {
        return Ok(fields);
    }
    // Once more, watching where it fails.
    let mut track = Track::new();
    let wrong = match request.serialize(Serializer::new(serde_json::value::Serializer, &mut track))
    {
        Err(error) => error.to_string(),
        Ok(_) => "is not an object".to_owned(),
    };
    let path = fields::from_json(O::SPEC.request, &track.path().to_string());
    Err(Error::Invalid(vec![Violation::new(path, wrong)]))
}

fn path(spec: &Spec, fields: &mut Map<String, Value>) -> Result<String, Error> {
    let mut path = String::new();
    for segment in spec.path {
        match segment {
            Segment::Literal(text) => path.push_str(text),
            Segment::Variable(field) => {
                let id = fields.remove(field.json);
                let id = id.as_ref().and_then(Value::as_str).unwrap_or_default();
                check_id(id)
                    .map_err(|wrong| Error::Invalid(vec![Violation::new(field.proto, wrong)]))?;
                path.extend(utf8_percent_encode(id, ENCODED));
            }
        }
    }
    Ok(path)
}

fn body(field: Field, fields: &mut Map<String, Value>) -> Result<Vec<u8>, Error> {
    let missing = || Error::Invalid(vec![Violation::new(field.proto, "is required".to_owned())]);
    let body = fields.remove(field.json).ok_or_else(missing)?;
    // A tree of values always has a JSON form.
    Ok(serde_json::to_vec(&body).unwrap_or_default())
}

/// A parameter's value; several values are joined by commas, as the vendor's SDKs do.
fn parameter(field: &Field, value: &Value) -> Result<String, Error> {
    Ok(match value {
        Value::String(text) => text.clone(),
        Value::Array(elements) => {
            let elements: Vec<&str> = elements.iter().filter_map(Value::as_str).collect();
            check_list(field.proto, elements.iter().copied())?;
            elements.join(",")
        }
        other => other.to_string(),
    })
}
