//! Random requests; many are nearly valid.

use axum::body::Body;
use http::{HeaderValue, Request};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};

use crate::misbehave::notification::words::WORDS as NOTIFICATION_WORDS;
use crate::misbehave::words::WORDS;
use crate::notifications::operations::OPERATIONS as NOTIFICATIONS;
use crate::routes::OPERATIONS;
use crate::tests::{BUSY, FIRST, MEAL, SECOND};

/// Names and values that the sandbox knows, and a few that it does not.
const VOCABULARY: [&str; 38] = [
    "id",
    "name",
    "source",
    "sourceId",
    "primary",
    "presenceDefinition",
    "message",
    "type",
    "modifiedDate",
    "languageLabels",
    "systemPresence",
    "divisionId",
    "deactivated",
    "description",
    "restorePresenceSettings",
    "enabled",
    "deleted",
    "localeCode",
    "pageNumber",
    "pageSize",
    FIRST,
    SECOND,
    BUSY,
    "PURECLOUD",
    "true",
    "ALL",
    "On Queue",
    "de",
    "misbehave",
    "on",
    "topics",
    "ignoreErrors",
    "includechannels",
    "v2.users.00000000-0000-4000-8000-000000000001.presence",
    "v2.users.00000000-0000-4000-8000-000000000002?presence&routingStatus",
    "*",
    "",
    "é\u{1f355}",
];

/// A request whose parts may each be invalid.
#[derive(Debug, Clone)]
pub(super) struct RandomRequest {
    pub(super) method: &'static str,
    pub(super) uri: String,
    authorization: Option<&'static [u8]>,
    content_type: Option<&'static str>,
    misbehave: Option<String>,
    body: Vec<u8>,
}

fn word() -> impl Strategy<Value = String> {
    prop_oneof![4 => select(&VOCABULARY[..]).prop_map(str::to_owned), 1 => ".{0,20}"]
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

/// What stands for the id of a channel that is there.
pub(super) const CHANNEL: &str = "CHANNEL";

/// A path segment, mostly an existing one.
fn segment() -> impl Strategy<Value = String> {
    let known = [FIRST, SECOND, BUSY, "PURECLOUD", "Phone", CHANNEL];
    prop_oneof![2 => select(known.to_vec()).prop_map(str::to_owned), 1 => word()]
}

/// A method and a path that mostly match.
fn target() -> impl Strategy<Value = (&'static str, String)> {
    let methods = vec![
        "GET", "PUT", "PATCH", "POST", "DELETE", "HEAD", "OPTIONS", "BREW",
    ];
    let any_method = select(methods);
    let fixed = select(vec![
        "/",
        "/api/v2",
        "/api/v2//",
        "/oauth/token",
        "/sandbox",
        "/channels/",
        "/channels/CHANNEL",
        "/sandbox/channels",
        "/sandbox/requests",
        "/sandbox/users",
        "/sandbox/presences",
        "/sandbox/presences/00000000-0000-4000-8000-000000000001/purecloud",
        "/sandbox/presences/%ff/%00",
        "/sandbox/misbehave",
        "/sandbox/misbehave/0",
        "/sandbox/grammar",
        "/sandbox/reset",
        "/api/v2/users/%ff/presences/%00",
    ]);
    let templates: Vec<_> = OPERATIONS
        .iter()
        .chain(NOTIFICATIONS)
        .map(|one| (one.method, one.template))
        .collect();
    let operation = (select(templates), segment(), segment());
    let operation = operation.prop_map(|((method, template), first, second)| {
        let path =
            template
                .replacen("{}", &encoded(&first), 1)
                .replacen("{}", &encoded(&second), 1);
        (method, format!("/api/v2/{path}"))
    });
    let operation = operation.boxed();
    let valid = operation.clone();
    let wrong_method =
        (any_method.clone(), operation).prop_map(|(method, (_, path))| (method, path));
    let other = (any_method, fixed.prop_map(str::to_owned));
    prop_oneof![6 => valid, 1 => wrong_method, 1 => other]
}

fn query() -> impl Strategy<Value = String> {
    vec((word(), prop_oneof![word(), "[0-9]{0,21}"]), 0..4).prop_map(|pairs| {
        let pairs = pairs
            .iter()
            .map(|(name, value)| format!("{}={}", encoded(name), encoded(value)));
        pairs.collect::<Vec<_>>().join("&")
    })
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        word().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..5).prop_map(Value::from),
            vec((word(), inner), 0..6)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

/// A valid body, in half of the cases with one value replaced.
fn near_miss() -> impl Strategy<Value = Value> {
    let valid = select(vec![
        json!({"id": FIRST, "sourceId": "Phone", "primary": true, "presenceDefinition": {"id": BUSY}, "message": "x"}),
        json!([{"id": FIRST, "message": "x"}, {"id": SECOND, "presenceDefinition": {"id": MEAL}}]),
        json!({"name": "x", "languageLabels": {"de": "x"}, "systemPresence": "Meal", "divisionId": "x"}),
        json!({"restorePresenceSettings": {"enabled": true, "restoreTimeMilliseconds": 1, "restoreOnQueueEnabled": true}}),
        json!({"sourceId": "PURECLOUD"}),
        json!({"misbehave": "cut", "path": "*", "times": 1}),
        json!([FIRST, "new"]),
        json!([{"id": "v2.users.00000000-0000-4000-8000-000000000001.presence"}]),
        json!({"misbehave": "token-revoked,stranger", "on": "now"}),
        json!({"message": "subscribe", "topics": ["v2.x"], "correlationId": "c"}),
        json!({"message": "ping"}),
    ]);
    (valid, word(), value(), any::<bool>()).prop_map(|(mut body, name, value, replace)| {
        match &mut body {
            Value::Object(fields) if replace => drop(fields.insert(name, value)),
            Value::Array(items) if replace => items.push(value),
            _ => {}
        }
        body
    })
}

pub(super) fn body() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        3 => near_miss().prop_map(|value| value.to_string().into_bytes()),
        1 => value().prop_map(|value| value.to_string().into_bytes()),
        1 => vec(any::<u8>(), 0..50),
        1 => (0..200_usize).prop_map(|depth| "[".repeat(depth).into_bytes()),
    ]
}

