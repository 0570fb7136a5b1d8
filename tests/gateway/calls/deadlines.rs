//! Deadlines: how long a call runs, and what it returns when its deadline expires.

mod grpc_timeout;

use std::future::pending;
use std::time::Duration;

use axum::body::{Body, Bytes};
use futures_util::{StreamExt, stream};
use serde_json::{Value, json};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::timeout;
use tonic::{Code, Status};

use crate::support::raw_http::{RawVendor, frame, head, read_request, send};
use crate::support::{
    Gateway, Limits, Vendor, encode, expect_error, metadata, method, minimal_request, path,
};

/// A default deadline short enough to expire in each test.
const SHORT: Duration = Duration::from_millis(200);

/// A vendor that never responds, and reports when requests arrive and are cancelled.
struct HangingVendor {
    vendor: Vendor,
    arrived: UnboundedReceiver<()>,
    cancelled: UnboundedReceiver<()>,
}

/// Reports that the request which holds it was cancelled.
struct DropNotice(UnboundedSender<()>);

impl Drop for DropNotice {
    fn drop(&mut self) {
        let _ = self.0.send(());
    }
}

impl HangingVendor {
    async fn start() -> Self {
        let (arrive, arrived) = unbounded_channel();
        let (cancel, cancelled) = unbounded_channel();
        let vendor = Vendor::start(move |_| {
            let notice = DropNotice(cancel.clone());
            arrive.send(()).unwrap();
            async move {
                let _notice = notice;
                pending().await
            }
        })
        .await;
        Self {
            vendor,
            arrived,
            cancelled,
        }
    }

    /// Waits until this number of requests has arrived.
    async fn wait_for_arrival(&mut self, requests: usize) {
        for _ in 0..requests {
            let arrived = timeout(Duration::from_secs(20), self.arrived.recv()).await;
            arrived.expect("a request should arrive at the vendor");
        }
    }

    /// Waits until the gateway has cancelled this number of requests that had arrived.
    async fn wait_for_cancellation(&mut self, requests: usize) {
        for _ in 0..requests {
            let cancelled = timeout(Duration::from_secs(20), self.cancelled.recv()).await;
            cancelled.expect("the gateway should cancel its request");
        }
    }
}

/// Makes a call with this `grpc-timeout`, which the client does not enforce itself.
async fn call(gateway: &Gateway, rpc: &str, timeout: Option<&str>) -> Result<Bytes, Status> {
    let method = method(rpc);
    call_with(gateway, rpc, minimal_request(&method), timeout).await
}

async fn call_with(
    gateway: &Gateway,
    rpc: &str,
    request: Value,
    timeout: Option<&str>,
) -> Result<Bytes, Status> {
    let method = method(rpc);
    let message = frame(&encode(&method, request));
    let mut call = head(&path(&method));
    if let Some(timeout) = timeout {
        call = call.header("grpc-timeout", timeout);
    }
    send(gateway, call.body(message.into()).unwrap())
        .await
        .result()
}

/// Asserts that the call expired and changed nothing.
#[track_caller]
fn assert_expired(answer: Result<Bytes, Status>) -> Status {
    let status = expect_error(answer, Code::DeadlineExceeded, "DEADLINE_EXCEEDED");
    assert_eq!(metadata(&status, "grpc-retry-pushback-ms"), None);
    assert!(
        status.message().contains("nothing was changed"),
        "{}",
        status.message()
    );
    status
}

const READ: &str = "GetUserPresencesPurecloud";
const WRITES: [&str; 5] = [
    "PostPresenceSources",
    "PutPresenceSettings",
    "PatchUserPresencesPurecloud",
    "DeletePresenceSource",
    "PutUsersPresencesBulk",
];

#[tokio::test]
async fn the_deadline_includes_the_time_to_receive_the_message() {
    let vendor = Vendor::with_response(200, "{}").await;
    let limits = Limits {
        default_deadline: SHORT,
        ..Limits::default()
    };
    let gateway = Gateway::start_with(&vendor, limits).await;
    let method = method(READ);
    let message = frame(&encode(&method, minimal_request(&method)));
    for timeout in [Some("200m"), None] {
        for length in [0, 3, message.len() - 1] {
            let start = Bytes::copy_from_slice(&message[..length]);
            let start = stream::iter([Ok::<_, std::io::Error>(start)]);
            let call = head(&path(&method));
            let call = match timeout {
                Some(timeout) => call.header("grpc-timeout", timeout),
                None => call,
            };
            let body = Body::from_stream(start.chain(stream::pending()));
            let answer = send(&gateway, call.body(body).unwrap()).await;
            assert_expired(answer.result());
        }
    }
    let sent = vendor.received();
    assert!(sent.is_empty(), "{sent:#?}");
}

#[tokio::test]
async fn a_write_sent_before_the_deadline_expired_is_of_unknown_outcome() {
    for rpc in WRITES {
        let mut hanging = HangingVendor::start().await;
        let gateway = Gateway::start(&hanging.vendor).await;
        let answer = call(&gateway, rpc, Some("200m")).await;
        let status = expect_error(answer, Code::DeadlineExceeded, "OUTCOME_UNKNOWN");
        assert_eq!(
            metadata(&status, "grpc-retry-pushback-ms"),
            Some("-1"),
            "{rpc}"
        );
        hanging.wait_for_arrival(1).await;
        hanging.wait_for_cancellation(1).await;
    }
}

