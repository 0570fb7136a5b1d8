//! Faulty replies on request.

use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use super::*;

const BULK: &str = "/api/v2/users/presences/purecloud/bulk?id=00000000-0000-4000-8000-000000000001,\
                    00000000-0000-4000-8000-000000000002,00000000-0000-4000-8000-000000000003";
const THIRD: &str = "00000000-0000-4000-8000-000000000003";

fn presence() -> String {
    format!("/api/v2/users/{FIRST}/presences/purecloud")
}

/// Sends a PATCH whose reply shows the given behaviours. Returns the status of
/// a complete reply, and the message that the user has afterwards.
async fn patch(
    sandbox: &RunningSandbox,
    behaviours: &str,
) -> (Result<u16, reqwest::Error>, String) {
    let body = json!({"message": behaviours});
    let request = sandbox
        .request("PATCH", &presence())
        .header("X-Sandbox-Misbehave", behaviours);
    let status = match json(request, &body).send().await {
        Ok(response) => {
            let status = response.status().as_u16();
            response.bytes().await.map(|_| status)
        }
        Err(error) => Err(error),
    };
    let read = sandbox.get(&presence()).await.json(200);
    (status, read["message"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn an_injected_error_has_the_vendor_format_at_any_status() {
    let sandbox = start().await;
    for (status, code) in [
        (400, "bad.request"),
        (401, "authentication.required"),
        (404, "not.found"),
        (409, "general.conflict"),
        (500, "internal.server.error"),
        (503, "service.unavailable"),
        (504, "request.timeout"),
    ] {
        sandbox
            .misbehaving(BULK, &format!("status={status}"))
            .await
            .error(status, code);
    }
    let coded = sandbox
        .misbehaving(BULK, "status=400,code=invalid.date")
        .await;
    coded.error(400, "invalid.date");
    let busy = sandbox.misbehaving(BULK, "status=503,retry-after=7").await;
    assert_eq!(busy.header("retry-after"), "7");
    busy.error(503, "service.unavailable");
    let limited = sandbox.misbehaving(BULK, "retry-after=42").await;
    assert_eq!(limited.header("retry-after"), "42");
    let limited = limited.error(429, "too.many.requests.retry.after");
    assert!(
        limited["message"]
            .as_str()
            .unwrap()
            .contains("[42] seconds")
    );
    assert_eq!(
        sandbox
            .misbehaving(BULK, "status=202")
            .await
            .json(202)
            .as_array()
            .unwrap()
            .len(),
        3
    );
}

#[tokio::test]
async fn a_cut_connection_gives_no_reply_and_the_next_one_works() {
    let sandbox = start().await;
    let cut = sandbox
        .request("GET", BULK)
        .header("X-Sandbox-Misbehave", "cut")
        .send()
        .await;
    let cut = cut.unwrap_err();
    assert!(
        cut.is_request() && !cut.is_connect() && !cut.is_timeout(),
        "{cut:?}"
    );
    assert_eq!(sandbox.get(BULK).await.status, 200);
}

#[tokio::test]
async fn a_cut_body_ends_after_its_first_half() {
    let sandbox = start().await;
    let whole = sandbox.get(BULK).await.text;
    let request = sandbox
        .request("GET", BULK)
        .header("X-Sandbox-Misbehave", "cut-body");
    let mut response = request.send().await.unwrap();
    assert_eq!(response.status(), 200);
    let mut bytes = Vec::new();
    let is_cut = loop {
        match response.chunk().await {
            Ok(Some(chunk)) => bytes.extend_from_slice(&chunk),
            Ok(None) => break false,
            Err(_) => break true,
        }
    };
    assert!(is_cut, "the body ends as if it were complete");
    assert_eq!(bytes, &whole.as_bytes()[..whole.len() / 2]);
}

#[tokio::test]
async fn a_reply_can_have_another_body_type_or_status() {
    let sandbox = start().await;
    let whole = sandbox.get(BULK).await.text;

    let half = sandbox.misbehaving(BULK, "half-json").await;
    assert_eq!(
        (half.status, half.text.as_str()),
        (200, &whole[..whole.len() / 2])
    );
    assert_eq!(sandbox.misbehaving(BULK, "drip=0ms").await.text, whole);
    let empty = sandbox.misbehaving(BULK, "empty").await;
    assert_eq!((empty.status, empty.text.as_str()), (200, ""));
    let empty = sandbox.misbehaving(BULK, "status=500,empty").await;
    assert_eq!((empty.status, empty.text.as_str()), (500, ""));

    let html = sandbox.misbehaving(BULK, "html").await;
    assert_eq!(
        (html.status, html.header("content-type")),
        (200, "text/html; charset=utf-8")
    );
    assert!(html.text.starts_with("<!DOCTYPE html>"));
    assert_eq!(
        sandbox.misbehaving(BULK, "status=502,html").await.status,
        502
    );
    let garbage = sandbox.misbehaving(BULK, "garbage").await;
    assert!(serde_json::from_str::<Value>(&garbage.text).is_err());
    let redirect = sandbox.misbehaving(BULK, "redirect").await;
    assert_eq!(
        (redirect.status, redirect.header("location")),
        (302, "https://redirected.invalid/api/v2")
    );
    assert_eq!(
        sandbox
            .misbehaving(BULK, "status=307,redirect")
            .await
            .status,
        307
    );
    assert!(
        sandbox
            .misbehaving(BULK, "wrong-shape")
            .await
            .json(200)
            .is_object()
    );
    let listing = sandbox
        .misbehaving("/api/v2/presence/sources", "wrong-shape")
        .await;
    assert!(listing.json(200).is_array());
}

#[tokio::test]
async fn a_huge_body_has_no_end() {
    let sandbox = start().await;
    let request = sandbox
        .request("GET", BULK)
        .header("X-Sandbox-Misbehave", "huge");
    let mut response = request.send().await.unwrap();
    let mut read = 0;
    while read < 10_000_000 {
        read += response
            .chunk()
            .await
            .unwrap()
            .expect("the body ended")
            .len();
    }
}

#[tokio::test]
async fn the_items_of_a_bulk_reply_can_be_changed() {
    let sandbox = start().await;
    for (how, expected) in [
        ("shuffle", vec![THIRD, SECOND, FIRST]),
        ("drop", vec![FIRST, SECOND]),
        ("drop=2", vec![FIRST]),
        ("duplicate", vec![FIRST, SECOND, THIRD, FIRST]),
        ("shuffle,drop=2,duplicate", vec![THIRD, THIRD]),
    ] {
        let list = sandbox.misbehaving(BULK, how).await.json(200);
        assert_eq!(each(&list, "userId"), expected, "{how}");
    }
    let list = sandbox.misbehaving(BULK, "stranger").await.json(200);
    assert_eq!(each(&list, "userId").len(), 4);
    assert_eq!(
        sandbox.misbehaving(BULK, "null-list").await.json(200),
        Value::Null
    );
    assert_eq!(
        sandbox.misbehaving(BULK, "null-items").await.json(200)[0],
        Value::Null
    );
    let marked = sandbox.misbehaving(BULK, "unknown-field").await.json(200);
    assert!(marked[2]["sandboxUnknownField"].is_object());
    assert!(marked[2]["presenceDefinition"]["sandboxUnknownField"].is_object());
    let listing = sandbox
        .misbehaving("/api/v2/presence/definitions", "null-list")
        .await
        .json(200);
    assert_eq!(
        (&listing["entities"], &listing["total"]),
        (&Value::Null, &json!(10))
    );
}

#[tokio::test(start_paused = true)]
async fn a_client_waits_for_a_delayed_or_missing_reply() {
    let sandbox = start().await;
    let start = Instant::now();
    assert_eq!(
        sandbox
            .misbehaving(BULK, "delay=80ms,status=503")
            .await
            .status,
        503
    );
    assert!(start.elapsed() >= Duration::from_millis(80));

    let never = sandbox
        .request("GET", BULK)
        .header("X-Sandbox-Misbehave", "never");
    let waited = never.timeout(Duration::from_millis(50)).send().await;
    assert!(waited.unwrap_err().is_timeout());
}

#[tokio::test]
async fn a_faulty_write_is_applied_only_if_the_behaviour_says_after() {
    let sandbox = start().await;
    let mut last = String::new();
    for (how, status, applied) in [
        ("status=503", Some(503), false),
        ("status=503,before", Some(503), false),
        ("status=502,after", Some(502), true),
        ("cut", None, false),
        ("cut,after", None, true),
        ("cut-body", None, false),
        ("cut-body,after", None, true),
        ("half-json", Some(200), false),
        ("half-json,after", Some(200), true),
        ("empty", Some(200), false),
        ("garbage,after", Some(200), true),
        ("wrong-shape", Some(200), false),
        ("delay=1ms", Some(200), true),
        ("drip=0ms", Some(200), true),
        ("unknown-field", Some(200), true),
        ("status=201", Some(201), true),
    ] {
        let (received, message) = patch(&sandbox, how).await;
        assert_eq!(received.ok(), status, "{how}");
        if applied {
            how.clone_into(&mut last);
        }
        assert_eq!(message, last, "{how}");
    }
}

#[tokio::test]
async fn a_malformed_behaviour_is_rejected_with_the_accepted_range() {
    let sandbox = start().await;
    let rejected = sandbox.misbehaving(BULK, "status=42").await;
    assert_eq!(rejected.rejected_field(), "X-Sandbox-Misbehave");
    assert!(
        rejected
            .text
            .contains("is not a whole number from 200 to 599")
    );
}
