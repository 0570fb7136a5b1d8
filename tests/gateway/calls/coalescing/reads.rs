//! Identical reads that share one request.

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tonic::{Code, Status};

use super::{assert_timed_out, coalescing_limits, echo, spawn_call};
use crate::support::in_flight::{InFlight, gated_vendor, wait_for};
use crate::support::{CORRELATION_ID, Gateway, Limits, Vendor, expect_error, metadata, reply};

pub(super) const RPC: &str = "GetUserPresencesPurecloud";
/// A timeout that no call reaches: a test fails before.
pub(super) const LONG_MS: u64 = 100_000;

pub(super) fn user_request(id: &str) -> Value {
    json!({"userId": id})
}

pub(super) fn spawn_read(
    gateway: &Gateway,
    id: &str,
    token: &str,
) -> JoinHandle<Result<Value, Status>> {
    spawn_call(gateway, RPC, user_request(id), token, LONG_MS)
}

/// Waits until the gateway has received these calls, and asserts that none of
/// them has ended.
pub(super) async fn wait_until_received(
    gateway: &Gateway,
    reads: &[JoinHandle<Result<Value, Status>>],
) {
    // Its rejection shows that the calls before it on the connection have arrived.
    let probe = gateway
        .call("GetUserPresencesPurecloud", user_request("."))
        .await;
    expect_error(probe, Code::InvalidArgument, "INVALID_REQUEST");
    assert!(reads.iter().all(|read| !read.is_finished()));
}

#[tokio::test]
async fn concurrent_identical_reads_share_one_request() {
    let (in_flight, gate) = (InFlight::default(), Arc::new(Semaphore::new(0)));
    let vendor = gated_vendor(&in_flight, &gate, echo).await;
    let gateway = Gateway::start_with(&vendor, coalescing_limits()).await;
    let reads: Vec<_> = (0..50).map(|_| spawn_read(&gateway, "u", "t")).collect();
    in_flight
        .wait_until("one request has arrived", |counts| counts.started == 1)
        .await;
    wait_until_received(&gateway, &reads).await;
    gate.add_permits(9);
    for read in reads {
        let answer = wait_for("the response", read).await.unwrap().unwrap();
        assert_eq!(answer["message"], "Bearer t");
    }
    assert_eq!(in_flight.counts().started, 1);
    // A finished request is not shared.
    spawn_read(&gateway, "u", "t").await.unwrap().unwrap();
    assert_eq!(in_flight.counts().started, 2);
}

#[tokio::test]
async fn reads_that_differ_share_no_request() {
    let (in_flight, gate) = (InFlight::default(), Arc::new(Semaphore::new(0)));
    let vendor = gated_vendor(&in_flight, &gate, echo).await;
    let gateway = Gateway::start_with(&vendor, coalescing_limits()).await;
    let reads = [
        spawn_read(&gateway, "u", "t"),
        spawn_read(&gateway, "v", "t"),
        spawn_read(&gateway, "u", "T"),
        spawn_call(
            &gateway,
            "GetUserPresence",
            json!({"userId": "u", "sourceId": "purecloud"}),
            "t",
            LONG_MS,
        ),
    ];
    in_flight
        .wait_until("each request has arrived", |counts| counts.started == 4)
        .await;
    gate.add_permits(9);
    let mut answers = Vec::new();
    for read in reads {
        answers.push(wait_for("the response", read).await.unwrap().unwrap());
    }
    let echoed: Vec<_> = answers
        .iter()
        .map(|answer| (&answer["id"], &answer["message"]))
        .collect();
    let path = |id: &str| json!(format!("/api/v2/users/{id}/presences/purecloud"));
    let (u, v) = (path("u"), path("v"));
    let (t, other) = (json!("Bearer t"), json!("Bearer T"));
    assert_eq!(echoed, [(&u, &t), (&v, &t), (&u, &other), (&u, &t)]);
}