#[tokio::test]
async fn a_deadline_that_passed_is_named_with_what_the_call_waited_for() {
    let response = "while the gateway waited for the response of the presence API (attempt 1)";
    let connection = "while the gateway connected to the presence API (attempt 1)";
    let hanging = HangingVendor::start().await;
    // It never answers a TLS handshake.
    let silent = RawVendor::start(async |stream| {
        let _stream = stream;
        pending::<()>().await;
    })
    .await;
    let plain = format!("http://{}", hanging.vendor.address);
    let tls = format!("https://{}", silent.address);
    for (upstream, waiting) in [(&plain, response), (&tls, connection)] {
        for share_reads in [true, false] {
            let limits = Limits {
                default_deadline: SHORT,
                max_deadline: 2 * SHORT,
                share_reads,
                ..Limits::default()
            };
            let gateway = Gateway::start_at_with(upstream, limits).await;
            for (timeout, limit) in [
                (Some("150m"), "the caller's deadline of 150 ms passed"),
                (None, "the default deadline of 200 ms (the caller set none"),
                (
                    Some("9S"),
                    "the longest deadline of 400 ms (the caller set a later one",
                ),
            ] {
                let status = call(&gateway, READ, timeout).await.unwrap_err();
                for expected in [limit, waiting] {
                    let message = status.message();
                    assert!(message.contains(expected), "{expected}: {message}");
                }
            }
        }
    }
    let gateway = Gateway::start_at(&plain).await;
    let status = call(&gateway, WRITES[0], Some("150m")).await.unwrap_err();
    let message = status.message();
    assert!(
        message.contains("may or may not") && message.contains(response),
        "{message}"
    );
}

#[tokio::test]
async fn a_write_that_was_never_sent_is_not_of_unknown_outcome() {
    let (arrive, mut arrived) = unbounded_channel();
    // The vendor never answers a TLS handshake, so that nothing can be sent.
    let vendor = RawVendor::start(move |stream| {
        arrive.send(()).unwrap();
        async move {
            let _stream = stream;
            pending::<()>().await;
        }
    })
    .await;
    let upstream = format!("https://{}", vendor.address);
    let gateway = Gateway::start_at(&upstream).await;
    for rpc in [READ].into_iter().chain(WRITES) {
        let answer = call(&gateway, rpc, Some("200m")).await;
        if rpc == "PutUsersPresencesBulk" {
            expect_error(answer, Code::DeadlineExceeded, "NOT_TRIED");
        } else {
            assert_expired(answer);
        }
        arrived.recv().await.unwrap();
    }
}

#[tokio::test]
async fn an_incomplete_response_is_awaited_until_the_deadline() {
    for length in ["content-length: 100", "transfer-encoding: chunked"] {
        let vendor = RawVendor::start(move |mut stream| async move {
            use tokio::io::AsyncWriteExt;
            read_request(&mut stream).await;
            let start = format!("HTTP/1.1 200 OK\r\n{length}\r\n\r\n2\r\n{{\"");
            stream.write_all(start.as_bytes()).await.unwrap();
            pending::<()>().await;
        })
        .await;
        let gateway = Gateway::start_at(&vendor.url()).await;
        assert_expired(call(&gateway, READ, Some("200m")).await);
        let answer = call(&gateway, "PatchUserPresencesPurecloud", Some("200m")).await;
        expect_error(answer, Code::DeadlineExceeded, "OUTCOME_UNKNOWN");
    }
}

#[tokio::test]
async fn an_error_response_with_an_incomplete_body_keeps_its_status() {
    let vendor = RawVendor::start(move |mut stream| async move {
        use tokio::io::AsyncWriteExt;
        read_request(&mut stream).await;
        let start = "HTTP/1.1 409 Conflict\r\ncontent-length: 100\r\n\r\n{\"";
        stream.write_all(start.as_bytes()).await.unwrap();
        pending::<()>().await;
    })
    .await;
    let gateway = Gateway::start_at(&vendor.url()).await;
    let answer = call(&gateway, "PatchUserPresencesPurecloud", Some("200m")).await;
    expect_error(answer, Code::Aborted, "UPSTREAM_ERROR");
}

#[tokio::test]
async fn the_deadline_cancels_every_batch_of_a_bulk_read() {
    let mut hanging = HangingVendor::start().await;
    let gateway = Gateway::start(&hanging.vendor).await;
    let ids: Vec<_> = (0..400).map(|n| n.to_string()).collect();
    let request = json!({"id": ids});
    let answer = call_with(
        &gateway,
        "GetUsersPresencesPurecloudBulk",
        request,
        Some("300m"),
    )
    .await;
    assert_expired(answer);
    hanging.wait_for_arrival(8).await;
    hanging.wait_for_cancellation(8).await;
}

#[tokio::test]
async fn a_cancelled_call_cancels_its_upstream_requests() {
    let ids: Vec<_> = (0..400).map(|n| n.to_string()).collect();
    for (rpc, request, requests) in [
        (READ, json!({"userId": "u"}), 1),
        (
            "PatchUserPresencesPurecloud",
            json!({"userId": "u", "body": {}}),
            1,
        ),
        ("DeletePresenceSource", json!({"sourceId": "s"}), 1),
        ("GetUsersPresencesPurecloudBulk", json!({"id": ids}), 8),
    ] {
        let mut hanging = HangingVendor::start().await;
        let gateway = Gateway::start(&hanging.vendor).await;
        tokio::select! {
            answer = gateway.call(rpc, request) => panic!("{rpc} was answered: {answer:?}"),
            () = hanging.wait_for_arrival(requests) => {}
        }
        hanging.wait_for_cancellation(requests).await;
    }
}
