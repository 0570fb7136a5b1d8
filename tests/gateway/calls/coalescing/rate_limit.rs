//! Shared requests that wait for the rate limiter or a `Retry-After`.

use std::sync::Arc;

use serde_json::json;
use tokio::sync::Semaphore;
use tonic::Code;

use super::reads::{LONG_MS, RPC, spawn_read, user_request, wait_until_received};
use super::{coalescing_limits, echo, spawn_call};
use crate::support::bulk::READ;
use crate::support::in_flight::{InFlight, gated_vendor, wait_for};
use crate::support::{Gateway, Limits, Vendor, expect_error, reply};

#[tokio::test]
async fn reads_waiting_for_the_rate_limit_are_shared_and_hurried_ones_are_rejected_at_once() {
    let (in_flight, gate) = (InFlight::default(), Arc::new(Semaphore::new(9)));
    let vendor = gated_vendor(&in_flight, &gate, echo).await;
    let limits = Limits {
        token_requests: 1,
        ..coalescing_limits()
    };
    let gateway = Gateway::start_with(&vendor, limits).await;
    spawn_read(&gateway, "first", "t").await.unwrap().unwrap();
    // The rate limiter delays it by a minute.
    let patient = spawn_call(&gateway, RPC, user_request("u"), "t", LONG_MS);
    wait_until_received(&gateway, &[]).await;
    let hurried = spawn_call(&gateway, RPC, user_request("u"), "t", 20_000);
    let hurried = wait_for("an immediate rejection", hurried).await.unwrap();
    expect_error(hurried, Code::ResourceExhausted, "TOKEN_QUOTA_EXHAUSTED");
    assert!(!patient.is_finished(), "the patient call should wait");
    assert_eq!(in_flight.counts().started, 1);
    patient.abort();
}

#[tokio::test]
async fn a_retry_after_past_the_deadline_of_one_call_rejects_only_that_call() {
    let vendor = Vendor::start(|_| async {
        let mut answer = reply(429, r#"{"code": "too.many.requests"}"#);
        answer
            .headers_mut()
            .insert("retry-after", "15".parse().unwrap());
        answer
    })
    .await;
    let gateway = Gateway::start_with(&vendor, coalescing_limits()).await;
    let patient = spawn_call(&gateway, RPC, user_request("u"), "t", LONG_MS);
    let hurried = spawn_call(&gateway, RPC, user_request("u"), "t", 9_000);
    let status = wait_for("an immediate rejection", hurried).await.unwrap();
    expect_error(status, Code::ResourceExhausted, "TOO_MANY_REQUESTS");
    assert!(!patient.is_finished());
    patient.abort();
}

#[tokio::test]
async fn a_bulk_read_is_shared_when_the_token_has_no_quota_left() {
    let (in_flight, gate) = (InFlight::default(), Arc::new(Semaphore::new(0)));
    let vendor = gated_vendor(&in_flight, &gate, echo).await;
    let limits = Limits {
        token_requests: 1,
        ..coalescing_limits()
    };
    let gateway = Gateway::start_with(&vendor, limits).await;
    let request = || json!({"id": ["a", "b"]});
    let reads: Vec<_> = (0..5)
        .map(|_| spawn_call(&gateway, READ, request(), "t", 20_000))
        .collect();
    in_flight
        .wait_until("one request has arrived", |counts| counts.started == 1)
        .await;
    gate.add_permits(9);
    for read in reads {
        wait_for("the response", read).await.unwrap().unwrap();
    }
    assert_eq!(in_flight.counts().started, 1);
}
