//! Limits per token: its requests a minute, and its share of the concurrency limit.

mod throttled;

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::sync::{Semaphore, mpsc};
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::support::{
    ClosedPort, Gateway, JsonResponse, Limits, NO_RETRIES, Vendor, expect_error, metadata, reply,
};

const RPC: &str = "GetUserPresencesPurecloud";
const BULK: &str = "GetUsersPresencesPurecloudBulk";

async fn call(gateway: &Gateway, token: &str) -> Result<JsonResponse, Status> {
    gateway
        .call_with_token(token, RPC, json!({"userId": "u"}))
        .await
}

/// A gateway with a rate limit of three requests a minute for each token.
async fn gateway_with_three_a_minute(vendor: &Vendor) -> Gateway {
    let limits = Limits {
        token_requests: 3,
        ..Limits::default()
    };
    Gateway::start_with(vendor, limits).await
}

fn ids(count: usize) -> Value {
    json!((0..count).map(|n| n.to_string()).collect::<Vec<_>>())
}

#[tokio::test]
async fn a_call_that_would_wait_past_its_deadline_is_rejected_at_once_and_unsent() {
    let vendor = Vendor::with_response(200, "{}").await;
    let gateway = gateway_with_three_a_minute(&vendor).await;
    for answer in join_all((0..3).map(|_| call(&gateway, "a"))).await {
        answer.unwrap();
    }
    let start = Instant::now();
    let status = expect_error(
        call(&gateway, "a").await,
        Code::ResourceExhausted,
        "TOKEN_QUOTA_EXHAUSTED",
    );
    assert!(start.elapsed() < Duration::from_secs(20), "the call waited");
    let delay = status
        .get_details_retry_info()
        .unwrap()
        .retry_delay
        .unwrap();
    assert!((30..62).contains(&delay.as_secs()), "{delay:?}");
    assert!(status.get_details_quota_failure().is_some());
    // The delay exceeds the deadline, so the client must not retry.
    assert_eq!(metadata(&status, "grpc-retry-pushback-ms"), Some("-1"));
    assert_eq!(vendor.received().len(), 3);

    call(&gateway, "another").await.unwrap();
}

#[tokio::test]
async fn a_bulk_call_that_would_not_finish_in_time_is_rejected_unsent() {
    let vendor = Vendor::with_response(200, "[]").await;
    let gateway = gateway_with_three_a_minute(&vendor).await;
    let updates: Vec<Value> = (0..200).map(|n| json!({"id": n.to_string()})).collect();
    for (rpc, request) in [
        (BULK, json!({"id": ids(200)})),
        ("PutUsersPresencesBulk", json!({"body": updates})),
    ] {
        let answer = gateway.call_with_token("a", rpc, request).await;
        expect_error(answer, Code::ResourceExhausted, "TOKEN_QUOTA_EXHAUSTED");
        assert_eq!(vendor.received().len(), 0, "{rpc}");
    }
    gateway
        .call_with_token("a", BULK, json!({"id": ids(150)}))
        .await
        .unwrap();
}

#[tokio::test]
async fn partial_results_list_the_ids_over_the_rate_limit() {
    let vendor = Vendor::start(async |received| {
        let ids = received.ids().into_iter().map(|id| json!({"userId": id}));
        reply(200, json!(ids.collect::<Vec<_>>()).to_string())
    })
    .await;
    let gateway = gateway_with_three_a_minute(&vendor).await;
    let request = json!({"id": ids(200), "allowPartialResults": true});
    let answer = gateway
        .call_with_token("a", BULK, request)
        .await
        .unwrap()
        .json;
    assert_eq!(answer["presences"].as_array().unwrap().len(), 150);
    assert_eq!(answer["failures"][0]["ids"].as_array().unwrap().len(), 50);
    assert_eq!(
        answer["failures"][0]["status"]["code"],
        Code::ResourceExhausted as i32
    );
    assert_eq!(vendor.received().len(), 3);
}

#[tokio::test]
async fn requests_of_a_rejected_token_count_towards_its_rate_limit() {
    // Otherwise a token that the vendor rejects now and then would have no limit.
    let vendor = Vendor::with_response(401, r#"{"code":"bad.credentials","message":"m"}"#).await;
    let gateway = gateway_with_three_a_minute(&vendor).await;
    for _ in 0..3 {
        expect_error(
            call(&gateway, "a").await,
            Code::Unauthenticated,
            "BAD_CREDENTIALS",
        );
    }
    let answer = call(&gateway, "a").await;
    expect_error(answer, Code::ResourceExhausted, "TOKEN_QUOTA_EXHAUSTED");
    assert_eq!(vendor.received().len(), 3);
}

#[tokio::test]
async fn a_request_that_was_never_sent_does_not_count_towards_the_rate_limit() {
    let closed = ClosedPort::new();
    let limits = Limits {
        token_requests: 3,
        ..Limits::default()
    };
    let gateway = Gateway::start_at_with(&format!("http://{}", closed.address), limits).await;
    for _ in 0..5 {
        let answer = call(&gateway, "a").await;
        expect_error(answer, Code::Unavailable, "UPSTREAM_UNREACHABLE");
    }
}

#[tokio::test]
async fn each_retry_counts_towards_the_rate_limit() {
    let vendor = Vendor::with_response(503, "").await;
    let gateway = gateway_with_three_a_minute(&vendor).await;
    expect_error(
        call(&gateway, "a").await,
        Code::Unavailable,
        "UPSTREAM_ERROR",
    );
    assert_eq!(vendor.received().len(), 3);
    let answer = call(&gateway, "a").await;
    expect_error(answer, Code::ResourceExhausted, "TOKEN_QUOTA_EXHAUSTED");
}

#[tokio::test]
async fn one_token_holds_at_most_a_quarter_of_the_permits() {
    let (arrive, mut arrived) = mpsc::unbounded_channel();
    let gate = Arc::new(Semaphore::new(0));
    let vendor_gate = Arc::clone(&gate);
    let vendor = Vendor::start(move |_| {
        let (arrive, gate) = (arrive.clone(), Arc::clone(&vendor_gate));
        async move {
            arrive.send(()).unwrap();
            gate.acquire().await.unwrap().forget();
            reply(200, "{}")
        }
    })
    .await;
    let limits = Limits {
        max_in_flight: 8,
        ..Limits::default()
    };
    let gateway = Gateway::start_with(&vendor, limits).await;
    let mut calls = Vec::new();
    for token in ["full", "full", "other"] {
        let gateway = gateway.clone();
        calls.push(tokio::spawn(async move { call(&gateway, token).await }));
        arrived.recv().await.unwrap();
    }
    // The spelling of the scheme does not change the token.
    for scheme in ["Bearer", "BEARER "] {
        let token = format!("{scheme} full");
        let token = [("authorization", token.as_str()), NO_RETRIES];
        let answer = gateway
            .call_with_metadata(RPC, json!({"userId": "u"}), &token)
            .await;
        let status = expect_error(answer, Code::ResourceExhausted, "TOKEN_OVERLOADED");
        assert_eq!(metadata(&status, "grpc-retry-pushback-ms"), Some("200"));
    }
    assert_eq!(vendor.received().len(), 3);
    gate.add_permits(10);
    for call in calls {
        call.await.unwrap().unwrap();
    }
    call(&gateway, "full").await.unwrap();
}
