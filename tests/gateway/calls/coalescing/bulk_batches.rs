//! Batches shared by concurrent bulk reads.

use std::time::Duration;

use axum::response::Response;
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tonic::{Code, Status};

use super::{assert_timed_out, coalescing_limits, spawn_call};
use crate::support::bulk::{READ, all_presences, failures, ids, start_vendor, strings, user_ids};
use crate::support::in_flight::wait_for;
use crate::support::{Gateway, Limits, ReceivedRequest, Vendor, expect_error, reply};

/// A timeout that no call of these tests reaches.
const LONG_MS: u64 = 20_000;

/// A gateway that keeps batches open for other calls' ids during this window.
async fn gateway_with_window(vendor: &Vendor, window_ms: u64) -> Gateway {
    let limits = Limits {
        merge_window: Some(Duration::from_millis(window_ms)),
        ..coalescing_limits()
    };
    Gateway::start_with(vendor, limits).await
}

fn spawn_read(gateway: &Gateway, ids: &[String], token: &str) -> JoinHandle<Result<Value, Status>> {
    spawn_call(gateway, READ, json!({"id": ids}), token, LONG_MS)
}

async fn response(read: JoinHandle<Result<Value, Status>>) -> Value {
    wait_for("the response", read).await.unwrap().unwrap()
}

