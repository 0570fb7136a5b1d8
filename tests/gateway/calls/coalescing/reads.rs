//! One request for identical reads.

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tonic::{Code, Status};

use super::{call, ran_out, shared, told};
use crate::support::bulk::READ;
use crate::support::in_flight::{Flight, gated, soon};
use crate::support::{CORRELATION_ID, Gateway, Limits, Vendor, metadata, refused, reply};

const RPC: &str = "GetUserPresencesPurecloud";
const WRITE: &str = "PatchUserPresencesPurecloud";
/// Longer than a test is patient.
const LONG: u64 = 100_000;

fn user(id: &str) -> Value {
    json!({"userId": id})
}

fn read(gateway: &Gateway, id: &str, token: &str) -> JoinHandle<Result<Value, Status>> {
    call(gateway, RPC, user(id), token, LONG)
}

/// Waits until so many calls are in the gateway: what it has not been told by
/// a request, it is told by none of them being refused a place.
async fn are_in(gateway: &Gateway, reads: &[JoinHandle<Result<Value, Status>>]) {
    // Each was sent before this one, on the same connection.
    let probe = gateway.call("GetUserPresencesPurecloud", user(".")).await;
    refused(probe, Code::InvalidArgument, "INVALID_REQUEST");
    assert!(reads.iter().all(|read| !read.is_finished()));
}

#[tokio::test]
async fn identical_reads_under_way_are_one_request_with_one_answer() {
    let (flight, gate) = (Flight::default(), Arc::new(Semaphore::new(0)));
    let vendor = gated(&flight, &gate, told).await;
    let gateway = Gateway::with(&vendor, shared()).await;
    let reads: Vec<_> = (0..50).map(|_| read(&gateway, "u", "t")).collect();
    flight
        .until("one is asked", |counts| counts.begun == 1)
        .await;
    are_in(&gateway, &reads).await;
    gate.add_permits(9);
    for read in reads {
        let answer = soon("the answer", read).await.unwrap().unwrap();
        assert_eq!(answer["message"], "Bearer t");
    }
    assert_eq!(flight.counts().begun, 1);
    // What has been answered is no one's answer any more.
    read(&gateway, "u", "t").await.unwrap().unwrap();
    assert_eq!(flight.counts().begun, 2);
}

#[tokio::test]
async fn what_differs_in_anything_is_not_shared() {
    let (flight, gate) = (Flight::default(), Arc::new(Semaphore::new(0)));
    let vendor = gated(&flight, &gate, told).await;
    let gateway = Gateway::with(&vendor, shared()).await;
    let reads = [
        read(&gateway, "u", "t"),
        read(&gateway, "v", "t"),
        read(&gateway, "u", "T"),
        call(
            &gateway,
            "GetUserPresence",
            json!({"userId": "u", "sourceId": "purecloud"}),
            "t",
            LONG,
        ),
    ];
    flight
        .until("each is asked", |counts| counts.begun == 4)
        .await;
    gate.add_permits(9);
    let mut answers = Vec::new();
    for read in reads {
        answers.push(soon("the answer", read).await.unwrap().unwrap());
    }
    let said: Vec<_> = answers
        .iter()
        .map(|answer| (&answer["id"], &answer["message"]))
        .collect();
    let path = |id: &str| json!(format!("/api/v2/users/{id}/presences/purecloud"));
    let (u, v) = (path("u"), path("v"));
    let (t, other) = (json!("Bearer t"), json!("Bearer T"));
    assert_eq!(said, [(&u, &t), (&v, &t), (&u, &other), (&u, &t)]);
}

#[tokio::test]
async fn whoever_leaves_or_runs_out_of_time_harms_no_other() {
    let (flight, gate) = (Flight::default(), Arc::new(Semaphore::new(0)));
    let vendor = gated(&flight, &gate, told).await;
    let gateway = Gateway::with(&vendor, shared()).await;
    // The one that began it, with little time, and one that goes away.
    let first = call(&gateway, RPC, user("u"), "t", 700);
    flight
        .until("it is asked", |counts| counts.begun == 1)
        .await;
    let going = read(&gateway, "u", "t");
    let patient = read(&gateway, "u", "t");
    are_in(&gateway, &[]).await;
    going.abort();
    ran_out(&first.await.unwrap().unwrap_err());
    assert_eq!(flight.counts().under_way, 1, "it goes on for the other");
    gate.add_permits(1);
    soon("the answer", patient).await.unwrap().unwrap();
    assert_eq!(flight.counts().begun, 1);
}

