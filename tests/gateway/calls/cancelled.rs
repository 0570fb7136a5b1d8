//! A client that goes away: nothing more is done for it, and what was under
//! way is given up.

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

use crate::support::in_flight::soon;
use crate::support::raw_http::{RawVendor, read_request};
use crate::support::{Answer, Gateway, Limits, Received, Vendor, reply};

/// How long the vendor asks to wait: less than the call's 30 s, so that the
/// wait is begun, and more than a test is patient.
const RETRY_AFTER: &str = "25";
const PATIENCE: Duration = Duration::from_secs(15);

/// What does not make the vendor refuse.
const PROBE: &str = "GetPresenceSettings";

async fn call(
    gateway: &Gateway,
    rpc: &str,
    request: Value,
    token: &str,
    time: &str,
) -> Result<Answer, Status> {
    let token = format!("Bearer {token}");
    let metadata = [("authorization", token.as_str()), ("grpc-timeout", time)];
    gateway.call_with(rpc, request, &metadata).await
}

/// A vendor that asks everybody to come back later, but for the probe.
async fn refusing(status: u16) -> Vendor {
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

fn is_call(received: &Received) -> bool {
    !received.path().ends_with("/settings")
}

/// Waits until the refusal of a call is known to the gateway.
async fn refused(gateway: &Gateway, vendor: &Vendor, status: u16) {
    while !vendor.received().iter().any(is_call) {
        yield_now().await;
    }
    loop {
        let probe = call(gateway, PROBE, json!({}), "gone", "5S").await;
        match probe {
            // The token is parked: the gateway has read the 429.
            Err(status) if reason(&status) == "TOKEN_QUOTA_EXHAUSTED" => return,
            // Asked and answered after the call was, on the one thread there is.
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
async fn a_client_that_goes_away_while_a_retry_waits_leaves_nothing_behind() {
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
        let vendor = refusing(status).await;
        let limits = Limits {
            concurrency: 1,
            token_requests: 300,
            ..Limits::default()
        };
        let gateway = Gateway::with(&vendor, limits).await;
        // From here on there is a connection to the vendor, and one from here.
        call(&gateway, PROBE, json!({}), "another", "20S")
            .await
            .unwrap();
        let tasks = Handle::current().metrics();
        let before = tasks.num_alive_tasks();
        tokio::select! {
            answer = call(&gateway, rpc, request, "gone", "30S") => panic!("{case}: {answer:?}"),
            () = refused(&gateway, &vendor, status) => {
                assert!(tasks.num_alive_tasks() > before, "{case}: nothing waits");
            }
        }
        let gone = async {
            while tasks.num_alive_tasks() > before {
                yield_now().await;
            }
        };
        let gone = timeout(PATIENCE, gone).await;
        gone.unwrap_or_else(|_| panic!("{case}: something still waits to send it again"));
        let sent = vendor.received();
        let sent = sent.iter().filter(|received| is_call(received)).count();
        assert_eq!(sent, 1, "{case}");
    }
}

#[tokio::test]
async fn a_write_that_arrived_is_given_up_and_neither_sent_again_nor_mixed_up_with_the_next() {
    let (arrive, mut arrived) = unbounded_channel();
    let (close, mut closed) = unbounded_channel();
    let vendor = RawVendor::start(move |mut stream| {
        let (arrive, close) = (arrive.clone(), close.clone());
        async move {
            let head = read_request(&mut stream).await;
            if head.starts_with("patch") {
                // It has it whole, and may apply it whatever comes.
                arrive.send(()).unwrap();
                let more = stream.read(&mut [0]).await;
                close.send(more.unwrap_or(0)).unwrap();
            }
            // Nobody is there to read it where it was the write.
            let answer = "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n{\"id\":\"p\"}";
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    })
    .await;
    let gateway = Gateway::before_url(&vendor.url()).await;
    let request = json!({"userId": "u", "body": {"message": "m"}});
    tokio::select! {
        answer = gateway.call("PatchUserPresencesPurecloud", request) => panic!("{answer:?}"),
        () = async { soon("the write", arrived.recv()).await.unwrap() } => {}
    }
    let more = soon("the end of the connection", closed.recv()).await;
    assert_eq!(more, Some(0), "more was sent after the client had gone");
    let next = gateway.call("GetUserPresencesPurecloud", json!({"userId": "u"}));
    assert_eq!(next.await.unwrap(), json!({"id": "p"}));
    assert_eq!(vendor.connections(), 2);
    assert!(arrived.try_recv().is_err(), "the write was sent again");
}