fn behaviours() -> impl Strategy<Value = String> {
    let written = WORDS.iter().flat_map(|word| word.written.split(", "));
    let written: Vec<&str> = written.collect();
    let one = (select(written), any::<u16>()).prop_map(|(word, number)| {
        let number = number.to_string();
        word.replace("=N", &format!("={number}"))
            .replace("=S", &format!("={number}"))
    });
    prop_oneof![4 => vec(one, 1..4).prop_map(|some| some.join(",")), 1 => "[ -~]{0,30}"]
}

/// A rule for notifications, mostly one that is possible.
pub(super) fn notification_rule() -> impl Strategy<Value = String> {
    let rules = NOTIFICATION_WORDS.iter().flat_map(|(word, on)| {
        let written = word.written.split(", ");
        written.flat_map(|one| {
            let one = one.replace("BYTES", "9").replace("HOW", "new");
            let one = one.replace("CODE", "1001");
            on.iter().map(move |on| (one.clone(), on.name()))
        })
    });
    let rules: Vec<(String, &str)> = rules.collect();
    let one = select(rules.clone()).prop_map(|(word, on)| format!("{word} on={on} times=2"));
    let two = (select(rules.clone()), select(rules));
    let two = two.prop_map(|((first, on), (second, _))| format!("{first},{second} on={on}"));
    prop_oneof![2 => one, 1 => two]
}

pub(super) fn random_request() -> impl Strategy<Value = RandomRequest> {
    let valid: &[u8] = b"Bearer t";
    let invalid: [Option<&[u8]>; 6] = [
        Some(b"bearer  expired"),
        Some(b"Bearer forbidden"),
        Some(b"Basic aWQ6c2VjcmV0"),
        Some(b"Bearer "),
        Some(b"\xff"),
        None,
    ];
    let invalid_types = [Some("text/plain"), Some(""), None];
    (
        (target(), query()),
        prop_oneof![4 => Just(Some(valid)), 1 => select(invalid.to_vec())],
        prop_oneof![4 => Just(Some("application/json")), 1 => select(invalid_types.to_vec())],
        prop_oneof![4 => Just(None), 1 => behaviours().prop_map(Some)],
        body(),
    )
        .prop_map(|(target, authorization, content_type, misbehave, body)| {
            let ((method, path), query) = target;
            let uri = if query.is_empty() {
                path
            } else {
                format!("{path}?{query}")
            };
            RandomRequest {
                method,
                uri,
                authorization,
                content_type,
                misbehave,
                body,
            }
        })
}

impl RandomRequest {
    pub(super) fn request(&self) -> Request<Body> {
        let mut request = Request::builder().method(self.method).uri(&self.uri);
        if let Some(value) = self.authorization {
            request = request.header("authorization", value);
        }
        if let Some(value) = self.content_type {
            request = request.header("content-type", value);
        }
        if let Some(value) = &self.misbehave {
            request = request.header("x-sandbox-misbehave", HeaderValue::from_str(value).unwrap());
        }
        request.body(Body::from(self.body.clone())).unwrap()
    }
}
