//! Every request receives a response in the vendor's format.

mod random_request;

use std::time::Duration;

use axum::body::Body;
use http::Response;
use http_body_util::BodyExt as _;
use proptest::collection::vec;
use proptest::prelude::*;
use random_request::{CHANNEL, RandomRequest, body, notification_rule, random_request};
use tokio::time::{Instant, timeout};
use tower::ServiceExt as _;

use super::*;
use crate::ids::token_hash;
use crate::notifications::link::Frame;

/// Reads a body, but at most about a megabyte of an endless one.
async fn read(response: Response<Body>) -> Vec<u8> {
    let mut body = response.into_body();
    let mut bytes = Vec::new();
    while let Some(Ok(frame)) = body.frame().await {
        bytes.extend_from_slice(frame.data_ref().map_or(&[], |data| data));
        if bytes.len() > 1_000_000 {
            break;
        }
    }
    bytes
}

/// Sends a request, and checks the response unless a fault was injected.
async fn check(sandbox: &Sandbox, request: &RandomRequest) {
    // Longer than any delay that a behaviour injects.
    let max_wait = Duration::from_secs(1_000_000);
    let mut request = request.clone();
    if let Some(channel) = sandbox.lock().channels.all().first() {
        request.uri = request.uri.replace(CHANNEL, &channel.id);
    }
    let result = timeout(max_wait, sandbox.router().oneshot(request.request())).await;
    let latest = sandbox.lock().journal.list(1)["requests"]
        .as_array()
        .and_then(|all| all.last().cloned());
    let misbehaved = latest.is_some_and(|latest| latest["misbehaved"].is_string());
    let Ok(Ok(response)) = result else {
        assert!(misbehaved, "no response");
        return;
    };
    let status = response.status().as_u16();
    let correlation = response.headers().get("inin-correlation-id").cloned();
    let bytes = read(response).await;
    if misbehaved {
        return;
    }
    assert!(matches!(status, 200..=204 | 400..=429), "{status}");
    let path = request.uri.split('?').next();
    if request.uri.starts_with("/sandbox") || request.method == "GET" && path == Some("/") {
        return;
    }
    let correlation = correlation.unwrap();
    if status == 204 || request.method == "HEAD" {
        assert!(bytes.is_empty());
        return;
    }
    let body: Value = serde_json::from_slice(&bytes).unwrap();
    if status >= 400 && !request.uri.starts_with("/oauth/token") {
        assert_eq!(body["contextId"], correlation.to_str().unwrap());
        assert_eq!(body["status"], status);
        assert!(
            body["code"].is_string() && body["message"].is_string(),
            "{body}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_random_request_receives_a_valid_response(requests in vec(random_request(), 1..12)) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(async {
            let sandbox = Sandbox::new(Settings::default());
            for request in &requests {
                check(&sandbox, request).await;
            }
        });
    }

    #[test]
    fn every_random_text_of_a_socket_is_answered(
        texts in vec(body(), 1..12),
        rules in vec(notification_rule(), 0..4),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(async { answer_texts(&texts, &rules) });
    }
}

/// Plays what happens to a channel: texts of its client, changes, heartbeats, rules.
/// Without a rule, each text gets an answer.
fn answer_texts(texts: &[Vec<u8>], rules: &[String]) {
    let settings = Settings::default();
    let mut state = crate::state::State::new(&settings);
    let mut applied = false;
    for rule in rules {
        if let Ok(now) = state.rules.add(rule) {
            state.apply_now(now);
            applied = true;
        }
    }
    let token = token_hash("t");
    let now = Instant::now();
    let id = state
        .channels
        .create(token, "label", now)
        .unwrap()
        .id
        .clone();
    let link = state.channels.connect(&id, now).unwrap();
    state.opened(&id);
    for text in texts {
        state.receive(&id, &String::from_utf8_lossy(text), &settings);
        state.announce(FIRST, "PURECLOUD", "c");
        state.heartbeat(&id);
        let frames: Vec<Frame> = std::iter::from_fn(|| link.pop(Instant::now())).collect();
        if applied {
            continue;
        }
        assert!(frames.len() >= 2, "{frames:?}");
        for frame in frames {
            let Frame::Text(text) = frame else {
                panic!("{frame:?}");
            };
            assert!(serde_json::from_str::<Value>(&text).unwrap().is_object());
        }
    }
}
