//! The sandbox's control endpoints, without token and rate limit.

mod channels;
mod presences;

use std::fmt::Display;

use axum::body::Body;
use axum::response::Response;
use http::{HeaderValue, Method, StatusCode, header};
use presence_gateway_args::parse_number;
use serde_json::{Value, json};

use super::Sandbox;
use super::bounds::MAX_JOURNAL;
use super::misbehave::{notification, rules, words};
use super::query::decode;
use super::request::ReceivedRequest;
use super::state::State;
use super::{guard, page, usage};

/// What an endpoint returns: JSON, or a status and what is wrong.
type Answer = Result<Value, (StatusCode, String)>;

/// Whether a request is for the sandbox itself, and not for the simulated API.
pub(super) fn is_own(request: &ReceivedRequest) -> bool {
    match request.uri.path() {
        "/" => request.method == Method::GET,
        // Browsers ask for it by themselves.
        "/sandbox" | "/favicon.ico" => true,
        path => path.starts_with("/sandbox/"),
    }
}

/// Handles a request for a control endpoint.
pub(super) fn answer(sandbox: &Sandbox, request: &ReceivedRequest) -> Response {
    let path = request.uri.path();
    if let Err(wrong) = guard::check(request, &sandbox.shared.settings.allowed_hosts) {
        return text(StatusCode::FORBIDDEN, wrong);
    }
    if path == "/" && page::is_wanted(request) {
        let gateway_call = sandbox.shared.gateway_call.as_deref();
        return finish(page::response(gateway_call));
    }
    let is_usage = ["/", "/sandbox", "/sandbox/"].contains(&path);
    if is_usage && request.method == Method::GET {
        return text(StatusCode::OK, usage::text(sandbox, request));
    }
    let segments: Vec<String> = path.split('/').skip(2).map(decode).collect();
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    match endpoint(sandbox, request, &segments) {
        Some(Ok(value)) => respond(StatusCode::OK, "application/json", value.to_string()),
        Some(Err((status, wrong))) => text(status, format!("{}\n", wrong.trim_end())),
        None => {
            let wrong = usage::no_endpoint(request.method.as_str(), path);
            let usage = usage::text(sandbox, request);
            text(StatusCode::NOT_FOUND, format!("{wrong}\n\n{usage}"))
        }
    }
}

/// The answer of an endpoint, if there is one with this method and these segments
/// after `/sandbox`.
fn endpoint(sandbox: &Sandbox, request: &ReceivedRequest, segments: &[&str]) -> Option<Answer> {
    let body = request.payload.bytes().map(String::from_utf8_lossy);
    let body = body.unwrap_or_default();
    let mut state = sandbox.lock();
    let state = &mut *state;
    let answer = match (request.method.as_str(), segments) {
        ("GET", ["presences"]) => presences::list(state, &request.query),
        ("PUT", ["presences", user, source]) => presences::set(state, user, source, &body),
        ("POST", ["presences"]) => presences::set_many(state, &body),
        ("GET", ["channels"]) => Ok(channels::list(state)),
        ("GET", ["requests"]) => latest(request).map(|latest| state.journal.list(latest)),
        ("DELETE", ["requests"]) => {
            state.journal.clear();
            Ok(state.journal.list(MAX_JOURNAL))
        }
        ("GET", ["users"]) => Ok(users(state)),
        ("POST", ["users"]) => add_users(state, &body).map(|()| users(state)),
        ("GET", ["misbehave"]) => Ok(rules_left(state)),
        ("POST", ["misbehave"]) => {
            let added = state.rules.add(&body).map_err(bad_request);
            added.map(|now| {
                let is_now = !now.is_empty();
                let channels = state.apply_now(now);
                let mut left = rules_left(state);
                if is_now {
                    left["channels"] = json!(channels);
                }
                left
            })
        }
        ("DELETE", ["misbehave"]) => {
            state.rules.clear();
            Ok(rules_left(state))
        }
        ("DELETE", ["misbehave", number]) => match number.parse() {
            Ok(number) if state.rules.remove(number) => Ok(rules_left(state)),
            _ => Err(not_found(format!("There is no rule `{number}`."))),
        },
        ("GET", ["grammar"]) => Ok(grammar()),
        ("POST", ["reset"]) => {
            state.reset(&sandbox.shared.settings);
            Ok(json!({"reset": true}))
        }
        _ => return None,
    };
    Some(answer)
}

/// How many of the latest requests are to be listed.
fn latest(request: &ReceivedRequest) -> Result<usize, (StatusCode, String)> {
    let Some(raw) = request.query.one("latest") else {
        return Ok(MAX_JOURNAL);
    };
    parse_number(0..=MAX_JOURNAL)(raw)
        .map_err(|wrong| bad_request(format!("latest: `{raw}` {wrong}.")))
}

fn users(state: &State) -> Value {
    json!({"users": state.users.ids().collect::<Vec<_>>()})
}

fn rules_left(state: &State) -> Value {
    json!({"rules": state.rules.list()})
}

/// The behaviours and selectors of rules.
fn grammar() -> Value {
    let described = |(written, effect): (&str, &str)| json!({"written": written, "effect": effect});
    let behaviours = words::WORDS.map(|word| described((word.written, word.description)));
    let selectors = rules::SELECTORS.map(described);
    let of_notifications: Vec<Value> = notification::words::WORDS
        .iter()
        .map(|(word, on)| {
            let mut word = described((word.written, word.description));
            word["on"] = json!(notification::words::occasions(on));
            word
        })
        .collect();
    let occasions =
        notification::words::OCCASIONS.map(|(_, name, effect)| described((name, effect)));
    json!({
        "behaviours": behaviours,
        "atMostOneOf": words::ends(),
        "notificationBehaviours": of_notifications,
        "occasions": occasions,
        "selectors": selectors,
    })
}

/// Adds users from a JSON list of ids, or from ids separated by spaces or commas.
fn add_users(state: &mut State, body: &str) -> Result<(), (StatusCode, String)> {
    let ids: Vec<String> = if body.trim_start().starts_with(['[', '{', '"']) {
        serde_json::from_str(body).map_err(|wrong| {
            bad_request(format!(
                "This is no JSON list of ids, such as [\"user-1\", \"user-2\"]: {wrong}"
            ))
        })?
    } else {
        let words = body.split(|c: char| c == ',' || c.is_whitespace());
        words
            .filter(|word| !word.is_empty())
            .map(str::to_owned)
            .collect()
    };
    if ids.is_empty() {
        return Err(bad_request(
            "Give ids: a JSON list, or text with spaces between.",
        ));
    }
    let ids = ids.iter().map(String::as_str);
    state.users.add(ids).map_err(bad_request)
}

fn bad_request(wrong: impl Display) -> (StatusCode, String) {
    (StatusCode::BAD_REQUEST, wrong.to_string())
}

fn not_found(wrong: impl Display) -> (StatusCode, String) {
    (StatusCode::NOT_FOUND, wrong.to_string())
}

fn text(status: StatusCode, text: String) -> Response {
    respond(status, "text/plain; charset=utf-8", text)
}

fn respond(status: StatusCode, content_type: &'static str, body: String) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    finish(response)
}

/// Keeps browsers from storing a response, and from taking it for something else.
fn finish(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    let nosniff = HeaderValue::from_static("nosniff");
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, nosniff);
    response
}
