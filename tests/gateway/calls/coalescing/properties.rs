//! Properties of coalesced calls: no response reaches another token, each call
//! gets the users that it requested, and no failed or cancelled call affects
//! another.

use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tokio::task::yield_now;

use super::{coalescing_limits, spawn_call};
use crate::support::bulk::{READ, strings};
use crate::support::{Gateway, Limits, ReceivedRequest, Vendor, reply};

/// One generated call.
#[derive(Debug, Clone)]
struct Call {
    token: usize,
    /// Whether the call reads all ids, or only the first.
    is_bulk: bool,
    ids: Vec<u8>,
    /// Whether its caller cancels it.
    is_cancelled: bool,
    /// Whether its deadline is 3 ms.
    is_hurried: bool,
}

fn any_call() -> impl Strategy<Value = Call> {
    (
        0..3_usize,
        any::<bool>(),
        vec(0..12_u8, 1..30),
        prop::bool::weighted(0.2),
        prop::bool::weighted(0.2),
    )
        .prop_map(|(token, is_bulk, ids, is_cancelled, is_hurried)| Call {
            token,
            is_bulk,
            ids,
            is_cancelled,
            is_hurried,
        })
}

/// Each token has one unknown user and one malformed id.
fn is_unknown(token: &str, id: &str) -> bool {
    id == format!("user-{}", token.len() % 5)
}

fn is_malformed(token: &str, id: &str) -> bool {
    id == format!("user-{}", 5 + token.len() % 5)
}

fn token(number: usize) -> String {
    "x".repeat(number + 1)
}

fn respond(received: &ReceivedRequest) -> axum::response::Response {
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

async fn run_calls(gateway: &Gateway, calls: Vec<Call>) {
    let mut running = Vec::new();
    for call in calls {
        let ids: Vec<String> = call.ids.iter().map(|id| format!("user-{id}")).collect();
        let (rpc, request) = if call.is_bulk {
            (READ, json!({"id": ids}))
        } else {
            ("GetUserPresencesPurecloud", json!({"userId": ids[0]}))
        };
        let timeout_ms = if call.is_hurried { 3 } else { 20_000 };
        let task = spawn_call(gateway, rpc, request, &token(call.token), timeout_ms);
        yield_now().await;
        if call.is_cancelled {
            task.abort();
            continue;
        }
        running.push((call, ids, task));
    }
    for (call, ids, task) in running {
        let token = token(call.token);
        let answer = task.await.unwrap();
        let ids = if call.is_bulk { &ids[..] } else { &ids[..1] };
        let expected = match () {
            () if ids.iter().any(|id| is_malformed(&token, id)) => "BAD_REQUEST",
            () if !call.is_bulk && is_unknown(&token, &ids[0]) => "NOT_FOUND",
            () => "",
        };
        let answer = match answer {
            Ok(answer) => answer,
            Err(status) => {
                let info = tonic_types::StatusExt::get_details_error_info(&status);
                let reason = info.map(|info| info.reason).unwrap_or_default();
                let timed_out = call.is_hurried
                    && (reason == "DEADLINE_EXCEEDED"
                        || status.code() == tonic::Code::Cancelled
                        || status.code() == tonic::Code::DeadlineExceeded);
                assert!(
                    timed_out || (reason == expected && !expected.is_empty()),
                    "{call:?}: {status:?} instead of {expected:?}"
                );
                continue;
            }
        };
        assert_eq!(expected, "", "{call:?}: {answer}");
        if !call.is_bulk {
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
        assert_eq!(users, known, "{call:?}");
        assert_eq!(strings(&answer["missingIds"]), unknown, "{call:?}");
        let is_own = |each: &Value| each["message"] == token.as_str();
        assert!(presences.iter().all(is_own), "{call:?}: {answer}");
    }
}

#[test]
fn each_coalesced_call_gets_its_own_results() {
    let runtime = Runtime::new().unwrap();
    let gateways = runtime.block_on(async {
        let vendor = Vendor::start(|received| async move {
            tokio::task::yield_now().await;
            respond(&received)
        })
        .await;
        let mut gateways = Vec::new();
        for window_ms in [None, Some(2), Some(15)] {
            let limits = Limits {
                merge_window: window_ms.map(Duration::from_millis),
                ..coalescing_limits()
            };
            gateways.push(Gateway::start_with(&vendor, limits).await);
        }
        gateways
    });
    let config = ProptestConfig {
        cases: 100,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    proptest!(config, |(gateway in 0..3_usize, calls in vec(any_call(), 1..60))| {
        runtime.block_on(run_calls(&gateways[gateway], calls));
    });
}
