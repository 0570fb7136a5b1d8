//! The responses of the simulated vendor. Most of each is a constant.

use bytes::Bytes;
use http::{HeaderValue, Response, header};

use super::body::Body;

/// `Retry-After` of a 429, in seconds.
const RETRY_AFTER: &str = "1";

/// The correlation id of every response.
const CORRELATION_ID: &str = "5f129ee4-eef7-4ab9-9596-e1494a55b66f";

/// One user's presence; the user's id goes between the two parts.
const PRESENCE: [&str; 2] = [
    r#"{"source":"PURECLOUD","sourceId":"PURECLOUD","primary":true,"presenceDefinition":{"id":"6a3af858-942f-489d-9700-5f9bcdcdae9b","systemPresence":"Available","selfUri":"/api/v2/presencedefinitions/6a3af858-942f-489d-9700-5f9bcdcdae9b"},"message":"","modifiedDate":"2026-01-01T00:00:00.000Z","selfUri":"/api/v2/users/"#,
    r#"/presences"}"#,
];

/// An element of a bulk read; the user's id goes between the parts.
const ELEMENT: [&str; 3] = [
    r#"{"userId":""#,
    r#"","source":"PURECLOUD","sourceId":"PURECLOUD","presenceDefinition":{"id":"6a3af858-942f-489d-9700-5f9bcdcdae9b","systemPresence":"Available","selfUri":"/api/v2/presencedefinitions/6a3af858-942f-489d-9700-5f9bcdcdae9b"},"message":"","modifiedDate":"2026-01-01T00:00:00.000Z","selfUri":"/api/v2/users/"#,
    r#"/presences"}"#,
];

/// Splits a path into the sender's prefix and the vendor's path, which is
/// empty if the path has no `/api/v2/`.
pub(super) fn split(path: &str) -> (&str, &str) {
    let at = path.find("/api/v2/").unwrap_or(path.len());
    path.split_at(at)
}

/// The response to a read, with the ids in its query. `wraps_lists` puts a list
/// into an object.
pub(super) fn to(path: &str, query: Option<&str>, wraps_lists: bool) -> Response<Body> {
    let user = path.strip_prefix("/api/v2/users/");
    let user = user.and_then(|rest| rest.split_once("/presences/"));
    // Envoy's transcoder uses the proto's field name and repeats the parameter
    // for each id; the vendor's SDKs and the gateway join the ids.
    let (name, separator) = if wraps_lists {
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
            json(if wraps_lists {
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
