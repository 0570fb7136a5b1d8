//! The answers, most of each made beforehand.

use bytes::Bytes;
use http::{HeaderValue, Response, header};

use super::body::Body;

/// How long a token is told to wait that is refused, in seconds.
const RETRY_AFTER: &str = "1";

/// The name that the vendor's answers carry; here it is always the same.
const CORRELATION_ID: &str = "5f129ee4-eef7-4ab9-9596-e1494a55b66f";

/// One user's presence, around the user's id.
const PRESENCE: [&str; 2] = [
    r#"{"source":"PURECLOUD","sourceId":"PURECLOUD","primary":true,"presenceDefinition":{"id":"6a3af858-942f-489d-9700-5f9bcdcdae9b","systemPresence":"Available","selfUri":"/api/v2/presencedefinitions/6a3af858-942f-489d-9700-5f9bcdcdae9b"},"message":"","modifiedDate":"2026-01-01T00:00:00.000Z","selfUri":"/api/v2/users/"#,
    r#"/presences"}"#,
];

/// An element of a bulk read, around the user's id, which it has twice.
const ELEMENT: [&str; 3] = [
    r#"{"userId":""#,
    r#"","source":"PURECLOUD","sourceId":"PURECLOUD","presenceDefinition":{"id":"6a3af858-942f-489d-9700-5f9bcdcdae9b","systemPresence":"Available","selfUri":"/api/v2/presencedefinitions/6a3af858-942f-489d-9700-5f9bcdcdae9b"},"message":"","modifiedDate":"2026-01-01T00:00:00.000Z","selfUri":"/api/v2/users/"#,
    r#"/presences"}"#,
];

/// Splits a path into what stands before the vendor's, and the vendor's; that
/// is empty where it is no path of the vendor's.
pub(super) fn split(path: &str) -> (&str, &str) {
    let at = path.find("/api/v2/").unwrap_or(path.len());
    path.split_at(at)
}

/// The answer to a read, with the ids that it asks for; a list in an object,
/// if it `is_wrapped`.
pub(super) fn to(path: &str, query: Option<&str>, is_wrapped: bool) -> Response<Body> {
    let user = path.strip_prefix("/api/v2/users/");
    let user = user.and_then(|rest| rest.split_once("/presences/"));
    // Envoy's transcoder knows the name that the proto has, and gives each id
    // a parameter of its own; the vendor's SDKs and the gateway join them.
    let (name, separator) = if is_wrapped {
        ("ids=", "&ids=")
    } else {
        ("id=", "%2C")
    };
    match (user, query.and_then(|query| query.strip_prefix(name))) {
        (Some((user, _)), None) => json(PRESENCE.join(user)),
        (None, Some(ids)) if path.ends_with("/bulk") => {
            let elements = ids.split(separator).map(|id| ELEMENT.join(id));
            let elements: Vec<String> = elements.collect();
            let list = format!("[{}]", elements.join(","));
            json(if is_wrapped {
                format!(r#"{{"presences":{list}}}"#)
            } else {
                list
            })
        }
        _ => with_status(404, error("not.found", 404, "No such path.")),
    }
}

pub(super) fn json(body: impl Into<Bytes>) -> Response<Body> {
    let mut answer = Response::new(Body::whole(body.into()));
    let headers = answer.headers_mut();
    let json = HeaderValue::from_static("application/json");
    headers.insert(header::CONTENT_TYPE, json);
    let id = HeaderValue::from_static(CORRELATION_ID);
    headers.insert("inin-correlation-id", id);
    answer
}

pub(super) fn refused() -> Response<Body> {
    with_status(401, error("authentication.required", 401, "No token."))
}

pub(super) fn unavailable() -> Response<Body> {
    with_status(503, error("service.unavailable", 503, "Overloaded."))
}

pub(super) fn too_many() -> Response<Body> {
    let text = "Rate limit exceeded the maximum. Retry the request in [1] seconds";
    let body = error("too.many.requests.retry.after", 429, text);
    let mut answer = with_status(429, body);
    let seconds = HeaderValue::from_static(RETRY_AFTER);
    answer.headers_mut().insert(header::RETRY_AFTER, seconds);
    answer
}

fn with_status(status: u16, body: String) -> Response<Body> {
    let mut answer = json(body);
    if let Ok(status) = status.try_into() {
        *answer.status_mut() = status;
    }
    answer
}

fn error(code: &str, status: u16, message: &str) -> String {
    format!(
        r#"{{"message":"{message}","code":"{code}","status":{status},"contextId":"{CORRELATION_ID}","details":[],"errors":[]}}"#
    )
}
