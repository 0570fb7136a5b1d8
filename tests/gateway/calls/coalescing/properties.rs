//! What holds whatever calls meet: no answer reaches another token, everyone
//! gets what they asked for, and no failure or leaving harms another.

use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tokio::task::yield_now;

use super::{call, shared};
use crate::support::bulk::{READ, texts};
use crate::support::{Gateway, Limits, Received, Vendor, reply};

/// One call.
#[derive(Debug, Clone)]
struct Asked {
    token: usize,
    /// A single user, or many.
    is_bulk: bool,
    ids: Vec<u8>,
    /// Whether its caller goes away.
    leaves: bool,
    /// Whether its caller has hardly any time.
    hurries: bool,
}

fn asked() -> impl Strategy<Value = Asked> {
    (
        0..3_usize,
        any::<bool>(),
        vec(0..12_u8, 1..30),
        prop::bool::weighted(0.2),
        prop::bool::weighted(0.2),
    )
        .prop_map(|(token, is_bulk, ids, leaves, hurries)| Asked {
            token,
            is_bulk,
            ids,
            leaves,
            hurries,
        })
}

/// Of each token, some users are unknown, and one id is malformed.
fn is_unknown(token: &str, id: &str) -> bool {
    id == format!("user-{}", token.len() % 5)
}

fn is_malformed(token: &str, id: &str) -> bool {
    id == format!("user-{}", 5 + token.len() % 5)
}

fn token(number: usize) -> String {
    "x".repeat(number + 1)
}

fn told(received: &Received) -> axum::response::Response {
    let token = received.token().trim_start_matches("Bearer ");
    if !received.path().ends_with("/bulk") {
        let id = received.path().split('/').nth(4).unwrap().to_owned();
        return match () {
            () if is_malformed(token, &id) => reply(400, r#"{"code": "bad.request"}"#),
            () if is_unknown(token, &id) => reply(404, r#"{"code": "not.found"}"#),
            () => reply(200, json!({"id": id, "message": token}).to_string()),
        };
    }
    let ids = received.ids();
    if ids.iter().any(|id| is_malformed(token, id)) {
        return reply(400, r#"{"code": "bad.request"}"#);
    }
    let known = ids.iter().filter(|id| !is_unknown(token, id));
    let presences = known.map(|id| json!({"userId": id, "message": token}));
    reply(200, Value::Array(presences.collect()).to_string())
}

async fn play(gateway: &Gateway, asked: Vec<Asked>) {
    let mut calls = Vec::new();
    for one in asked {
        let ids: Vec<String> = one.ids.iter().map(|id| format!("user-{id}")).collect();
        let (rpc, request) = if one.is_bulk {
            (READ, json!({"id": ids}))
        } else {
            ("GetUserPresencesPurecloud", json!({"userId": ids[0]}))
        };
        let time = if one.hurries { 3 } else { 20_000 };
        let call = call(gateway, rpc, request, &token(one.token), time);
        yield_now().await;
        if one.leaves {
            call.abort();
            continue;
        }
        calls.push((one, ids, call));
    }
    for (one, ids, call) in calls {
        let token = token(one.token);
        let answer = call.await.unwrap();
        let ids = if one.is_bulk { &ids[..] } else { &ids[..1] };
        let expected = match () {
            () if ids.iter().any(|id| is_malformed(&token, id)) => "BAD_REQUEST",
            () if !one.is_bulk && is_unknown(&token, &ids[0]) => "NOT_FOUND",
            () => "",
        };
        let answer = match answer {
            Ok(answer) => answer,
            Err(status) => {
                let info = tonic_types::StatusExt::get_details_error_info(&status);
                let reason = info.map(|info| info.reason).unwrap_or_default();
                let ran_out = one.hurries
                    && (reason == "DEADLINE_EXCEEDED"
                        || status.code() == tonic::Code::Cancelled
                        || status.code() == tonic::Code::DeadlineExceeded);
                assert!(
                    ran_out || (reason == expected && !expected.is_empty()),
                    "{one:?}: {status:?} instead of {expected:?}"
                );
                continue;
            }
        };
        assert_eq!(expected, "", "{one:?}: {answer}");
        if !one.is_bulk {
            assert_eq!(answer["id"], ids[0].as_str());
            assert_eq!(answer["message"], token.as_str());
            continue;
        }
        let mut distinct: Vec<&str> = Vec::new();
        for id in ids {
            if !distinct.contains(&id.as_str()) {
                distinct.push(id);
            }
        }
        let (unknown, known): (Vec<&str>, Vec<&str>) =
            distinct.into_iter().partition(|id| is_unknown(&token, id));
        let presences = answer["presences"].as_array().cloned();
        let presences = presences.unwrap_or_default();
        let users = presences.iter().map(|each| each["userId"].as_str());
        let users: Vec<&str> = users.map(Option::unwrap).collect();
        assert_eq!(users, known, "{one:?}");
        assert_eq!(texts(&answer["missingIds"]), unknown, "{one:?}");
        let is_own = |each: &Value| each["message"] == token.as_str();
        assert!(presences.iter().all(is_own), "{one:?}: {answer}");
    }
}

#[test]
fn nobody_is_harmed_by_whom_they_meet_and_gets_what_they_asked_for() {
    let runtime = Runtime::new().unwrap();
    let gateways = runtime.block_on(async {
        let vendor = Vendor::start(|received| async move {
            tokio::task::yield_now().await;
            told(&received)
        })
        .await;
        let mut gateways = Vec::new();
        for milliseconds in [None, Some(2), Some(15)] {
            let limits = Limits {
                merge_window: milliseconds.map(Duration::from_millis),
                ..shared()
            };
            gateways.push(Gateway::with(&vendor, limits).await);
        }
        gateways
    });
    let config = ProptestConfig {
        cases: 100,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    proptest!(config, |(gateway in 0..3_usize, asked in vec(asked(), 1..60))| {
        runtime.block_on(play(&gateways[gateway], asked));
    });
}
