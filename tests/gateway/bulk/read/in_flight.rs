//! The batches of a bulk read in flight: their number, and their cancellation.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::sync::Semaphore;
use tonic::Code;

use crate::support::bulk::{
    READ, READS, all_presences, failure, failures, ids, read_request, start_vendor, user_ids,
    with_correlation_id,
};
use crate::support::in_flight::{InFlight, gated_vendor, wait_for};
use crate::support::{Gateway, Limits, Vendor, expect_error, metadata, reply};

/// Starts a vendor that counts requests and never responds.
async fn silent_vendor(flight: &InFlight) -> Vendor {
    let flight = flight.clone();
    Vendor::start(move |received| {
        let held = flight.start_request();
        async move {
            // The last request of a test proves that no other came before it.
            if received.ids() == ["last"] {
                return held.respond(all_presences(&received));
            }
            pending().await
        }
    })
    .await
}

#[tokio::test]
async fn batches_in_flight_reach_but_never_exceed_the_concurrency() {
    for (rpc, _) in READS {
        for concurrency in [1, 3] {
            let flight = InFlight::default();
            let gate = Arc::new(Semaphore::new(0));
            let vendor = gated_vendor(&flight, &gate, all_presences).await;
            let limits = Limits {
                concurrency,
                ..Limits::default()
            };
            let gateway = Gateway::start_with(&vendor, limits).await;
            let request = read_request(rpc, json!({"id": ids(0..500)}));
            let call = tokio::spawn(async move { gateway.call(rpc, request).await });
            for answered in 0..=(10 - concurrency) {
                let started = answered + concurrency;
                let what = format!("{started} batches have started");
                flight
                    .wait_until(&what, |counts| counts.started == started)
                    .await;
                gate.add_permits(1);
            }
            gate.add_permits(10);
            let answer = wait_for("the response", call).await.unwrap().unwrap();
            assert_eq!(user_ids(&answer), ids(0..500));
            assert_eq!(flight.counts().peak, concurrency, "{:?}", flight.counts());
        }
    }
}