#[tokio::test]
async fn when_the_last_one_leaves_the_request_is_given_up() {
    let (flight, gate) = (Flight::default(), Arc::new(Semaphore::new(0)));
    let vendor = gated(&flight, &gate, told).await;
    let gateway = Gateway::with(&vendor, shared()).await;
    let reads = [read(&gateway, "u", "t"), read(&gateway, "u", "t")];
    flight
        .until("it is asked", |counts| counts.begun == 1)
        .await;
    are_in(&gateway, &reads).await;
    for read in reads {
        assert_eq!(flight.counts().under_way, 1);
        read.abort();
    }
    flight
        .until("it is given up", |counts| counts.abandoned == 1)
        .await;
    let next = read(&gateway, "u", "t");
    flight
        .until("the next one is asked", |counts| counts.begun == 2)
        .await;
    gate.add_permits(1);
    soon("the answer", next).await.unwrap().unwrap();
}

#[tokio::test]
async fn an_error_is_told_to_all_with_the_same_correlation_id() {
    let gate = Arc::new(Semaphore::new(0));
    let gated = Arc::clone(&gate);
    let vendor = Vendor::start(move |_| {
        let gate = Arc::clone(&gated);
        async move {
            gate.acquire().await.unwrap().forget();
            reply(404, r#"{"code": "not.found", "message": "no such user"}"#)
        }
    })
    .await;
    let gateway = Gateway::with(&vendor, shared()).await;
    let reads: Vec<_> = (0..5).map(|_| read(&gateway, "u", "t")).collect();
    are_in(&gateway, &reads).await;
    gate.add_permits(9);
    for read in reads {
        let status = refused(
            soon("the error", read).await.unwrap(),
            Code::NotFound,
            "NOT_FOUND",
        );
        assert_eq!(
            metadata(&status, "inin-correlation-id"),
            Some(CORRELATION_ID)
        );
    }
    assert_eq!(vendor.received().len(), 1);
}

#[tokio::test]
async fn a_read_joins_none_that_was_sent_before_a_write_of_its_token_was_answered() {
    let (flight, gate) = (Flight::default(), Arc::new(Semaphore::new(0)));
    let counted = flight.clone();
    let gated = Arc::clone(&gate);
    let vendor = Vendor::start(move |received| {
        let (held, gate) = (counted.begin(), Arc::clone(&gated));
        async move {
            if received.method == http::Method::GET {
                gate.acquire().await.unwrap().forget();
            }
            let status = if received.token().ends_with("bad") {
                400
            } else {
                200
            };
            held.answered(reply(status, r#"{"id": "p"}"#))
        }
    })
    .await;
    let gateway = Gateway::with(&vendor, shared()).await;
    let (others, before) = (read(&gateway, "u", "other"), read(&gateway, "u", "t"));
    flight
        .until("both are asked", |counts| counts.begun == 2)
        .await;
    let write = call(
        &gateway,
        WRITE,
        json!({"userId": "v", "body": {}}),
        "t",
        LONG,
    );
    soon("the write's answer", write).await.unwrap().unwrap();
    assert_eq!(flight.counts().begun, 3);
    let after = read(&gateway, "u", "t");
    flight
        .until("it is asked again", |counts| counts.begun == 4)
        .await;
    // What is under way since then is joined again, and so is that of another token.
    let reads = [
        after,
        read(&gateway, "u", "t"),
        read(&gateway, "u", "other"),
        before,
        others,
    ];
    are_in(&gateway, &reads).await;
    assert_eq!(flight.counts().begun, 4);
    gate.add_permits(9);
    for read in reads {
        soon("the answer", read).await.unwrap().unwrap();
    }
    assert_eq!(flight.counts().begun, 4);
}

#[tokio::test]
async fn a_write_that_failed_or_was_given_up_parts_reads_too() {
    for given_up in [false, true] {
        let (flight, gate) = (Flight::default(), Arc::new(Semaphore::new(0)));
        let (counted, gated) = (flight.clone(), Arc::clone(&gate));
        let vendor = Vendor::start(move |received| {
            let (held, gate) = (counted.begin(), Arc::clone(&gated));
            async move {
                if received.method == http::Method::GET || given_up {
                    gate.acquire().await.unwrap().forget();
                    return held.answered(reply(200, r#"{"id": "p"}"#));
                }
                held.answered(reply(400, r#"{"code": "bad.request"}"#))
            }
        })
        .await;
        let gateway = Gateway::with(&vendor, shared()).await;
        let before = read(&gateway, "u", "t");
        flight
            .until("it is asked", |counts| counts.begun == 1)
            .await;
        let write = call(
            &gateway,
            WRITE,
            json!({"userId": "u", "body": {}}),
            "t",
            500,
        );
        soon("the write's end", write).await.unwrap().unwrap_err();
        let after = read(&gateway, "u", "t");
        flight
            .until("it is asked again", |counts| counts.begun == 3)
            .await;
        gate.add_permits(9);
        soon("the answer", before).await.unwrap().unwrap();
        soon("the answer", after).await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn reads_that_wait_for_their_turn_are_shared_and_the_hurried_are_told_at_once() {
    let (flight, gate) = (Flight::default(), Arc::new(Semaphore::new(9)));
    let vendor = gated(&flight, &gate, told).await;
    let limits = Limits {
        token_requests: 1,
        ..shared()
    };
    let gateway = Gateway::with(&vendor, limits).await;
    read(&gateway, "first", "t").await.unwrap().unwrap();
    // Its turn comes in a minute.
    let patient = call(&gateway, RPC, user("u"), "t", LONG);
    are_in(&gateway, &[]).await;
    let hurried = call(&gateway, RPC, user("u"), "t", 20_000);
    let hurried = soon("an answer at once", hurried).await.unwrap();
    refused(hurried, Code::ResourceExhausted, "TOKEN_QUOTA_EXHAUSTED");
    assert!(!patient.is_finished(), "who has time waits on");
    assert_eq!(flight.counts().begun, 1);
    patient.abort();
}

#[tokio::test]
async fn a_retry_after_that_is_too_long_for_one_is_told_to_that_one_alone() {
    let vendor = Vendor::start(|_| async {
        let mut answer = reply(429, r#"{"code": "too.many.requests"}"#);
        answer
            .headers_mut()
            .insert("retry-after", "15".parse().unwrap());
        answer
    })
    .await;
    let gateway = Gateway::with(&vendor, shared()).await;
    let patient = call(&gateway, RPC, user("u"), "t", LONG);
    let hurried = call(&gateway, RPC, user("u"), "t", 9_000);
    let status = soon("an answer at once", hurried).await.unwrap();
    refused(status, Code::ResourceExhausted, "TOO_MANY_REQUESTS");
    assert!(!patient.is_finished());
    patient.abort();
}

#[tokio::test]
async fn reads_are_not_shared_where_that_is_switched_off() {
    let (flight, gate) = (Flight::default(), Arc::new(Semaphore::new(0)));
    let vendor = gated(&flight, &gate, told).await;
    let limits = Limits {
        share_reads: false,
        ..Limits::default()
    };
    let gateway = Gateway::with(&vendor, limits).await;
    let reads: Vec<_> = (0..3).map(|_| read(&gateway, "u", "t")).collect();
    flight
        .until("each is asked", |counts| counts.begun == 3)
        .await;
    gate.add_permits(9);
    for read in reads {
        soon("the answer", read).await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_request_that_hangs_takes_none_with_it_that_come_later() {
    let flight = Flight::default();
    let counted = flight.clone();
    let vendor = Vendor::start(move |received| {
        let held = counted.begin();
        let is_first = counted.counts().begun == 1;
        async move {
            if is_first {
                std::future::pending::<()>().await;
            }
            held.answered(reply(200, super::presence(&received).to_string()))
        }
    })
    .await;
    let gateway = Gateway::with(&vendor, shared()).await;
    let hanging = read(&gateway, "u", "t");
    flight
        .until("the first is asked", |counts| counts.begun == 1)
        .await;
    // Each comes while the one before waits, until one is asked for itself.
    let later = async {
        loop {
            let read = call(&gateway, RPC, user("u"), "t", 700);
            if let Ok(answer) = read.await.unwrap() {
                break answer;
            }
        }
    };
    soon("an answer", later).await;
    assert_eq!(flight.counts().begun, 2);
    hanging.abort();
}

#[tokio::test]
async fn a_bulk_read_is_shared_also_where_the_token_has_no_turn_left() {
    let (flight, gate) = (Flight::default(), Arc::new(Semaphore::new(0)));
    let vendor = gated(&flight, &gate, told).await;
    let limits = Limits {
        token_requests: 1,
        ..shared()
    };
    let gateway = Gateway::with(&vendor, limits).await;
    let request = || json!({"id": ["a", "b"]});
    let reads: Vec<_> = (0..5)
        .map(|_| call(&gateway, READ, request(), "t", 20_000))
        .collect();
    flight
        .until("one is asked", |counts| counts.begun == 1)
        .await;
    gate.add_permits(9);
    for read in reads {
        soon("the answer", read).await.unwrap().unwrap();
    }
    assert_eq!(flight.counts().begun, 1);
}
