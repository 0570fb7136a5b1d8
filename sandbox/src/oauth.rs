//! The client credentials grant: every client gets a token.

use http::{HeaderMap, header};
use serde_json::json;

use super::ids;
use super::query::Query;
use super::reply::Reply;
use super::request::ReceivedRequest;

/// The documented lifetime of a token, in seconds.
const EXPIRES_IN: u32 = 86_399;

/// `POST /oauth/token`
pub(super) fn token(request: &ReceivedRequest) -> Reply {
    if request.method != http::Method::POST {
        return error(405, "invalid_request", "a token is asked for by POST");
    }
    if !has_credentials(&request.headers) {
        let reply = error(401, "invalid_client", "client authentication is required");
        return Reply {
            headers: vec![("www-authenticate", "Basic realm=\"sandbox\"".into())],
            ..reply
        };
    }
    let form = request
        .payload
        .bytes()
        .map(String::from_utf8_lossy)
        .unwrap_or_default();
    match Query::read(&form).one("grant_type") {
        Some("client_credentials") => Reply::ok(json!({
            "access_token": format!("sandbox-{}", ids::fresh()),
            "token_type": "bearer",
            "expires_in": EXPIRES_IN,
        })),
        Some(_) => error(
            400,
            "unsupported_grant_type",
            "only client_credentials is supported",
        ),
        None => error(400, "invalid_request", "grant_type is required"),
    }
}

/// An error in OAuth's shape, with the description under both of its names.
fn error(status: u16, error: &str, description: &str) -> Reply {
    Reply::ok(json!({
        "error": error,
        "description": description,
        "error_description": description,
    }))
    .with_status(status)
}

/// Whether the request has Basic authentication, with any credentials.
fn has_credentials(headers: &HeaderMap) -> bool {
    let value = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok());
    let basic = value.and_then(|value| value.split_once(' '));
    basic.is_some_and(|(scheme, rest)| {
        scheme.eq_ignore_ascii_case("basic") && !rest.trim().is_empty()
    })
}
