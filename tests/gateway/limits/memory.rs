//! How much memory messages and answers take together: what would be more is
//! refused, and nobody waits for it.

use axum::body::Bytes;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::support::in_flight::wait_for;
use crate::support::process::ServerProcess;
use crate::support::raw_http::{frame, head, send};
use crate::support::{Gateway, JsonResponse, Limits, Vendor, expect_error, metadata};

const BULK: &str = "GetUsersPresencesPurecloudBulk";

/// What all calls of these gateways may take: four times a mebibyte of the wire.
const MEMORY: usize = 4 << 20;

async fn gateway(vendor: &Vendor) -> Gateway {
    let limits = Limits {
        message_memory: MEMORY,
        ..Limits::default()
    };
    Gateway::start_with(vendor, limits).await
}

/// A presence of so many bytes.
fn presence(bytes: usize) -> String {
    format!(r#"{{"userId":"u","message":"{}"}}"#, "x".repeat(bytes))
}

fn update(bytes: usize) -> Value {
    json!({"userId": "u", "body": {"message": "x".repeat(bytes)}})
}

async fn once(gateway: &Gateway, rpc: &str, request: Value) -> Result<JsonResponse, Status> {
    let metadata = [
        ("authorization", "Bearer t"),
        ("grpc-previous-rpc-attempts", "1"),
    ];
    gateway.call_with_metadata(rpc, request, &metadata).await
}

#[tokio::test]
async fn a_message_for_which_there_is_no_memory_is_refused_unsent() {
    let vendor = Vendor::with_response(200, "{}").await;
    let gateway = gateway(&vendor).await;
    let rpc = "PatchUserPresencesPurecloud";
    once(&gateway, rpc, update(1_000_000)).await.unwrap();
    let answer = once(&gateway, rpc, update(1_100_000)).await;
    let status = expect_error(answer, Code::Unavailable, "OVERLOADED");
    assert!(status.message().contains("--message-memory"), "{status:?}");
    assert!(status.get_details_retry_info().is_some());
    assert_ne!(metadata(&status, "grpc-retry-pushback-ms"), Some("-1"));
    assert_eq!(vendor.received().len(), 1);
    // What the calls before had is free again.
    once(&gateway, rpc, update(1_000_000)).await.unwrap();
}

#[tokio::test]
async fn an_answer_to_a_read_for_which_there_is_none_is_refused_and_a_write_is_told_applied() {
    let vendor = Vendor::with_response(200, presence(1_100_000)).await;
    let gateway = gateway(&vendor).await;
    let read = json!({"userId": "u"});
    let answer = once(&gateway, "GetUserPresencesPurecloud", read.clone()).await;
    let status = expect_error(answer, Code::Unavailable, "OVERLOADED");
    assert!(
        status.message().contains("nothing was changed"),
        "{status:?}"
    );
    let answer = once(&gateway, "PatchUserPresencesPurecloud", update(9)).await;
    let status = expect_error(answer, Code::Internal, "UNREADABLE_ANSWER");
    let info = status.get_details_error_info().unwrap();
    assert_eq!(info.metadata["outcome"], "applied");
    assert!(status.message().contains("--message-memory"), "{status:?}");
}

#[tokio::test]
async fn the_batches_of_a_bulk_call_take_what_they_hold_together() {
    let vendor = Vendor::with_response(200, format!("[{}]", presence(400_000))).await;
    let gateway = gateway(&vendor).await;
    let ids: Vec<_> = (0..150).map(|n| n.to_string()).collect();
    once(&gateway, BULK, json!({ "id": ids[..100] }))
        .await
        .unwrap();
    let answer = once(&gateway, BULK, json!({ "id": ids })).await;
    expect_error(answer, Code::Unavailable, "OVERLOADED");
    let some = json!({"id": ids, "allowPartialResults": true});
    let answer = once(&gateway, BULK, some).await.unwrap().json;
    let failures = answer["failures"].as_array().unwrap();
    assert_eq!(failures.len(), 1, "{failures:#?}");
    assert_eq!(failures[0]["status"]["code"], Code::Unavailable as i32);
    assert_eq!(failures[0]["ids"].as_array().unwrap().len(), 50);
}

#[tokio::test]
async fn what_a_caller_holds_who_has_not_taken_its_answer_is_not_there_for_others() {
    let (arrive, mut arrived) = mpsc::unbounded_channel();
    let vendor = Vendor::start(move |_| {
        let arrive = arrive.clone();
        async move {
            let _ = arrive.send(());
            std::future::pending().await
        }
    })
    .await;
    let gateway = gateway(&vendor).await;
    let rpc = "PatchUserPresencesPurecloud";
    let holding = once(&gateway, rpc, update(1_000_000));
    let refused_meanwhile = async {
        wait_for("the first call", arrived.recv()).await.unwrap();
        let answer = once(&gateway, rpc, update(100_000)).await;
        expect_error(answer, Code::Unavailable, "OVERLOADED");
    };
    tokio::select! {
        answer = holding => panic!("{answer:?}"),
        () = refused_meanwhile => {}
    }
    // It has gone away, and its memory is free as soon as that is known.
    let next = async {
        loop {
            tokio::select! {
                answer = once(&gateway, rpc, update(1_000_000)) => {
                    expect_error(answer, Code::Unavailable, "OVERLOADED");
                }
                _ = arrived.recv() => return,
            }
        }
    };
    wait_for("the next call", next).await;
}

#[tokio::test]
async fn a_small_message_of_very_many_elements_does_not_become_a_large_one() {
    let server = ServerProcess::start(&["serve", "--sandbox"], &[]);
    let gateway = Gateway::connect(server.address.parse().unwrap()).await;
    gateway.call("GetSystempresences", json!({})).await.unwrap();
    let before = server.resident_kib();
    // Two million updates without a field, and as many ids and divisions.
    for (rpc, element, field) in [
        ("PutUsersPresencesBulk", 0x0a, "body"),
        ("GetUsersPresencesPurecloudBulk", 0x0a, "ids"),
        ("GetPresenceDefinitions", 0x12, "division_ids"),
    ] {
        let message = [element, 0].repeat(2_000_000);
        let path = format!("/genesys.presence.v1.PresenceService/{rpc}");
        let call = head(&path)
            .body(Bytes::from(frame(&message)).into())
            .unwrap();
        let answer = send(&gateway, call).await.result();
        let status = expect_error(answer, Code::InvalidArgument, "INVALID_REQUEST");
        let wrong = &status.get_details_bad_request().unwrap().field_violations[0];
        assert_eq!(wrong.field, field);
        assert!(wrong.description.contains("2000000"), "{wrong:?}");
    }
    let grown = server.resident_kib().saturating_sub(before);
    assert!(grown < 64 * 1024, "grown by {grown} KiB");
    #[cfg(target_os = "linux")]
    assert!(
        server.peak_kib() < before + 64 * 1024,
        "{} KiB",
        server.peak_kib()
    );
}