/// Returns the presences of known users, and rejects a request with a malformed id.
fn respond(received: &ReceivedRequest) -> Response {
    let ids = received.ids();
    if ids.iter().any(|id| id.starts_with("bad")) {
        return reply(400, r#"{"code": "bad.request", "message": "malformed id"}"#);
    }
    let known = ids.iter().filter(|id| !id.starts_with("none"));
    // In reverse order, since the vendor promises none.
    let presences: Vec<_> = known.rev().map(|id| json!({"userId": id})).collect();
    reply(200, Value::Array(presences).to_string())
}

#[tokio::test]
async fn fifty_reads_of_one_id_each_share_one_request() {
    let vendor = start_vendor(respond).await;
    // Long enough for all 50 reads on any machine. A full batch is sent at once,
    // so the test does not wait for the window.
    let gateway = gateway_with_window(&vendor, 1000).await;
    let reads: Vec<_> = (0..50)
        .map(|n| spawn_read(&gateway, &ids(n..n + 1), "t"))
        .collect();
    for (n, read) in reads.into_iter().enumerate() {
        let answer = response(read).await;
        assert_eq!(user_ids(&answer), ids(n..n + 1));
        assert!(strings(&answer["missingIds"]).is_empty());
    }
    assert_eq!(vendor.received().len(), 1);
}

#[tokio::test]
async fn an_unrequested_presence_is_dropped_from_a_shared_batch_only() {
    let vendor = start_vendor(|received| {
        let ids = received.ids();
        let users = ids.iter().map(String::as_str).chain(["unrequested"]);
        let presences: Vec<_> = users.map(|id| json!({"userId": id})).collect();
        reply(200, Value::Array(presences).to_string())
    })
    .await;
    let gateway = gateway_with_window(&vendor, 300).await;
    let reads = [
        spawn_read(&gateway, &ids(0..1), "t"),
        spawn_read(&gateway, &ids(1..2), "t"),
    ];
    for (n, read) in reads.into_iter().enumerate() {
        assert_eq!(user_ids(&response(read).await), ids(n..n + 1));
    }
    assert_eq!(vendor.received().len(), 1);
    let alone = response(spawn_read(&gateway, &ids(2..3), "t")).await;
    assert_eq!(user_ids(&alone), ["user-2", "unrequested"]);
}

#[tokio::test]
async fn ids_that_do_not_fit_go_into_the_next_batch() {
    let vendor = start_vendor(respond).await;
    let gateway = gateway_with_window(&vendor, 500).await;
    let reads: Vec<_> = (0..5)
        .map(|n| spawn_read(&gateway, &ids(n * 30..n * 30 + 30), "t"))
        .collect();
    for (n, read) in reads.into_iter().enumerate() {
        assert_eq!(user_ids(&response(read).await), ids(n * 30..n * 30 + 30));
    }
    assert_eq!(
        vendor.received().len(),
        3,
        "150 ids should be three batches"
    );
    vendor.clear();
    // A full batch does not wait for the window.
    assert_eq!(
        user_ids(&response(spawn_read(&gateway, &ids(0..100), "t")).await),
        ids(0..100)
    );
    assert_eq!(vendor.received().len(), 2);
}

#[tokio::test]
async fn an_id_requested_by_several_reads_is_sent_once() {
    let vendor = start_vendor(respond).await;
    let gateway = gateway_with_window(&vendor, 500).await;
    let requested = ["a", "none", "b"].map(str::to_owned);
    let reads: Vec<_> = (0..60)
        .map(|_| spawn_read(&gateway, &requested, "t"))
        .collect();
    for read in reads {
        let answer = response(read).await;
        assert_eq!(user_ids(&answer), ["a", "b"]);
        assert_eq!(strings(&answer["missingIds"]), ["none"]);
    }
    assert_eq!(vendor.single_request().ids(), requested);
}

#[tokio::test]
async fn reads_of_other_tokens_or_sources_share_no_batch() {
    let vendor = start_vendor(all_presences).await;
    let gateway = gateway_with_window(&vendor, 300).await;
    let read_source = |source: &str| {
        let request = json!({"id": ids(0..1), "sourceId": source});
        spawn_call(&gateway, "GetUsersPresenceBulk", request, "a", LONG_MS)
    };
    let reads = [
        spawn_read(&gateway, &ids(0..1), "a"),
        spawn_read(&gateway, &ids(1..2), "b"),
        read_source("x"),
        read_source("y"),
    ];
    for read in reads {
        assert_eq!(user_ids(&response(read).await).len(), 1);
    }
    assert_eq!(vendor.received().len(), 4);
    let count = |token: &str| {
        vendor
            .received()
            .into_iter()
            .filter(|each| each.token() == token)
            .count()
    };
    assert_eq!((count("Bearer a"), count("Bearer b")), (3, 1));
}

#[tokio::test]
async fn a_malformed_id_fails_only_its_own_call() {
    let vendor = start_vendor(respond).await;
    let gateway = gateway_with_window(&vendor, 300).await;
    let valid: Vec<_> = (0..4)
        .map(|n| spawn_read(&gateway, &ids(n..n + 1), "t"))
        .collect();
    let malformed = spawn_read(&gateway, &["bad".to_owned()], "t");
    let partial = json!({"id": ["bad2"], "allowPartialResults": true});
    let partial = spawn_call(&gateway, READ, partial, "t", LONG_MS);
    for (n, read) in valid.into_iter().enumerate() {
        assert_eq!(user_ids(&response(read).await), ids(n..n + 1));
    }
    expect_error(
        malformed.await.unwrap(),
        Code::InvalidArgument,
        "BAD_REQUEST",
    );
    let failed = failures(&response(partial).await);
    assert_eq!(failed.len(), 1);
    assert_eq!(failed[0].2, ["bad2"]);
    assert_eq!(
        vendor.received().len(),
        7,
        "one shared request should be followed by one for each of the six calls"
    );
}

#[tokio::test]
async fn an_error_of_the_token_or_the_vendor_fails_all_calls_after_one_request() {
    for (status, code) in [(401, Code::Unauthenticated), (500, Code::Internal)] {
        let vendor = start_vendor(move |_| reply(status, r#"{"code": "some.code"}"#)).await;
        let gateway = gateway_with_window(&vendor, 300).await;
        let reads: Vec<_> = (0..4)
            .map(|n| spawn_read(&gateway, &ids(n..n + 1), "t"))
            .collect();
        for read in reads {
            let answer = wait_for("the error", read).await.unwrap();
            expect_error(answer, code, "SOME_CODE");
        }
        assert_eq!(vendor.received().len(), 1);
    }
}

#[tokio::test]
async fn a_cancelled_or_timed_out_call_does_not_affect_a_shared_batch() {
    let vendor = start_vendor(respond).await;
    let gateway = gateway_with_window(&vendor, 700).await;
    let hurried = spawn_call(&gateway, READ, json!({"id": ids(0..1)}), "t", 200);
    let cancelled = spawn_read(&gateway, &ids(1..2), "t");
    let patient = spawn_read(&gateway, &ids(2..3), "t");
    assert_timed_out(&hurried.await.unwrap().unwrap_err());
    cancelled.abort();
    assert_eq!(user_ids(&response(patient).await), ids(2..3));
}