#[tokio::test]
async fn a_cancelled_or_timed_out_call_does_not_end_a_shared_request() {
    let (in_flight, gate) = (InFlight::default(), Arc::new(Semaphore::new(0)));
    let vendor = gated_vendor(&in_flight, &gate, echo).await;
    let gateway = Gateway::start_with(&vendor, coalescing_limits()).await;
    // The call that started the request times out, and one that joined it is
    // cancelled.
    let first = spawn_call(&gateway, RPC, user_request("u"), "t", 700);
    in_flight
        .wait_until("the request has arrived", |counts| counts.started == 1)
        .await;
    let cancelled = spawn_read(&gateway, "u", "t");
    let patient = spawn_read(&gateway, "u", "t");
    wait_until_received(&gateway, &[]).await;
    cancelled.abort();
    assert_timed_out(&first.await.unwrap().unwrap_err());
    assert_eq!(
        in_flight.counts().pending,
        1,
        "the request should continue for the other call"
    );
    gate.add_permits(1);
    wait_for("the response", patient).await.unwrap().unwrap();
    assert_eq!(in_flight.counts().started, 1);
}

#[tokio::test]
async fn a_shared_request_is_cancelled_with_its_last_call() {
    let (in_flight, gate) = (InFlight::default(), Arc::new(Semaphore::new(0)));
    let vendor = gated_vendor(&in_flight, &gate, echo).await;
    let gateway = Gateway::start_with(&vendor, coalescing_limits()).await;
    let reads = [
        spawn_read(&gateway, "u", "t"),
        spawn_read(&gateway, "u", "t"),
    ];
    in_flight
        .wait_until("the request has arrived", |counts| counts.started == 1)
        .await;
    wait_until_received(&gateway, &reads).await;
    for read in reads {
        assert_eq!(in_flight.counts().pending, 1);
        read.abort();
    }
    in_flight
        .wait_until("the request is cancelled", |counts| counts.abandoned == 1)
        .await;
    let next = spawn_read(&gateway, "u", "t");
    in_flight
        .wait_until("the next request has arrived", |counts| counts.started == 2)
        .await;
    gate.add_permits(1);
    wait_for("the response", next).await.unwrap().unwrap();
}

#[tokio::test]
async fn an_error_reaches_all_calls_with_the_same_correlation_id() {
    let gate = Arc::new(Semaphore::new(0));
    let vendor_gate = Arc::clone(&gate);
    let vendor = Vendor::start(move |_| {
        let gate = Arc::clone(&vendor_gate);
        async move {
            gate.acquire().await.unwrap().forget();
            reply(404, r#"{"code": "not.found", "message": "no such user"}"#)
        }
    })
    .await;
    let gateway = Gateway::start_with(&vendor, coalescing_limits()).await;
    let reads: Vec<_> = (0..5).map(|_| spawn_read(&gateway, "u", "t")).collect();
    wait_until_received(&gateway, &reads).await;
    gate.add_permits(9);
    for read in reads {
        let status = expect_error(
            wait_for("the error", read).await.unwrap(),
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
async fn reads_are_not_shared_when_coalescing_is_off() {
    let (in_flight, gate) = (InFlight::default(), Arc::new(Semaphore::new(0)));
    let vendor = gated_vendor(&in_flight, &gate, echo).await;
    let limits = Limits {
        share_reads: false,
        ..Limits::default()
    };
    let gateway = Gateway::start_with(&vendor, limits).await;
    let reads: Vec<_> = (0..3).map(|_| spawn_read(&gateway, "u", "t")).collect();
    in_flight
        .wait_until("each request has arrived", |counts| counts.started == 3)
        .await;
    gate.add_permits(9);
    for read in reads {
        wait_for("the response", read).await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn later_reads_do_not_join_a_hanging_request_forever() {
    let in_flight = InFlight::default();
    let vendor_in_flight = in_flight.clone();
    let vendor = Vendor::start(move |received| {
        let pending = vendor_in_flight.start_request();
        let is_first = vendor_in_flight.counts().started == 1;
        async move {
            if is_first {
                std::future::pending::<()>().await;
            }
            pending.respond(reply(200, super::echo_presence(&received).to_string()))
        }
    })
    .await;
    let gateway = Gateway::start_with(&vendor, coalescing_limits()).await;
    let hanging = spawn_read(&gateway, "u", "t");
    in_flight
        .wait_until("the first request has arrived", |counts| {
            counts.started == 1
        })
        .await;
    // Each call starts while an earlier one waits, until one gets its own request.
    let later = async {
        loop {
            let read = spawn_call(&gateway, RPC, user_request("u"), "t", 700);
            if let Ok(answer) = read.await.unwrap() {
                break answer;
            }
        }
    };
    wait_for("a response", later).await;
    assert_eq!(in_flight.counts().started, 2);
    hanging.abort();
}
