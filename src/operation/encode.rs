//! From a request to the REST call: path variables first, then the body, and
//! what is left is the query.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value};
use serde_path_to_error::{Serializer, Track};

use super::{Field, Operation, RestRequest, Segment, Spec};
use crate::error::{Error, Violation};
use crate::fields;

/// The longest id that is sent, in bytes. The vendor's ids are UUIDs of 36.
pub const MAX_ID_BYTES: usize = 256;

/// The longest path with its query, in bytes. The HTTP library takes 65,535;
/// the vendor refuses shorter ones by itself, with a 414.
const MAX_URL_BYTES: usize = 60_000;

/// How many wrong elements of a list are told: more than a status has room for.
/// A message has room for millions.
const MAX_TOLD: usize = 100;

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
/// [`Error::Invalid`], naming each field that is wrong: an id that cannot be a
/// path segment or an element of a list, a missing body, a date out of range,
/// or more parameters than a URL holds.
pub fn encode<O: Operation>(request: &O) -> Result<RestRequest, Error> {
    let (call, longest) = whole(request)?;
    let length = call.path_and_query.len();
    match longest.filter(|_| length > MAX_URL_BYTES) {
        None => Ok(call),
        Some(field) => Err(Error::Invalid(vec![Violation::new(
            field.proto,
            format!(
                "makes the URL {length} bytes long; at most {MAX_URL_BYTES} can be sent, so give less"
            ),
        )])),
    }
}

/// Checks all of a request that is sent in parts, so that what is wrong is
/// named by its place in the whole.
///
/// # Errors
///
/// Those of [`encode`], but for the length.
pub fn check<O: Operation>(request: &O) -> Result<(), Error> {
    whole(request).map(|_| ())
}

/// The call of a request, and the parameter that is the longest.
fn whole<O: Operation>(request: &O) -> Result<(RestRequest, Option<Field>), Error> {
    let mut fields = to_object(request)?;
    let spec = O::SPEC;
    let mut wrong = Vec::new();
    let mut url = path(spec, &mut fields, &mut wrong);
    let body = match spec.body {
        None => None,
        Some(field) => body(field, &mut fields, &mut wrong).map(Into::into),
    };
    let mut separator = '?';
    let mut longest = (0, None);
    for field in spec.query {
        if let Some(value) = fields.remove(field.json) {
            url.push(separator);
            url.push_str(field.json);
            url.push('=');
            let value = parameter(field, &value, &mut wrong);
            url.extend(utf8_percent_encode(&value, ENCODED));
            separator = '&';
            if value.len() > longest.0 {
                longest = (value.len(), Some(*field));
            }
        }
    }
    if !wrong.is_empty() {
        return Err(Error::Invalid(wrong));
    }
    let call = RestRequest {
        spec,
        path_and_query: url,
        body,
    };
    Ok((call, longest.1))
}

/// What is wrong with an id that is a path segment of its own: that it is
/// empty, too long, a dot segment, which URL parsers fold away even where it is
/// percent-encoded, or has one between slashes.
///
/// The slashes of an id are percent-encoded, so that such an id is one segment
/// for a server that reads the URL as it is written. One that decodes the path
/// before it folds it, as some proxies do, would be led to another resource.
/// What is percent-encoded in the id itself is encoded once more, and would take
/// one that decodes twice.
fn wrong_id(id: &str) -> Option<String> {
    let is_dots = |segment: &str| segment == "." || segment == "..";
    match id {
        "" => Some("must not be empty".into()),
        _ if is_dots(id) => {
            Some("must not be `.` or `..`, which a URL cannot carry as an id".into())
        }
        _ if id.split(['/', '\\']).any(is_dots) => {
            Some("must not have `.` or `..` between slashes, which leads to another path".into())
        }
        _ => too_long(id),
    }
}

/// What is wrong with an element of a list, which travels comma-joined.
pub(crate) fn wrong_element(element: &str) -> Option<String> {
    match element {
        "" => Some("must not be empty".into()),
        _ if element.contains(',') => Some(
            "must not contain a comma, which separates the elements; give each its own element"
                .into(),
        ),
        _ => too_long(element),
    }
}

fn too_long(id: &str) -> Option<String> {
    let length = id.len();
    (length > MAX_ID_BYTES)
        .then(|| format!("must be at most {MAX_ID_BYTES} bytes long; it has {length}"))
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

fn path(spec: &Spec, fields: &mut Map<String, Value>, wrong: &mut Vec<Violation>) -> String {
    let mut path = String::new();
    for segment in spec.path {
        match segment {
            Segment::Literal(text) => path.push_str(text),
            Segment::Variable(field) => {
                let id = fields.remove(field.json);
                let id = id.as_ref().and_then(Value::as_str).unwrap_or_default();
                wrong.extend(wrong_id(id).map(|how| Violation::new(field.proto, how)));
                path.extend(utf8_percent_encode(id, ENCODED));
            }
        }
    }
    path
}

fn body(
    field: Field,
    fields: &mut Map<String, Value>,
    wrong: &mut Vec<Violation>,
) -> Option<Vec<u8>> {
    let Some(body) = fields.remove(field.json) else {
        wrong.push(Violation::new(field.proto, "is required"));
        return None;
    };
    // A tree of values always has a JSON form.
    Some(serde_json::to_vec(&body).unwrap_or_default())
}

/// A parameter's value; several values are joined by commas, as the vendor's SDKs do.
fn parameter(field: &Field, value: &Value, wrong: &mut Vec<Violation>) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(elements) => {
            let elements: Vec<&str> = elements.iter().filter_map(Value::as_str).collect();
            let violations = elements.iter().enumerate().filter_map(|(index, element)| {
                let how = wrong_element(element)?;
                Some(Violation::new(format!("{}[{index}]", field.proto), how))
            });
            wrong.extend(violations.take(MAX_TOLD));
            elements.join(",")
        }
        other => other.to_string(),
    }
}
