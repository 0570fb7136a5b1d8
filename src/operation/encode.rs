//! Encodes a request message as a REST request: path variables first, then the
//! body; the remaining fields are the query.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value};
use serde_path_to_error::{Serializer, Track};

use super::{Field, Operation, RestRequest, Segment, Spec, Violation};
use crate::fields;

/// The longest id that is sent, in bytes. The vendor's ids are UUIDs of 36 bytes.
pub const MAX_ID_BYTES: usize = 256;

/// The longest path with query that is sent, in bytes. The HTTP library accepts
/// up to 65,535; the vendor rejects some shorter ones with 414.
const MAX_URL_BYTES: usize = 60_000;

/// The most violations reported for one list: more than fit into a status. A
/// request message has room for millions.
const MAX_VIOLATIONS: usize = 100;

/// The characters to percent-encode in path segments and the query: all but RFC
/// 3986's unreserved ones. This includes the percent sign, so that no value can
/// add a segment, a parameter or a fragment.
pub(super) const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Encodes a request message as a REST request.
///
/// # Errors
///
/// Each invalid field: an id that cannot be a path segment or a list element, a
/// missing body, a date out of range, or parameters that make the URL too long.
pub fn encode<O: Operation>(request: &O) -> Result<RestRequest, Vec<Violation>> {
    limit_length(encode_unbounded(O::SPEC, to_object(request)?)?)
}

/// Refuses a request with too long a URL.
fn limit_length((rest, longest): Unbounded) -> Result<RestRequest, Vec<Violation>> {
    let length = rest.path_and_query.len();
    if length <= MAX_URL_BYTES {
        return Ok(rest);
    }
    let wrong = format!(
        "makes the URL {length} bytes long, which exceeds the limit of {MAX_URL_BYTES} bytes; give fewer or shorter values"
    );
    Err(vec![Violation::new(longest, wrong)])
}

/// Checks a request that will be sent in batches, so that violations name
/// positions in the whole request.
///
/// # Errors
///
/// Those of [`encode`], except the length of the URL.
pub fn check<O: Operation>(request: &O) -> Result<(), Vec<Violation>> {
    encode_unbounded(O::SPEC, to_object(request)?).map(|_| ())
}

