//! Batches that bulk reads share where they meet.

use std::time::Duration;

use axum::response::Response;
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tonic::{Code, Status};

use super::{call, ran_out, shared};
use crate::support::bulk::{READ, all, failures, ids, texts, users, vendor};
use crate::support::in_flight::soon;
use crate::support::{Gateway, Limits, Received, Vendor, refused, reply};

const LONG: u64 = 20_000;

/// A gateway whose batches are open for so many milliseconds.
async fn merging(vendor: &Vendor, milliseconds: u64) -> Gateway {
    let limits = Limits {
        merge_window: Some(Duration::from_millis(milliseconds)),
        ..shared()
    };
    Gateway::with(vendor, limits).await
}

fn read(gateway: &Gateway, ids: &[String], token: &str) -> JoinHandle<Result<Value, Status>> {
    call(gateway, READ, json!({"id": ids}), token, LONG)
}

async fn answer(read: JoinHandle<Result<Value, Status>>) -> Value {
    soon("the answer", read).await.unwrap().unwrap()
}

/// Answers all but unknown users, and refuses what holds a malformed id.
fn known(received: &Received) -> Response {
    let ids = received.ids();
    if ids.iter().any(|id| id.starts_with("bad")) {
        return reply(400, r#"{"code": "bad.request", "message": "malformed id"}"#);
    }
    let known = ids.iter().filter(|id| !id.starts_with("none"));
    // In another order.
    let presences: Vec<_> = known.rev().map(|id| json!({"userId": id})).collect();
    reply(200, Value::Array(presences).to_string())
}

#[tokio::test]
async fn fifty_reads_of_one_id_are_one_request_and_each_gets_its_own() {
    let vendor = vendor(known).await;
    // So long that all of them meet on any machine: what is full leaves at once.
    let gateway = merging(&vendor, 1000).await;
    let reads: Vec<_> = (0..50)
        .map(|n| read(&gateway, &ids(n..n + 1), "t"))
        .collect();
    for (n, read) in reads.into_iter().enumerate() {
        let answer = answer(read).await;
        assert_eq!(users(&answer), ids(n..n + 1));
        assert!(texts(&answer["missingIds"]).is_empty());
    }
    assert_eq!(vendor.received().len(), 1);
}

#[tokio::test]
async fn an_answer_that_nobody_asked_for_is_told_to_none_of_several_and_to_one_alone() {
    let vendor = vendor(|received| {
        let ids = received.ids();
        let users = ids.iter().map(String::as_str).chain(["stranger"]);
        let presences: Vec<_> = users.map(|id| json!({"userId": id})).collect();
        reply(200, Value::Array(presences).to_string())
    })
    .await;
    let gateway = merging(&vendor, 300).await;
    let reads = [
        read(&gateway, &ids(0..1), "t"),
        read(&gateway, &ids(1..2), "t"),
    ];
    for (n, read) in reads.into_iter().enumerate() {
        assert_eq!(users(&answer(read).await), ids(n..n + 1));
    }
    assert_eq!(vendor.received().len(), 1);
    let alone = answer(read(&gateway, &ids(2..3), "t")).await;
    assert_eq!(users(&alone), ["user-2", "stranger"]);
}

#[tokio::test]
async fn ids_that_do_not_fit_go_into_the_next_batch() {
    let vendor = vendor(known).await;
    let gateway = merging(&vendor, 500).await;
    let reads: Vec<_> = (0..5)
        .map(|n| read(&gateway, &ids(n * 30..n * 30 + 30), "t"))
        .collect();
    for (n, read) in reads.into_iter().enumerate() {
        assert_eq!(users(&answer(read).await), ids(n * 30..n * 30 + 30));
    }
    assert_eq!(vendor.received().len(), 3, "150 ids are three batches");
    vendor.forget();
    // Whole batches are not waited with.
    assert_eq!(
        users(&answer(read(&gateway, &ids(0..100), "t")).await),
        ids(0..100)
    );
    assert_eq!(vendor.received().len(), 2);
}

#[tokio::test]
async fn an_id_that_several_ask_is_asked_once() {
    let vendor = vendor(known).await;
    let gateway = merging(&vendor, 500).await;
    let asked = ["a", "none", "b"].map(str::to_owned);
    let reads: Vec<_> = (0..60).map(|_| read(&gateway, &asked, "t")).collect();
    for read in reads {
        let answer = answer(read).await;
        assert_eq!(users(&answer), ["a", "b"]);
        assert_eq!(texts(&answer["missingIds"]), ["none"]);
    }
    assert_eq!(vendor.only().ids(), asked);
}

#[tokio::test]
async fn tokens_and_sources_do_not_meet() {
    let vendor = vendor(all).await;
    let gateway = merging(&vendor, 300).await;
    let other = |source: &str| {
        let request = json!({"id": ids(0..1), "sourceId": source});
        call(&gateway, "GetUsersPresenceBulk", request, "a", LONG)
    };
    let reads = [
        read(&gateway, &ids(0..1), "a"),
        read(&gateway, &ids(1..2), "b"),
        other("x"),
        other("y"),
    ];
    for read in reads {
        assert_eq!(users(&answer(read).await).len(), 1);
    }
    assert_eq!(vendor.received().len(), 4);
    let of = |token: &str| {
        vendor
            .received()
            .into_iter()
            .filter(|each| each.token() == token)
            .count()
    };
    assert_eq!((of("Bearer a"), of("Bearer b")), (3, 1));
}

#[tokio::test]
async fn a_malformed_id_harms_no_stranger() {
    let vendor = vendor(known).await;
    let gateway = merging(&vendor, 300).await;
    let good: Vec<_> = (0..4)
        .map(|n| read(&gateway, &ids(n..n + 1), "t"))
        .collect();
    let bad = read(&gateway, &["bad".to_owned()], "t");
    let partial = json!({"id": ["bad2"], "allowPartialResults": true});
    let partial = call(&gateway, READ, partial, "t", LONG);
    for (n, read) in good.into_iter().enumerate() {
        assert_eq!(users(&answer(read).await), ids(n..n + 1));
    }
    refused(bad.await.unwrap(), Code::InvalidArgument, "BAD_REQUEST");
    let failed = failures(&answer(partial).await);
    assert_eq!(failed.len(), 1);
    assert_eq!(failed[0].2, ["bad2"]);
    assert_eq!(
        vendor.received().len(),
        7,
        "once together, and once each apart"
    );
}

#[tokio::test]
async fn what_is_about_the_token_or_the_vendor_is_told_to_all_without_asking_again() {
    for (status, code) in [(401, Code::Unauthenticated), (500, Code::Internal)] {
        let vendor = vendor(move |_| reply(status, r#"{"code": "some.code"}"#)).await;
        let gateway = merging(&vendor, 300).await;
        let reads: Vec<_> = (0..4)
            .map(|n| read(&gateway, &ids(n..n + 1), "t"))
            .collect();
        for read in reads {
            let answer = soon("the error", read).await.unwrap();
            refused(answer, code, "SOME_CODE");
        }
        assert_eq!(vendor.received().len(), 1);
    }
}

#[tokio::test]
async fn who_leaves_or_runs_out_of_time_harms_no_other() {
    let vendor = vendor(known).await;
    let gateway = merging(&vendor, 700).await;
    let hurried = call(&gateway, READ, json!({"id": ids(0..1)}), "t", 200);
    let going = read(&gateway, &ids(1..2), "t");
    let patient = read(&gateway, &ids(2..3), "t");
    ran_out(&hurried.await.unwrap().unwrap_err());
    going.abort();
    assert_eq!(users(&answer(patient).await), ids(2..3));
}
