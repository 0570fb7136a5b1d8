//! The counters of rejected calls, retries, saved requests and unexpected fields.

use std::sync::Arc;

use futures_util::future::join_all;
use serde_json::json;
use tokio::sync::Semaphore;

use super::gateway;
use super::metrics_page::{FLAGS, metrics_address, request as get, samples};
use crate::support::bulk::{READ, all_presences, ids};
use crate::support::{Vendor, reply};

#[tokio::test]
async fn calls_rejected_by_the_rate_limiter_are_counted() {
    let vendor = Vendor::with_response(200, "{}").await;
    let flags = [&FLAGS[..], &["--token-requests-per-minute", "1"]].concat();
    let (serving, gateway) = gateway(&vendor, &flags, &[]).await;
    let rpc = "GetUserPresencesPurecloud";
    gateway.call(rpc, json!({"userId": "u"})).await.unwrap();
    gateway.call(rpc, json!({"userId": "u"})).await.unwrap_err();
    let (_, page) = get(metrics_address(&serving), "GET /metrics").await;
    let name = "presence_gateway_calls_shed_total{reason=\"TOKEN_QUOTA_EXHAUSTED\"}";
    assert_eq!(samples(&page).get(name), Some(&1.0), "{page}");
}

#[tokio::test]
async fn requests_that_the_retry_budget_denies_a_retry_are_counted() {
    let vendor = Vendor::with_response(503, "").await;
    let flags = [&FLAGS[..], &["--token-requests-per-minute", "0"]].concat();
    let (serving, gateway) = gateway(&vendor, &flags, &[]).await;
    // Different users, so that no calls are coalesced.
    let call = |user: usize| {
        let request = json!({"userId": user.to_string()});
        gateway.call("GetUserPresencesPurecloud", request)
    };
    join_all((0..120).map(call)).await;
    let (_, page) = get(metrics_address(&serving), "GET /metrics").await;
    let samples = samples(&page);
    let retried = "presence_gateway_upstream_retries_total{reason=\"503\"}";
    assert_eq!(samples.get(retried), Some(&100.0), "{page}");
    let denied = samples.get("presence_gateway_upstream_retries_refused_total");
    // Each of the 120 had three attempts, or was denied a retry.
    assert!(denied.is_some_and(|&count| count >= 70.0), "{page}");
}

#[tokio::test]
async fn saved_requests_are_counted_by_reason() {
    let gate = Arc::new(Semaphore::new(0));
    let gated = Arc::clone(&gate);
    let vendor = Vendor::start(move |received| {
        let gate = Arc::clone(&gated);
        async move {
            gate.acquire().await.unwrap().forget();
            if received.ids().is_empty() {
                reply(200, "{}")
            } else {
                all_presences(&received)
            }
        }
    })
    .await;
    let flags = [&FLAGS[..], &["--bulk-merge-window", "300ms"]].concat();
    let (serving, gateway) = gateway(&vendor, &flags, &[]).await;
    let before = samples(&get(metrics_address(&serving), "GET /metrics").await.1);
    let shared = "presence_gateway_upstream_requests_saved_total{reason=\"shared\"}";
    let merged = "presence_gateway_upstream_requests_saved_total{reason=\"merged\"}";
    assert_eq!(
        (before.get(shared), before.get(merged)),
        (Some(&0.0), Some(&0.0))
    );
    let single = (0..3).map(|_| gateway.call("GetUserPresencesPurecloud", json!({"userId": "u"})));
    let bulk = (0..5).map(|n| gateway.call(READ, json!({"id": ids(n..n + 1)})));
    let release = async {
        while vendor.received().len() < 2 {
            tokio::task::yield_now().await;
        }
        gate.add_permits(9);
    };
    let (single, bulk, ()) = tokio::join!(join_all(single), join_all(bulk), release);
    assert!(
        single.iter().chain(&bulk).all(Result::is_ok),
        "{single:?} {bulk:?}"
    );
    let (_, page) = get(metrics_address(&serving), "GET /metrics").await;
    let samples = samples(&page);
    assert_eq!(samples.get(shared), Some(&2.0), "{page}");
    assert_eq!(samples.get(merged), Some(&4.0), "{page}");
    assert_eq!(vendor.received().len(), 2);
}

#[tokio::test]
async fn unknown_fields_are_counted_by_model() {
    let body = r#"{"id": "p", "s3cret-new": 1, "presenceDefinition": {"id": "d", "x": 1, "y": 2}}"#;
    let vendor = Vendor::with_response(200, body).await;
    let (serving, gateway) = gateway(&vendor, &FLAGS, &[]).await;
    let rpc = "GetUserPresencesPurecloud";
    gateway.call(rpc, json!({"userId": "u"})).await.unwrap();
    let (_, page) = get(metrics_address(&serving), "GET /metrics").await;
    let samples = samples(&page);
    let unknown = |model: &str| {
        let name = format!("presence_gateway_vendor_unknown_fields_total{{model=\"{model}\"}}");
        samples.get(&name).copied()
    };
    assert_eq!(unknown("UserPresence"), Some(1.0), "{page}");
    assert_eq!(unknown("PresenceDefinition"), Some(2.0), "{page}");
    assert!(
        !page.contains("s3cret"),
        "the name of an unknown field is on the page:\n{page}"
    );
}

#[tokio::test]
async fn fields_with_a_value_of_the_wrong_type_are_counted_by_name() {
    let body = r#"{"id": "p", "primary": "s3cret", "modifiedDate": 7,
        "presenceDefinition": {"id": 5}}"#;
    let vendor = Vendor::with_response(200, body).await;
    let (serving, gateway) = gateway(&vendor, &FLAGS, &[]).await;
    let rpc = "GetUserPresencesPurecloud";
    // More responses than the first ones, which are always searched.
    for _ in 0..20 {
        gateway.call(rpc, json!({"userId": "u"})).await.unwrap();
    }
    let (_, page) = get(metrics_address(&serving), "GET /metrics").await;
    let samples = samples(&page);
    let mismatched = |field: &str, model: &str| {
        let labels = format!("{{field=\"{field}\",model=\"{model}\"}}");
        let name = format!("presence_gateway_vendor_unknown_fields_total{labels}");
        samples.get(&name).copied()
    };
    assert_eq!(mismatched("primary", "UserPresence"), Some(20.0), "{page}");
    assert_eq!(
        mismatched("modified_date", "UserPresence"),
        Some(20.0),
        "{page}"
    );
    assert_eq!(mismatched("id", "PresenceDefinition"), Some(20.0), "{page}");
    assert!(!page.contains("s3cret"), "a value is on the page:\n{page}");
}
