//! Cancelled calls: the gateway stops their retries and closes their requests.

use std::time::Duration;

use http::HeaderValue;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::Handle;
use tokio::sync::mpsc::unbounded_channel;
use tokio::task::yield_now;
use tokio::time::timeout;
use tonic::Status;
use tonic_types::StatusExt;

use crate::support::in_flight::wait_for;
use crate::support::raw_http::{RawVendor, read_request};
use crate::support::{Gateway, JsonResponse, Limits, ReceivedRequest, Vendor, reply};

/// The vendor's `Retry-After`: less than the call's 30 s, so that the gateway
/// waits, and longer than [`PATIENCE`], so that the wait does not end in the test.
const RETRY_AFTER: &str = "25";
/// The limit for the end of a cancelled call's tasks, less than [`RETRY_AFTER`].
const PATIENCE: Duration = Duration::from_secs(15);

/// An RPC to which the vendor always responds with success.
const PROBE: &str = "GetPresenceSettings";

async fn call(
    gateway: &Gateway,
    rpc: &str,
    request: Value,
    token: &str,
    timeout: &str,
) -> Result<JsonResponse, Status> {
    let token = format!("Bearer {token}");
    let metadata = [("authorization", token.as_str()), ("grpc-timeout", timeout)];
    gateway.call_with_metadata(rpc, request, &metadata).await
}

/// A vendor that responds with this status and [`RETRY_AFTER`], except to the probe.
async fn throttling(status: u16) -> Vendor {
    Vendor::start(move |received| async move {
        if received.path().ends_with("/settings") {
            return reply(200, "{}");
        }
        let mut answer = reply(status, r#"{"code":"some.code","message":"m"}"#);
        let retry_after = HeaderValue::from_static(RETRY_AFTER);
        answer.headers_mut().insert("retry-after", retry_after);
        answer
    })
    .await
}

fn is_call(received: &ReceivedRequest) -> bool {
    !received.path().ends_with("/settings")
}

/// Waits until the gateway has read the vendor's response to the call.
async fn wait_until_throttled(gateway: &Gateway, vendor: &Vendor, status: u16) {
    while !vendor.received().iter().any(is_call) {
        yield_now().await;
    }
    loop {
        let probe = call(gateway, PROBE, json!({}), "cancelled", "5S").await;
        match probe {
            // The token is throttled: the gateway has read the 429.
            Err(status) if reason(&status) == "TOKEN_QUOTA_EXHAUSTED" => return,
            // The probe was sent and answered after the call, on the only thread.
            Ok(_) if status != 429 => return,
            Ok(_) => {}
            Err(status) => panic!("{status:?}"),
        }
    }
}

fn reason(status: &Status) -> String {
    status
        .get_details_error_info()
        .map(|info| info.reason)
        .unwrap_or_default()
}

#[tokio::test]
async fn a_cancelled_call_stops_its_pending_retry() {
    let ids: Vec<_> = (0..60).map(|n| n.to_string()).collect();
    let updates: Vec<_> = ids.iter().map(|id| json!({ "id": id })).collect();
    for (status, rpc, request) in [
        (429, "GetUserPresencesPurecloud", json!({"userId": "u"})),
        (
            429,
            "PatchUserPresencesPurecloud",
            json!({"userId": "u", "body": {}}),
        ),
        (429, "GetUsersPresencesPurecloudBulk", json!({ "id": ids })),
        (429, "PutUsersPresencesBulk", json!({ "body": updates })),
        (503, "GetUserPresencesPurecloud", json!({"userId": "u"})),
        (503, "DeletePresenceSource", json!({"sourceId": "s"})),
        (503, "GetUsersPresencesPurecloudBulk", json!({ "id": ids })),
    ] {
        let case = format!("{rpc} after {status}");
        let vendor = throttling(status).await;
        let limits = Limits {
            concurrency: 1,
            token_requests: 300,
            ..Limits::default()
        };
        let gateway = Gateway::start_with(&vendor, limits).await;
        // Opens the connections of the client and of the gateway, so that their
        // tasks are counted before the call.
        call(&gateway, PROBE, json!({}), "other", "20S")
            .await
            .unwrap();
        let tasks = Handle::current().metrics();
        let before = tasks.num_alive_tasks();
        tokio::select! {
            answer = call(&gateway, rpc, request, "cancelled", "30S") => panic!("{case}: {answer:?}"),
            () = wait_until_throttled(&gateway, &vendor, status) => {
                assert!(tasks.num_alive_tasks() > before, "{case}: no retry is pending");
            }
        }
        let stopped = async {
            while tasks.num_alive_tasks() > before {
                yield_now().await;
            }
        };
        let stopped = timeout(PATIENCE, stopped).await;
        stopped.unwrap_or_else(|_| panic!("{case}: the retry should have been stopped"));
        let sent = vendor.received();
        let sent = sent.iter().filter(|received| is_call(received)).count();
        assert_eq!(sent, 1, "{case}");
    }
}

#[tokio::test]
async fn a_cancelled_write_closes_its_connection_and_is_not_retried() {
    let (arrive, mut arrived) = unbounded_channel();
    let (close, mut closed) = unbounded_channel();
    let vendor = RawVendor::start(move |mut stream| {
        let (arrive, close) = (arrive.clone(), close.clone());
        async move {
            let head = read_request(&mut stream).await;
            if head.starts_with("patch") {
                // The vendor has the whole write, and may apply it.
                arrive.send(()).unwrap();
                let more = stream.read(&mut [0]).await;
                close.send(more.unwrap_or(0)).unwrap();
            }
            // Fails for the write, whose connection is closed.
            let answer = "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n{\"id\":\"p\"}";
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    })
    .await;
    let gateway = Gateway::start_at(&vendor.url()).await;
    let request = json!({"userId": "u", "body": {"message": "m"}});
    tokio::select! {
        answer = gateway.call("PatchUserPresencesPurecloud", request) => panic!("{answer:?}"),
        () = async { wait_for("the write", arrived.recv()).await.unwrap() } => {}
    }
    let more = wait_for("the end of the connection", closed.recv()).await;
    assert_eq!(
        more,
        Some(0),
        "the gateway sent more after the cancellation"
    );
    let next = gateway.call("GetUserPresencesPurecloud", json!({"userId": "u"}));
    assert_eq!(next.await.unwrap(), json!({"id": "p"}));
    assert_eq!(vendor.connections(), 2);
    assert!(arrived.try_recv().is_err(), "the write was retried");
}
