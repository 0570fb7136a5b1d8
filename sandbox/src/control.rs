//! The sandbox's control endpoints, without token and rate limit.

use std::fmt::Write as _;

use axum::body::Body;
use axum::response::Response;
use http::{HeaderValue, Method, StatusCode, header};
use serde_json::{Value, json};

use super::Sandbox;
use super::misbehave::{rules, words};
use super::request::ReceivedRequest;
use super::settings::{self, Flag};
use super::state::State;

/// The start of the page at `/sandbox`.
pub(super) const PAGE: &str = "\
A simulated Genesys Cloud presence API. Its operations are under /api/v2, with any bearer token
except `expired` and `forbidden`, which are rejected. POST /oauth/token returns a token.

GET    /sandbox            shows this page
GET    /sandbox/requests   lists the latest requests, oldest first
DELETE /sandbox/requests   deletes them
GET    /sandbox/users      lists the ids of all users
POST   /sandbox/users      adds users: a JSON list of ids, or ids separated by spaces
GET    /sandbox/misbehave  lists the remaining rules
POST   /sandbox/misbehave  adds rules
DELETE /sandbox/misbehave  deletes all rules
POST   /sandbox/reset      resets everything to its state at the start

The header X-Sandbox-Misbehave: BEHAVIOURS gives its own request a fault.
";

/// Handles a request for a control endpoint.
pub(super) fn answer(sandbox: &Sandbox, request: &ReceivedRequest) -> Response {
    let body = request
        .payload
        .bytes()
        .map(String::from_utf8_lossy)
        .unwrap_or_default();
    let mut state = sandbox.lock();
    match (&request.method, request.uri.path()) {
        (&Method::GET, "/sandbox" | "/sandbox/") => text(StatusCode::OK, page()),
        (&Method::GET, "/sandbox/requests") => list(&state.journal.list()),
        (&Method::DELETE, "/sandbox/requests") => {
            state.journal.clear();
            list(&state.journal.list())
        }
        (&Method::GET, "/sandbox/users") => users(&state),
        (&Method::POST, "/sandbox/users") => match add_users(&mut state, &body) {
            Ok(()) => users(&state),
            Err(wrong) => text(StatusCode::BAD_REQUEST, wrong),
        },
        (&Method::GET, "/sandbox/misbehave") => rules_left(&state),
        (&Method::POST, "/sandbox/misbehave") => match state.rules.add(&body) {
            Ok(()) => rules_left(&state),
            Err(wrong) => text(StatusCode::BAD_REQUEST, wrong),
        },
        (&Method::DELETE, "/sandbox/misbehave") => {
            state.rules.clear();
            rules_left(&state)
        }
        (&Method::POST, "/sandbox/reset") => {
            let mut journal = std::mem::take(&mut state.journal);
            journal.clear();
            *state = State {
                journal,
                ..State::new(&sandbox.shared.settings)
            };
            list(&json!({"reset": true}))
        }
        _ => text(StatusCode::NOT_FOUND, page()),
    }
}

fn page() -> String {
    let mut page = format!(
        "{PAGE}\n{}\n{}\nSettings, with their defaults:\n",
        words::help(),
        rules::HELP
    );
    for flag in settings::flags() {
        let Flag {
            name,
            default,
            variable,
            help,
        } = flag;
        // Writing to a `String` cannot fail.
        let _ = writeln!(page, "  --{name} {default}  ({variable})\n      {help}");
    }
    page
}

fn users(state: &State) -> Response {
    list(&json!({"users": state.users.ids().collect::<Vec<_>>()}))
}

fn rules_left(state: &State) -> Response {
    list(&json!({"rules": state.rules.list()}))
}

/// Adds users from a JSON list of ids, or from ids separated by spaces or commas.
fn add_users(state: &mut State, body: &str) -> Result<(), String> {
    let ids: Vec<String> = if body.trim_start().starts_with(['[', '{', '"']) {
        serde_json::from_str(body).map_err(|wrong| {
            format!("This is no JSON list of ids, such as [\"user-1\", \"user-2\"]: {wrong}\n")
        })?
    } else {
        let words = body.split(|c: char| c == ',' || c.is_whitespace());
        words
            .filter(|word| !word.is_empty())
            .map(str::to_owned)
            .collect()
    };
    if ids.is_empty() {
        return Err("Give ids: a JSON list, or text with spaces between.\n".to_owned());
    }
    let ids = ids.iter().map(String::as_str);
    state.users.add(ids).map_err(|wrong| format!("{wrong}\n"))
}

fn list(value: &Value) -> Response {
    typed(StatusCode::OK, "application/json", value.to_string())
}

fn text(status: StatusCode, text: String) -> Response {
    typed(status, "text/plain; charset=utf-8", text)
}

fn typed(status: StatusCode, content_type: &'static str, body: String) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