/// A request, and the name of its longest query parameter.
type Unbounded = (RestRequest, &'static str);

/// Encodes the fields of a request.
fn encode_unbounded(
    spec: &'static Spec,
    mut fields: Map<String, Value>,
) -> Result<Unbounded, Vec<Violation>> {
    let mut violations = Vec::new();
    let mut path_and_query = path(spec, &mut fields, &mut violations);
    let body = spec.body.and_then(|field| {
        let body = fields.remove(field.json);
        if body.is_none() {
            violations.push(Violation::new(field.proto, "is required"));
        }
        body
    });
    let mut separator = '?';
    let mut longest = (0, "");
    for field in spec.query {
        if let Some(value) = fields.remove(field.json) {
            let value = parameter(field, &value, &mut violations);
            path_and_query.push(separator);
            path_and_query.extend([field.json, "="]);
            path_and_query.extend(utf8_percent_encode(&value, ENCODED));
            separator = '&';
            longest = longest.max((value.len(), field.proto));
        }
    }
    if !violations.is_empty() {
        return Err(violations);
    }
    let rest = RestRequest {
        spec,
        path_and_query,
        body: body.map(|body| body.to_string().into()),
    };
    Ok((rest, longest.1))
}

/// Why an id cannot be a path segment: it is empty or too long, is a dot segment
/// (URL parsers remove these even if percent-encoded), or has one between
/// slashes.
///
/// A slash in an id is percent-encoded, so the id is one segment for a server
/// that parses the URL as written. But some proxies decode the path before they
/// remove dot segments, and would request another resource. A percent sign in
/// the id is encoded too, so an id that is percent-encoded already misleads only
/// a server that decodes twice.
fn invalid_id_reason(id: &str) -> Option<String> {
    let is_dots = |segment: &str| segment == "." || segment == "..";
    match id {
        "" => Some("must not be empty".into()),
        _ if is_dots(id) => {
            Some("must not be `.` or `..`, which URL parsers remove from a path".into())
        }
        _ if id.split(['/', '\\']).any(is_dots) => {
            Some("must not contain `.` or `..` between slashes, which would change the path".into())
        }
        _ => too_long(id),
    }
}

/// Why an id cannot be an element of a list, which is sent comma-separated.
pub(crate) fn invalid_element_reason(element: &str) -> Option<String> {
    match element {
        "" => Some("must not be empty".into()),
        _ if element.contains(',') => Some(
            "must not contain a comma, which separates elements; send each id as its own element"
                .into(),
        ),
        _ => too_long(element),
    }
}

fn too_long(id: &str) -> Option<String> {
    let length = id.len();
    (length > MAX_ID_BYTES)
        .then(|| format!("must be at most {MAX_ID_BYTES} bytes long, not {length}"))
}

fn to_object<O: Operation>(request: &O) -> Result<Map<String, Value>, Vec<Violation>> {
    if let Ok(Value::Object(fields)) = serde_json::to_value(request) {
        return Ok(fields);
    }
    // Serialize again with path tracking, to find the invalid field.
    let mut track = Track::new();
    let wrong = match request.serialize(Serializer::new(serde_json::value::Serializer, &mut track))
    {
        Err(error) => error.to_string(),
        Ok(_) => "is not an object".to_owned(),
    };
    let path = fields::from_json(O::SPEC.request, &track.path().to_string());
    Err(vec![Violation::new(path, wrong)])
}

fn path(spec: &Spec, fields: &mut Map<String, Value>, violations: &mut Vec<Violation>) -> String {
    let mut path = String::new();
    for segment in spec.path {
        match segment {
            Segment::Literal(text) => path.push_str(text),
            Segment::Variable(field) => {
                let id = fields.remove(field.json);
                let id = id.as_ref().and_then(Value::as_str).unwrap_or_default();
                violations
                    .extend(invalid_id_reason(id).map(|how| Violation::new(field.proto, how)));
                path.extend(utf8_percent_encode(id, ENCODED));
            }
        }
    }
    path
}

/// The value of a query parameter; lists are comma-separated, as in the vendor's
/// SDKs.
fn parameter(field: &Field, value: &Value, violations: &mut Vec<Violation>) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(elements) => {
            let elements: Vec<&str> = elements.iter().filter_map(Value::as_str).collect();
            let invalid = elements.iter().enumerate().filter_map(|(index, element)| {
                let how = invalid_element_reason(element)?;
                Some(Violation::new(format!("{}[{index}]", field.proto), how))
            });
            violations.extend(invalid.take(MAX_VIOLATIONS));
            elements.join(",")
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use http::Method;
    use prost_types::Timestamp;

    use super::*;
    use crate::operation::ResponseShape;

    /// A request with a date in the query, as the build would derive it.
    #[derive(serde::Serialize)]
    struct Since {
        #[serde(with = "crate::json::date", skip_serializing_if = "Option::is_none")]
        since: Option<Timestamp>,
    }

    impl Operation for Since {
        type Response = ();
        const SPEC: &'static Spec = &Spec {
            name: "Since",
            rpc: "test.Test/Since",
            request: "genesys.presence.v1.GetPresenceSettingsRequest",
            method: Method::GET,
            template: "/a",
            span: "GET /a",
            path: &[Segment::Literal("/a")],
            query: &[Field {
                proto: "since",
                json: "since",
            }],
            body: None,
            body_is_list: false,
            shape: ResponseShape::Object,
            response: "genesys.presence.v1.PresenceSettings",
            model: &crate::json::models::PRESENCE_SETTINGS,
            permissions: None,
            is_repeatable: true,
            is_read: true,
        };
    }

    fn sent(since: Option<Timestamp>) -> Result<String, Vec<Violation>> {
        encode(&Since { since }).map(|rest| rest.path_and_query)
    }

    #[test]
    fn a_date_in_the_query_is_written_as_in_a_body_and_escaped() {
        assert_eq!(sent(None).unwrap(), "/a");
        let date = Timestamp {
            seconds: 1_795_428_930,
            nanos: 123_456_789,
        };
        assert_eq!(
            sent(Some(date)).unwrap(),
            "/a?since=2026-11-23T10%3A15%3A30.123Z"
        );
    }

    #[test]
    fn a_date_in_the_query_that_cannot_be_written_is_refused_by_name() {
        let date = Timestamp {
            seconds: i64::MAX,
            nanos: 0,
        };
        let violations = sent(Some(date)).unwrap_err();
        assert_eq!(violations[0].field, "since");
    }
}
