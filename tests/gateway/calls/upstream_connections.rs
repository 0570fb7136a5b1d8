//! Reuse of upstream connections: which carry another request, and how the
//! gateway handles a late 408 on one.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use futures_util::future::pending;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tonic::Code;

use crate::support::raw_http::{RawVendor, read_request};
use crate::support::{Gateway, Limits, expect_error};

/// The head of a success with a body of two bytes.
const OK_HEAD: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n";

/// Reads the head of a request, and no byte of its body.
async fn read_head(stream: &mut TcpStream) -> String {
    let mut read = Vec::new();
    while !read.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => read.push(byte),
            Err(_) => pending().await,
        }
    }
    String::from_utf8(read).unwrap().to_ascii_lowercase()
}

/// The response body: an array for an operation that returns a list.
fn response_body(head: &str) -> &'static str {
    if head.contains("/bulk ") { "[]" } else { "{}" }
}

/// Responds to requests until the connection ends.
async fn serve(mut stream: TcpStream) {
    loop {
        let head = read_request(&mut stream).await;
        if !head.contains("\r\n\r\n") {
            return;
        }
        let answer = format!("{OK_HEAD}{}", response_body(&head));
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// A vendor that responds to its first request after the head, keeps the
/// connection open and never reads the body. It serves other connections fully.
async fn responding_after_the_head() -> RawVendor {
    let connections = Arc::new(AtomicUsize::new(0));
    RawVendor::start(move |mut stream| {
        let number = connections.fetch_add(1, SeqCst);
        async move {
            if number > 0 {
                return serve(stream).await;
            }
            let head = read_head(&mut stream).await;
            let answer = format!("{OK_HEAD}{}", response_body(&head));
            stream.write_all(answer.as_bytes()).await.unwrap();
            pending::<()>().await;
        }
    })
    .await
}

async fn gateway(vendor: &RawVendor) -> Gateway {
    let limits = Limits {
        // A request sent after an unread body would wait until the deadline.
        default_deadline: Duration::from_secs(10),
        ..Limits::default()
    };
    Gateway::start_at_with(&vendor.url(), limits).await
}

const READ: (&str, fn() -> Value) = ("GetUserPresencesPurecloud", || json!({"userId": "u"}));

/// A PATCH with a body of some hundred bytes.
const PATCH: (&str, fn() -> Value) = (
    "PatchUserPresencesPurecloud",
    || json!({"userId": "u", "body": {"message": "m".repeat(300)}}),
);

async fn call(gateway: &Gateway, (rpc, request): (&str, fn() -> Value)) {
    let answer = gateway.call(rpc, request()).await;
    answer.unwrap_or_else(|status| panic!("{rpc} should succeed: {status:?}"));
}

#[tokio::test]
async fn a_connection_with_a_possibly_unread_body_is_not_reused() {
    let large = || "m".repeat(13 * 1024);
    for (rpc, request) in [
        (
            "PutUsersPresencesBulk",
            json!({"body": [{"id": "u", "message": large()}]}),
        ),
        (
            "PatchUserPresencesPurecloud",
            json!({"userId": "u", "body": {"message": large()}}),
        ),
        ("PostPresenceSources", json!({"body": {"name": large()}})),
        (
            "PutPresenceDefinition",
            json!({"definitionId": "d", "body": {"languageLabels": {"en_US": large()}}}),
        ),
    ] {
        for next in [READ, PATCH] {
            let vendor = responding_after_the_head().await;
            let gateway = gateway(&vendor).await;
            let answer = gateway.call(rpc, request.clone()).await;
            answer.unwrap_or_else(|status| panic!("{rpc}: {status:?}"));
            call(&gateway, next).await;
            assert_eq!(vendor.connections(), 2, "{} after {rpc}", next.0);
        }
    }
}

#[tokio::test]
async fn a_connection_whose_body_was_sent_with_the_head_is_reused() {
    let vendor = RawVendor::start(serve).await;
    let gateway = gateway(&vendor).await;
    for next in [READ, PATCH, PATCH, READ] {
        call(&gateway, next).await;
    }
    assert_eq!(vendor.connections(), 1);
}

/// A front end that closes idle connections: it responds to the second request on
/// each connection with a 408.
async fn closing_idle_connections(status_line: &'static str) -> RawVendor {
    RawVendor::start(move |mut stream| async move {
        let head = read_request(&mut stream).await;
        let answer = format!("{OK_HEAD}{}", response_body(&head));
        stream.write_all(answer.as_bytes()).await.unwrap();
        if read_request(&mut stream).await.is_empty() {
            return;
        }
        let late = format!("{status_line}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
        stream.write_all(late.as_bytes()).await.unwrap();
    })
    .await
}

#[tokio::test]
async fn a_408_on_a_reused_connection_is_retried_like_a_lost_connection() {
    for status_line in [
        "HTTP/1.1 408 Request Timeout",
        "HTTP/1.0 408 Request Time-out",
    ] {
        for (rpc, request) in [
            ("GetUserPresencesPurecloud", json!({"userId": "u"})),
            ("DeletePresenceSource", json!({"sourceId": "s"})),
            ("PutPresenceSettings", json!({"body": {}})),
        ] {
            let vendor = closing_idle_connections(status_line).await;
            let gateway = gateway(&vendor).await;
            call(&gateway, READ).await;
            let answer = gateway.call(rpc, request).await;
            answer.unwrap_or_else(|status| panic!("{rpc} should be retried: {status:?}"));
            assert_eq!(vendor.connections(), 2, "{rpc}");
        }
        for (rpc, request) in [
            (
                "PatchUserPresencesPurecloud",
                json!({"userId": "u", "body": {}}),
            ),
            ("PostPresenceSources", json!({"body": {}})),
            ("PutUsersPresencesBulk", json!({"body": [{"id": "u"}]})),
        ] {
            let vendor = closing_idle_connections(status_line).await;
            let gateway = gateway(&vendor).await;
            call(&gateway, READ).await;
            let answer = gateway.call(rpc, request).await;
            expect_error(answer, Code::Unavailable, "UPSTREAM_ERROR");
            assert_eq!(vendor.connections(), 1, "{rpc} must not be retried");
        }
    }
}

#[tokio::test]
async fn a_408_with_a_vendor_error_body_is_not_retried() {
    let answer = "HTTP/1.1 408 Request Timeout\r\ncontent-length: 32\r\n\r\n\
                  {\"code\":\"timeout\",\"message\":\"m\"}";
    let vendor = RawVendor::with_bytes(answer).await;
    let gateway = gateway(&vendor).await;
    let answer = gateway.call(READ.0, READ.1()).await;
    expect_error(answer, Code::Unavailable, "TIMEOUT");
    assert_eq!(vendor.connections(), 1);
}
