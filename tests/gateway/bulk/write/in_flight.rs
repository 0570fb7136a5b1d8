//! The batches of a bulk write in flight: none is abandoned before its
//! deadline, since each changes state.

use std::future::pending;
use std::time::Duration;

use presence_gateway::proto::v1::{BulkWriteReport, IndexRange};
use serde_json::json;
use tonic::Code;

use crate::support::bulk::{
    WRITE, applied_updates, failure, failures, first_user, ids, messages, numbers, updates,
};
use crate::support::in_flight::{InFlight, wait_for};
use crate::support::{Gateway, Limits, Vendor, expect_error, metadata, reply, report};

fn range(first: i64, last: i64) -> IndexRange {
    IndexRange { first, last }
}

fn in_flight(concurrency: usize) -> Limits {
    Limits {
        concurrency,
        default_deadline: Duration::from_secs(20),
        ..Limits::default()
    }
}

#[tokio::test]
async fn batches_in_flight_reach_but_never_exceed_the_concurrency() {
    for concurrency in [1, 3] {
        let flight = InFlight::default();
        let counted = flight.clone();
        let vendor = Vendor::start(move |received| {
            let (flight, held) = (counted.clone(), counted.start_request());
            async move {
                // The maximum; fewer batches are left at the end.
                flight
                    .wait_until("the concurrency is reached", |counts| {
                        counts.peak == concurrency
                    })
                    .await;
                held.respond(applied_updates(&received))
            }
        })
        .await;
        let gateway = Gateway::start_with(&vendor, in_flight(concurrency)).await;
        let call = gateway.call(WRITE, json!({"body": updates(0..500)}));
        let answer = wait_for("the response", call).await.unwrap();
        assert_eq!(messages(&answer), numbers(0..500));
        assert_eq!(flight.counts().peak, concurrency, "{:?}", flight.counts());
    }
}

