//! The memory limit of messages and responses: a call over it is rejected at once,
//! and none waits.

use std::convert::Infallible;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::response::Response;
use futures_util::{StreamExt, stream};
use serde_json::{Value, json};
use tokio::sync::{Barrier, mpsc};
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::support::in_flight::wait_for;
use crate::support::process::ServerProcess;
use crate::support::raw_http::{frame, head, send};
use crate::support::{Gateway, JsonResponse, Limits, Vendor, expect_error, metadata};

const BULK: &str = "GetUsersPresencesPurecloudBulk";

/// The memory limit of these tests: room for 1 MiB on the wire, of which each byte
/// is charged four times.
const MEMORY: usize = 4 << 20;

async fn gateway(vendor: &Vendor) -> Gateway {
    let limits = Limits {
        message_memory: MEMORY,
        ..Limits::default()
    };
    Gateway::start_with(vendor, limits).await
}

/// A presence with a message of this many bytes.
fn presence(bytes: usize) -> String {
    format!(r#"{{"userId":"u","message":"{}"}}"#, "x".repeat(bytes))
}

fn update(bytes: usize) -> Value {
    json!({"userId": "u", "body": {"message": "x".repeat(bytes)}})
}

/// Makes a call marked as a retry, so that the gateway does not retry it.
async fn call_once(gateway: &Gateway, rpc: &str, request: Value) -> Result<JsonResponse, Status> {
    let metadata = [
        ("authorization", "Bearer t"),
        ("grpc-previous-rpc-attempts", "1"),
    ];
    gateway.call_with_metadata(rpc, request, &metadata).await
}

#[tokio::test]
async fn a_message_over_the_memory_limit_is_rejected_unsent() {
    let vendor = Vendor::with_response(200, "{}").await;
    let gateway = gateway(&vendor).await;
    let rpc = "PatchUserPresencesPurecloud";
    call_once(&gateway, rpc, update(1_000_000)).await.unwrap();
    let answer = call_once(&gateway, rpc, update(1_100_000)).await;
    let status = expect_error(answer, Code::Unavailable, "OVERLOADED");
    assert!(status.message().contains("--message-memory"), "{status:?}");
    assert!(status.get_details_retry_info().is_some());
    assert_ne!(metadata(&status, "grpc-retry-pushback-ms"), Some("-1"));
    assert_eq!(vendor.received().len(), 1);
    // The earlier calls have released their memory.
    call_once(&gateway, rpc, update(1_000_000)).await.unwrap();
}

#[tokio::test]
async fn a_response_over_the_memory_limit_fails_a_read_and_reports_a_write_as_applied() {
    let vendor = Vendor::with_response(200, presence(1_100_000)).await;
    let gateway = gateway(&vendor).await;
    let read = json!({"userId": "u"});
    let answer = call_once(&gateway, "GetUserPresencesPurecloud", read.clone()).await;
    let status = expect_error(answer, Code::Unavailable, "OVERLOADED");
    assert!(
        status.message().contains("nothing was changed"),
        "{status:?}"
    );
    let answer = call_once(&gateway, "PatchUserPresencesPurecloud", update(9)).await;
    let status = expect_error(answer, Code::Internal, "UNREADABLE_ANSWER");
    let info = status.get_details_error_info().unwrap();
    assert_eq!(info.metadata["outcome"], "applied");
    assert!(status.message().contains("--message-memory"), "{status:?}");
}

#[tokio::test]
async fn the_memory_limit_covers_all_batches_of_a_bulk_call() {
    let vendor = Vendor::with_response(200, format!("[{}]", presence(400_000))).await;
    let gateway = gateway(&vendor).await;
    let ids: Vec<_> = (0..150).map(|n| n.to_string()).collect();
    call_once(&gateway, BULK, json!({ "id": ids[..100] }))
        .await
        .unwrap();
    let answer = call_once(&gateway, BULK, json!({ "id": ids })).await;
    expect_error(answer, Code::Unavailable, "OVERLOADED");
    let partial = json!({"id": ids, "allowPartialResults": true});
    let answer = call_once(&gateway, BULK, partial).await.unwrap().json;
    let failures = answer["failures"].as_array().unwrap();
    assert_eq!(failures.len(), 1, "{failures:#?}");
    assert_eq!(failures[0]["status"]["code"], Code::Unavailable as i32);
    assert_eq!(failures[0]["ids"].as_array().unwrap().len(), 50);
}

#[tokio::test]
async fn a_batch_without_memory_leaves_its_own_to_the_others() {
    const STEPS: usize = 8;
    let together = Arc::new(Barrier::new(3));
    let vendor = Vendor::start(move |_| {
        let together = Arc::clone(&together);
        async move {
            let body = format!("[{}]", presence(400_000)).into_bytes();
            let parts: Vec<_> = body.chunks(40_000).map(Bytes::copy_from_slice).collect();
            // The responses arrive side by side until almost all of the memory is
            // used: the first that needs more must not take the others with it.
            let parts = stream::iter(parts).enumerate().then(move |(step, part)| {
                let together = Arc::clone(&together);
                async move {
                    if step < STEPS {
                        together.wait().await;
                    }
                    Ok::<_, Infallible>(part)
                }
            });
            let body = Body::from_stream(parts);
            Response::builder().status(200).body(body).unwrap()
        }
    })
    .await;
    let gateway = gateway(&vendor).await;
    let ids: Vec<_> = (0..150).map(|n| n.to_string()).collect();
    let partial = json!({"id": ids, "allowPartialResults": true});
    let answer = call_once(&gateway, BULK, partial).await.unwrap().json;
    let failures = answer["failures"].as_array().unwrap();
    assert_eq!(failures.len(), 1, "{failures:#?}");
}

#[tokio::test]
async fn a_call_holds_its_memory_until_it_ends() {
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
    let first = call_once(&gateway, rpc, update(1_000_000));
    let rejected_second = async {
        wait_for("the first call", arrived.recv()).await.unwrap();
        let answer = call_once(&gateway, rpc, update(100_000)).await;
        expect_error(answer, Code::Unavailable, "OVERLOADED");
    };
    tokio::select! {
        answer = first => panic!("{answer:?}"),
        () = rejected_second => {}
    }
    // The first call is cancelled, and releases its memory when the gateway notices.
    let next = async {
        loop {
            tokio::select! {
                answer = call_once(&gateway, rpc, update(1_000_000)) => {
                    expect_error(answer, Code::Unavailable, "OVERLOADED");
                }
                _ = arrived.recv() => return,
            }
        }
    };
    wait_for("the next call", next).await;
}

#[tokio::test]
async fn a_small_message_of_very_many_elements_takes_little_memory() {
    let server = ServerProcess::start(&["serve", "--sandbox"], &[]);
    let gateway = Gateway::connect(server.address.parse().unwrap()).await;
    gateway.call("GetSystempresences", json!({})).await.unwrap();
    let before = server.resident_kib();
    // Two million empty elements of each list.
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
        let violation = &status.get_details_bad_request().unwrap().field_violations[0];
        assert_eq!(violation.field, field);
        assert!(violation.description.contains("2000000"), "{violation:?}");
    }
    let growth = server.resident_kib().saturating_sub(before);
    assert!(growth < 64 * 1024, "grew by {growth} KiB");
    #[cfg(target_os = "linux")]
    assert!(
        server.peak_kib() < before + 64 * 1024,
        "{} KiB",
        server.peak_kib()
    );
}