#[tokio::test]
async fn the_first_failure_fails_the_call_and_abandons_its_requests() {
    for (rpc, _) in READS {
        let flight = InFlight::default();
        let counted = flight.clone();
        let vendor = Vendor::start(move |received| {
            let (flight, held) = (counted.clone(), counted.start_request());
            async move {
                match received.ids()[0].as_str() {
                    "last" => held.respond(all_presences(&received)),
                    // Neither the first batch of the request nor the last.
                    "user-50" => {
                        flight
                            .wait_until("three have started", |c| c.started == 3)
                            .await;
                        let rejection = reply(409, r#"{"code":"first","message":"first"}"#);
                        held.respond(with_correlation_id(rejection, "first"))
                    }
                    _ => pending().await,
                }
            }
        })
        .await;
        let limits = Limits {
            concurrency: 3,
            ..Limits::default()
        };
        let gateway = Gateway::start_with(&vendor, limits).await;
        let call = gateway.call(rpc, read_request(rpc, json!({"id": ids(0..500)})));
        let status = expect_error(wait_for("the failure", call).await, Code::Aborted, "FIRST");
        assert_eq!(metadata(&status, "inin-correlation-id"), Some("first"));
        flight
            .wait_until("the others are abandoned", |counts| counts.abandoned == 2)
            .await;
        let last = gateway.call(rpc, read_request(rpc, json!({"id": ["last"]})));
        last.await.unwrap();
        assert_eq!(
            flight.counts().started,
            4,
            "a batch started after the failure"
        );
    }
}

#[tokio::test]
async fn a_cancelled_call_abandons_its_requests() {
    for partial in [false, true] {
        let flight = InFlight::default();
        let vendor = silent_vendor(&flight).await;
        let limits = Limits {
            concurrency: 3,
            ..Limits::default()
        };
        let gateway = Gateway::start_with(&vendor, limits).await;
        let client = gateway.clone();
        let request = json!({"id": ids(0..500), "allowPartialResults": partial});
        let call = tokio::spawn(async move { client.call(READ, request).await });
        flight
            .wait_until("three batches have started", |c| c.started == 3)
            .await;
        call.abort();
        flight
            .wait_until("the three are abandoned", |counts| counts.abandoned == 3)
            .await;
        gateway.call(READ, json!({"id": ["last"]})).await.unwrap();
        assert_eq!(
            flight.counts().started,
            4,
            "a batch started after the cancellation"
        );
    }
}

#[tokio::test]
async fn an_expired_deadline_ends_the_call_and_its_requests() {
    let flight = InFlight::default();
    let vendor = silent_vendor(&flight).await;
    let limits = Limits {
        concurrency: 2,
        default_deadline: Duration::from_secs(1),
        ..Limits::default()
    };
    let gateway = Gateway::start_with(&vendor, limits).await;
    let call = gateway.call(READ, json!({"id": ids(0..200)}));
    let answer = wait_for("the deadline", call).await;
    expect_error(answer, Code::DeadlineExceeded, "DEADLINE_EXCEEDED");
    flight
        .wait_until("the two are abandoned", |counts| counts.abandoned == 2)
        .await;
    gateway.call(READ, json!({"id": ["last"]})).await.unwrap();
    assert_eq!(
        flight.counts().started,
        3,
        "a batch started after the deadline"
    );
}

#[tokio::test]
async fn partial_results_report_ids_unanswered_or_not_tried_at_the_deadline() {
    let flight = InFlight::default();
    let counted = flight.clone();
    let vendor = Vendor::start(move |received| {
        let held = counted.start_request();
        async move {
            if received.ids()[0] == "user-50" {
                return held.respond(all_presences(&received));
            }
            pending().await
        }
    })
    .await;
    let limits = Limits {
        concurrency: 2,
        default_deadline: Duration::from_secs(1),
        ..Limits::default()
    };
    let gateway = Gateway::start_with(&vendor, limits).await;
    let request = json!({"id": ids(0..220), "allowPartialResults": true});
    let answer = wait_for("the deadline", gateway.call(READ, request)).await;
    let answer = answer.unwrap();
    let late = |ids| failure(Code::DeadlineExceeded, "DEADLINE_EXCEEDED", ids);
    assert_eq!(user_ids(&answer), ids(50..100));
    assert_eq!(
        failures(&answer),
        [
            late(ids(0..50)),
            late(ids(100..150)),
            late(ids(150..200)),
            late(ids(200..220))
        ]
    );
    assert_eq!(answer["missingIds"], json!(null));
    // The first, the completed one, and its successor.
    assert_eq!(flight.counts().started, 3, "{:?}", flight.counts());
}

#[tokio::test]
async fn a_batch_that_completes_last_keeps_its_position() {
    let flight = InFlight::default();
    let counted = flight.clone();
    let vendor = Vendor::start(move |received| {
        let (flight, held) = (counted.clone(), counted.start_request());
        async move {
            // Each waits for its successor in the request.
            let number: usize = received.ids()[0][5..].parse().unwrap();
            let behind = 3 - number / 50;
            flight
                .wait_until("its successors are answered", |c| c.answered == behind)
                .await;
            held.respond(all_presences(&received))
        }
    })
    .await;
    let gateway = Gateway::start(&vendor).await;
    let call = gateway.call(READ, json!({"id": ids(0..200)}));
    let answer = wait_for("the response", call).await.unwrap();
    assert_eq!(user_ids(&answer), ids(0..200));
}

#[tokio::test]
async fn concurrent_calls_never_share_requests() {
    // Concurrent calls share connections only.
    let vendor = start_vendor(all_presences).await;
    let gateway = Gateway::start(&vendor).await;
    let calls = (0..8).map(|caller| {
        let gateway = gateway.clone();
        tokio::spawn(async move {
            let mine = ids(caller * 1000..caller * 1000 + 120);
            let token = format!("Bearer {caller}");
            let metadata = [("authorization", token.as_str())];
            let request = json!({"id": mine});
            let answer = gateway
                .call_with_metadata(READ, request, &metadata)
                .await
                .unwrap();
            assert_eq!(user_ids(&answer.json), mine);
        })
    });
    for call in calls.collect::<Vec<_>>() {
        wait_for("the response", call).await.unwrap();
    }
    for received in vendor.received() {
        for id in received.ids() {
            let caller = id[5..].parse::<usize>().unwrap() / 1000;
            assert_eq!(received.token(), format!("Bearer {caller}"), "{id}");
        }
    }
}
