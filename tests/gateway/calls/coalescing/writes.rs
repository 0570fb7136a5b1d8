//! Reads around a write: none joins a read sent before it.

use std::sync::Arc;

use serde_json::json;
use tokio::sync::Semaphore;

use super::reads::{LONG_MS, spawn_read, wait_until_received};
use super::{coalescing_limits, spawn_call};
use crate::support::in_flight::{InFlight, wait_for};
use crate::support::{Gateway, Vendor, reply};

const WRITE: &str = "PatchUserPresencesPurecloud";

#[tokio::test]
async fn a_read_after_a_write_does_not_join_an_earlier_read_of_its_token() {
    let (in_flight, gate) = (InFlight::default(), Arc::new(Semaphore::new(0)));
    let vendor_in_flight = in_flight.clone();
    let vendor_gate = Arc::clone(&gate);
    let vendor = Vendor::start(move |received| {
        let (pending, gate) = (vendor_in_flight.start_request(), Arc::clone(&vendor_gate));
        async move {
            if received.method == http::Method::GET {
                gate.acquire().await.unwrap().forget();
            }
            let status = if received.token().ends_with("bad") {
                400
            } else {
                200
            };
            pending.respond(reply(status, r#"{"id": "p"}"#))
        }
    })
    .await;
    let gateway = Gateway::start_with(&vendor, coalescing_limits()).await;
    let (other_token, before) = (
        spawn_read(&gateway, "u", "other"),
        spawn_read(&gateway, "u", "t"),
    );
    in_flight
        .wait_until("both requests have arrived", |counts| counts.started == 2)
        .await;
    let write = spawn_call(
        &gateway,
        WRITE,
        json!({"userId": "v", "body": {}}),
        "t",
        LONG_MS,
    );
    wait_for("the response to the write", write)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(in_flight.counts().started, 3);
    let after = spawn_read(&gateway, "u", "t");
    in_flight
        .wait_until("the read is sent again", |counts| counts.started == 4)
        .await;
    // Later reads join the read sent after the write, and reads of another token
    // still join its earlier one.
    let reads = [
        after,
        spawn_read(&gateway, "u", "t"),
        spawn_read(&gateway, "u", "other"),
        before,
        other_token,
    ];
    wait_until_received(&gateway, &reads).await;
    assert_eq!(in_flight.counts().started, 4);
    gate.add_permits(9);
    for read in reads {
        wait_for("the response", read).await.unwrap().unwrap();
    }
    assert_eq!(in_flight.counts().started, 4);
}

#[tokio::test]
async fn a_failed_or_timed_out_write_also_separates_reads() {
    for times_out in [false, true] {
        let (in_flight, gate) = (InFlight::default(), Arc::new(Semaphore::new(0)));
        let (vendor_in_flight, vendor_gate) = (in_flight.clone(), Arc::clone(&gate));
        let vendor = Vendor::start(move |received| {
            let (pending, gate) = (vendor_in_flight.start_request(), Arc::clone(&vendor_gate));
            async move {
                if received.method == http::Method::GET || times_out {
                    gate.acquire().await.unwrap().forget();
                    return pending.respond(reply(200, r#"{"id": "p"}"#));
                }
                pending.respond(reply(400, r#"{"code": "bad.request"}"#))
            }
        })
        .await;
        let gateway = Gateway::start_with(&vendor, coalescing_limits()).await;
        let before = spawn_read(&gateway, "u", "t");
        in_flight
            .wait_until("the request has arrived", |counts| counts.started == 1)
            .await;
        let write = spawn_call(
            &gateway,
            WRITE,
            json!({"userId": "u", "body": {}}),
            "t",
            500,
        );
        wait_for("the end of the write", write)
            .await
            .unwrap()
            .unwrap_err();
        let after = spawn_read(&gateway, "u", "t");
        in_flight
            .wait_until("the read is sent again", |counts| counts.started == 3)
            .await;
        gate.add_permits(9);
        wait_for("the response", before).await.unwrap().unwrap();
        wait_for("the response", after).await.unwrap().unwrap();
    }
}
