//! What is kept for a token is kept for region and token; the gateway's own limits
//! hold for the token in all regions together.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::json;
use tokio::sync::{Semaphore, mpsc};
use tonic::Code;

use super::{RPC, call};
use crate::support::bulk::{READ, all_presences, start_vendor, user_ids};
use crate::support::in_flight::wait_for;
use crate::support::{Gateway, JsonResponse, Limits, ReceivedRequest, Vendor, expect_error, reply};

const US: Option<&str> = Some("us-east-1");
const EU: Option<&str> = Some("eu-central-1");

/// A gateway that serves `US` and `EU`.
async fn gateway(us: &Vendor, eu: &Vendor, limits: Limits) -> Gateway {
    Gateway::start_regions(&[("us-east-1", us), ("eu-central-1", eu)], limits).await
}

/// Reads the presence of the user `u`.
async fn read(gateway: &Gateway, region: Option<&str>) -> Result<JsonResponse, tonic::Status> {
    call(gateway, RPC, json!({"userId": "u"}), region).await
}

/// A vendor that holds its responses back, which have this `message`. Returns it with
/// the receiver of an event for each request, and the permits of the responses.
async fn held(message: &'static str) -> (Vendor, mpsc::UnboundedReceiver<()>, Arc<Semaphore>) {
    let (arrived, arrivals) = mpsc::unbounded_channel();
    let permits = Arc::new(Semaphore::new(0));
    let held = Arc::clone(&permits);
    let vendor = Vendor::start(move |_| {
        let (arrived, held) = (arrived.clone(), Arc::clone(&held));
        async move {
            arrived.send(()).unwrap();
            held.acquire().await.unwrap().forget();
            reply(200, json!({"message": message}).to_string())
        }
    })
    .await;
    (vendor, arrivals, permits)
}

#[tokio::test]
async fn each_region_has_the_whole_budget_of_a_token() {
    let us = Vendor::with_response(200, "{}").await;
    let eu = Vendor::with_response(200, "{}").await;
    let limits = Limits {
        token_requests: 3,
        ..Limits::default()
    };
    let gateway = gateway(&us, &eu, limits).await;
    for (region, vendor) in [(US, &us), (EU, &eu)] {
        for answer in join_all((0..3).map(|_| read(&gateway, region))).await {
            answer.unwrap();
        }
        let refused = read(&gateway, region).await;
        expect_error(refused, Code::ResourceExhausted, "TOKEN_QUOTA_EXHAUSTED");
        assert_eq!(vendor.received().len(), 3);
    }
}

#[tokio::test]
async fn a_429_of_one_region_stops_the_token_in_no_other() {
    let us = start_vendor(|_| {
        let mut refusal = reply(429, "{}");
        refusal
            .headers_mut()
            .insert("retry-after", "3600".parse().unwrap());
        refusal
    })
    .await;
    let eu = Vendor::with_response(200, "{}").await;
    let limits = Limits {
        token_requests: 300,
        ..Limits::default()
    };
    let gateway = gateway(&us, &eu, limits).await;
    for reason in ["UPSTREAM_ERROR", "TOKEN_QUOTA_EXHAUSTED"] {
        expect_error(read(&gateway, US).await, Code::ResourceExhausted, reason);
        read(&gateway, EU).await.unwrap();
    }
    assert_eq!((us.received().len(), eu.received().len()), (1, 2));
}

#[tokio::test]
async fn identical_reads_of_two_regions_are_two_requests() {
    let (us, mut arrivals, permits) = held("us").await;
    let eu = Vendor::with_response(200, r#"{"message": "eu"}"#).await;
    let limits = Limits {
        share_reads: true,
        ..Limits::default()
    };
    let gateway = gateway(&us, &eu, limits).await;
    let first = {
        let gateway = gateway.clone();
        tokio::spawn(async move { read(&gateway, US).await })
    };
    wait_for("the first read", arrivals.recv()).await.unwrap();
    let second = wait_for("the read of the other region", read(&gateway, EU)).await;
    assert_eq!(second.unwrap().json["message"], "eu");
    permits.add_permits(1);
    assert_eq!(first.await.unwrap().unwrap().json["message"], "us");
}

#[tokio::test]
async fn merged_batches_hold_ids_of_one_region() {
    let (us, eu) = (
        start_vendor(all_presences).await,
        start_vendor(all_presences).await,
    );
    let limits = Limits {
        merge_window: Some(Duration::from_millis(50)),
        ..Limits::default()
    };
    let gateway = gateway(&us, &eu, limits).await;
    let calls = [(US, "a"), (EU, "b"), (US, "c"), (EU, "d")];
    let calls = calls.map(|(region, id)| {
        let gateway = gateway.clone();
        async move {
            let answer = call(&gateway, READ, json!({"id": [id]}), region).await;
            assert_eq!(user_ids(&answer.unwrap().json), [id]);
        }
    });
    join_all(calls).await;
    for (vendor, expected) in [(&us, ["a", "c"]), (&eu, ["b", "d"])] {
        let received = vendor.received();
        let mut ids: Vec<String> = received.iter().flat_map(ReceivedRequest::ids).collect();
        ids.sort();
        assert_eq!(ids, expected);
    }
}

#[tokio::test]
async fn an_outage_of_one_region_takes_no_retries_from_another() {
    let us = Vendor::with_response(503, "{}").await;
    let eu = Vendor::with_response(503, "{}").await;
    let gateway = gateway(&us, &eu, Limits::default()).await;
    // More than the 100 retries that a region has.
    let reads = join_all((0..60).map(|_| read(&gateway, US))).await;
    assert!(reads.iter().all(Result::is_err));
    assert_eq!(us.received().len(), 160, "60 requests and 100 retries");
    assert!(read(&gateway, EU).await.is_err());
    assert_eq!(eu.received().len(), 3, "a request and two retries");
}

#[tokio::test]
async fn a_token_has_its_quarter_of_the_calls_in_all_regions_together() {
    let (us, mut in_us, _) = held("us").await;
    let (eu, mut in_eu, _) = held("eu").await;
    let limits = Limits {
        max_in_flight: 8,
        ..Limits::default()
    };
    let gateway = gateway(&us, &eu, limits).await;
    for region in [US, EU] {
        let gateway = gateway.clone();
        tokio::spawn(async move { read(&gateway, region).await });
    }
    wait_for("the call to one region", in_us.recv())
        .await
        .unwrap();
    wait_for("the call to the other", in_eu.recv())
        .await
        .unwrap();
    for region in [US, EU] {
        let refused = read(&gateway, region).await;
        expect_error(refused, Code::ResourceExhausted, "TOKEN_OVERLOADED");
    }
}