#[tokio::test]
async fn after_a_failure_no_batch_starts_and_batches_in_flight_are_awaited() {
    let flight = InFlight::default();
    let counted = flight.clone();
    let vendor = Vendor::start(move |received| {
        let (flight, held) = (counted.clone(), counted.start_request());
        async move {
            match first_user(&received).as_str() {
                "user-50" => {
                    flight
                        .wait_until("three have started", |c| c.started == 3)
                        .await;
                    held.respond(reply(400, r#"{"code":"bad.request","message":"no"}"#))
                }
                "last" => held.respond(applied_updates(&received)),
                _ => {
                    // The gateway makes the last call after it has seen the failure.
                    let what = "another call was answered after the failure";
                    flight.wait_until(what, |c| c.answered >= 2).await;
                    held.respond(applied_updates(&received))
                }
            }
        }
    })
    .await;
    let gateway = Gateway::start_with(&vendor, in_flight(3)).await;
    let client = gateway.clone();
    let call =
        tokio::spawn(async move { client.call(WRITE, json!({"body": updates(0..300)})).await });
    flight
        .wait_until("one batch has failed", |counts| counts.answered == 1)
        .await;
    let last = json!({"body": [{"id": "last", "message": "0"}]});
    gateway.call(WRITE, last).await.unwrap();

    let answer = wait_for("the failure", call).await.unwrap();
    let status = expect_error(answer, Code::InvalidArgument, "BAD_REQUEST");
    let expected = BulkWriteReport {
        applied: vec![range(0, 49), range(100, 149)],
        failed: vec![range(50, 99)],
        unknown: Vec::new(),
        not_tried: vec![range(150, 299)],
    };
    assert_eq!(report(&status), expected);
    let counts = flight.counts();
    assert_eq!((counts.started, counts.abandoned), (4, 0), "{counts:?}");
}

#[tokio::test]
async fn at_the_deadline_updates_in_flight_are_unknown_and_others_not_tried() {
    for partial in [false, true] {
        let flight = InFlight::default();
        let counted = flight.clone();
        let vendor = Vendor::start(move |received| {
            let held = counted.start_request();
            async move {
                match first_user(&received).as_str() {
                    "user-50" => held.respond(applied_updates(&received)),
                    _ => pending().await,
                }
            }
        })
        .await;
        let limits = Limits {
            default_deadline: Duration::from_secs(1),
            ..in_flight(2)
        };
        let gateway = Gateway::start_with(&vendor, limits).await;
        let request = json!({"body": updates(0..220), "allowPartialResults": partial});
        let answer = wait_for("the deadline", gateway.call(WRITE, request)).await;
        if partial {
            let answer = answer.unwrap();
            assert_eq!(messages(&answer), numbers(50..100));
            let unknown = |ids| failure(Code::DeadlineExceeded, "OUTCOME_UNKNOWN", ids);
            assert_eq!(
                failures(&answer),
                [
                    unknown(ids(0..50)),
                    unknown(ids(100..150)),
                    failure(Code::DeadlineExceeded, "NOT_TRIED", ids(150..220)),
                ]
            );
        } else {
            let status = expect_error(answer, Code::DeadlineExceeded, "OUTCOME_UNKNOWN");
            let expected = BulkWriteReport {
                applied: vec![range(50, 99)],
                failed: Vec::new(),
                unknown: vec![range(0, 49), range(100, 149)],
                not_tried: vec![range(150, 219)],
            };
            assert_eq!(report(&status), expected);
            assert_eq!(metadata(&status, "grpc-retry-pushback-ms"), Some("-1"));
        }
        flight
            .wait_until("both are abandoned", |counts| counts.abandoned == 2)
            .await;
        assert_eq!(
            flight.counts().started,
            3,
            "a batch started after the deadline"
        );
    }
}

#[tokio::test]
async fn updates_stopped_by_a_failure_stay_not_tried_after_the_deadline() {
    let flight = InFlight::default();
    let counted = flight.clone();
    let vendor = Vendor::start(move |received| {
        let (flight, held) = (counted.clone(), counted.start_request());
        async move {
            if first_user(&received) == "user-0" {
                flight
                    .wait_until("two have started", |counts| counts.started == 2)
                    .await;
                return held.respond(reply(401, r#"{"code":"bad.credentials"}"#));
            }
            pending().await
        }
    })
    .await;
    let limits = Limits {
        default_deadline: Duration::from_secs(1),
        ..in_flight(2)
    };
    let gateway = Gateway::start_with(&vendor, limits).await;
    let request = json!({"body": updates(0..120), "allowPartialResults": true});
    let answer = wait_for("the deadline", gateway.call(WRITE, request)).await;
    assert_eq!(
        failures(&answer.unwrap()),
        [
            failure(Code::Unauthenticated, "BAD_CREDENTIALS", ids(0..50)),
            failure(Code::DeadlineExceeded, "OUTCOME_UNKNOWN", ids(50..100)),
            failure(Code::Aborted, "NOT_TRIED", ids(100..120)),
        ]
    );
}

#[tokio::test]
async fn a_cancelled_call_abandons_its_requests_and_sends_no_more() {
    for partial in [false, true] {
        let flight = InFlight::default();
        let counted = flight.clone();
        let vendor = Vendor::start(move |received| {
            let held = counted.start_request();
            async move {
                if first_user(&received) == "last" {
                    return held.respond(applied_updates(&received));
                }
                pending().await
            }
        })
        .await;
        let gateway = Gateway::start_with(&vendor, in_flight(3)).await;
        let client = gateway.clone();
        let request = json!({"body": updates(0..500), "allowPartialResults": partial});
        let call = tokio::spawn(async move { client.call(WRITE, request).await });
        flight
            .wait_until("three have started", |counts| counts.started == 3)
            .await;
        call.abort();
        flight
            .wait_until("the three are abandoned", |counts| counts.abandoned == 3)
            .await;
        let last = json!({"body": [{"id": "last", "message": "0"}]});
        gateway.call(WRITE, last).await.unwrap();
        assert_eq!(
            flight.counts().started,
            4,
            "a batch started after the cancellation"
        );
    }
}
