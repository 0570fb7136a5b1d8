//! Invalid responses of the vendor, or of a proxy before it.

use axum::body::{Body, Bytes};
use axum::response::Response;
use futures_util::stream;
use serde_json::json;
use tonic::{Code, Status};

use crate::support::raw_http::RawVendor;
use crate::support::{Gateway, Vendor, expect_error, info};

/// A read, a write, a bulk read and a bulk write.
const RPCS: [(&str, &str); 4] = [
    ("GetUserPresencesPurecloud", r#"{"userId":"u"}"#),
    ("PatchUserPresencesPurecloud", r#"{"userId":"u","body":{}}"#),
    ("GetUsersPresencesPurecloudBulk", r#"{"id":["u"]}"#),
    ("PutUsersPresencesBulk", r#"{"body":[{"id":"u"}]}"#),
];

/// Makes a call of each RPC.
async fn call_all(vendor: &Vendor) -> Vec<(&'static str, Result<serde_json::Value, Status>)> {
    let gateway = Gateway::start(vendor).await;
    let mut answers = Vec::new();
    for (rpc, request) in RPCS {
        let request = serde_json::from_str(request).unwrap();
        answers.push((rpc, gateway.call(rpc, request).await));
    }
    answers
}

/// A vendor that responds with these headers and this body.
async fn responding(
    headers: &'static [(&'static str, &'static str)],
    body: impl Into<Bytes>,
) -> Vendor {
    let body = body.into();
    Vendor::start(move |_| {
        let answer = Response::builder().status(200);
        let answer = headers
            .iter()
            .fold(answer, |answer, (name, value)| answer.header(*name, *value));
        let answer = answer.body(Body::from(body.clone())).unwrap();
        async move { answer }
    })
    .await
}

/// Asserts an unreadable response, of which the error reveals nothing. The error of
/// a write reports it as applied.
#[track_caller]
fn assert_unreadable(rpc: &str, answer: Result<serde_json::Value, Status>, message: &str) {
    let status = expect_error(answer, Code::Internal, "UNREADABLE_ANSWER");
    assert!(
        status.message().contains(message),
        "{rpc}: {}",
        status.message()
    );
    assert!(!format!("{status:?}").contains("s3cret"), "{status:?}");
    let is_write = rpc.starts_with('P');
    let outcome = info(&status, "outcome");
    assert_eq!(outcome.as_deref(), is_write.then_some("applied"), "{rpc}");
    assert_eq!(
        status.message().contains("was applied"),
        is_write,
        "{}",
        status.message()
    );
}

#[tokio::test]
async fn an_html_response_is_unreadable() {
    let html = "<!doctype html><title>s3cret portal</title>";
    for headers in [
        &[("content-type", "text/html")][..],
        &[("content-type", "application/json")],
        &[],
    ] {
        for (rpc, answer) in call_all(&responding(headers, html).await).await {
            assert_unreadable(rpc, answer, "it is an HTML page");
        }
    }
}

#[tokio::test]
async fn a_truncated_response_is_unreadable() {
    for truncated in [
        r#"{"id":"s3cret"#,
        r#"[{"id":"s3cret"},"#,
        "[",
        "{",
        "\"s3cret",
        "nul",
        "-",
    ] {
        for (rpc, answer) in call_all(&responding(&[], truncated).await).await {
            assert_unreadable(rpc, answer, "it is not JSON");
        }
    }
}

#[tokio::test]
async fn a_response_of_another_type_is_unreadable() {
    for body in [
        "null",
        "true",
        "5",
        "\"s3cret\"",
        r#"{"presences":"s3cret","id":7}"#,
        "[[]]",
    ] {
        for (rpc, answer) in call_all(&responding(&[], body).await).await {
            assert_unreadable(rpc, answer, "");
        }
    }
    for (rpc, answer) in call_all(&responding(&[], "").await).await {
        assert_unreadable(rpc, answer, "it is empty");
    }
}

#[tokio::test]
async fn a_response_that_cannot_be_decompressed_is_unreadable() {
    // The body would be valid without the header.
    for encoding in ["gzip", "br", "deflate", "zstd", "x, gzip"] {
        let headers: &'static [_] = Box::leak(Box::new([("content-encoding", encoding)]));
        for (rpc, answer) in call_all(&responding(headers, "[]").await).await {
            assert_unreadable(rpc, answer, "it is compressed");
        }
    }
}

/// Responses with a head over the limit.
fn oversized_heads() -> [String; 3] {
    let lines = "x-line: of many\r\n".repeat(100);
    let long = "x".repeat(5_000_000);
    [
        format!("HTTP/1.1 200 OK\r\n{lines}content-length: 2\r\n\r\n{{}}"),
        format!("HTTP/1.1 404 Not Found\r\nx-long: {long}\r\ncontent-length: 2\r\n\r\n{{}}"),
        format!("HTTP/1.1 103 Early Hints\r\n{lines}x: y\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"),
    ]
}

#[tokio::test]
async fn a_response_with_a_too_large_head_is_unreadable_and_not_retried() {
    let reason = "its head has more than 100 lines, or more than 400 KB";
    for answer in oversized_heads() {
        let vendor = RawVendor::with_bytes(answer).await;
        let gateway = Gateway::start_at(&vendor.url()).await;
        let read = gateway.call("GetUserPresencesPurecloud", json!({"userId": "u"}));
        let status = expect_error(read.await, Code::Internal, "UNREADABLE_ANSWER");
        assert!(status.message().contains(reason), "{status:?}");
        assert_eq!(vendor.connections(), 1, "a retry would get the same head");

        // Not even the status of the response can be read.
        let write = gateway.call("PutPresenceSettings", json!({"body": {}}));
        let status = expect_error(write.await, Code::Unknown, "OUTCOME_UNKNOWN");
        assert!(status.message().contains(reason), "{status:?}");
        assert!(!status.message().contains("broke"), "{status:?}");
        assert_eq!(vendor.connections(), 2, "a retry would get the same head");
    }
}

#[tokio::test]
async fn a_valid_response_is_read_with_any_content_type_or_identity_encoding() {
    for headers in [
        &[("content-type", "text/plain")][..],
        &[("content-type", "text/html; charset=x")],
        &[("content-type", "")],
        &[("content-encoding", "identity")],
        &[("content-encoding", "Identity")],
        &[("content-encoding", "")],
        &[],
    ] {
        let vendor = responding(headers, r#"{"id":"p"}"#).await;
        let gateway = Gateway::start(&vendor).await;
        let answer = gateway
            .call("GetUserPresencesPurecloud", json!({"userId": "u"}))
            .await;
        assert_eq!(answer.unwrap(), json!({"id": "p"}), "{headers:?}");
    }
}

#[tokio::test]
async fn an_html_error_response_yields_an_error_of_the_gateway() {
    for (status, code) in [
        (400, Code::InvalidArgument),
        (404, Code::Internal),
        (500, Code::Internal),
    ] {
        let vendor = Vendor::with_response(status, "<html>s3cret</html>").await;
        for (rpc, answer) in call_all(&vendor).await {
            let error = expect_error(answer, code, "UPSTREAM_ERROR");
            assert!(!format!("{error:?}").contains("s3cret"), "{rpc}: {error:?}");
            let message = format!("answered {status} without a vendor error body");
            assert!(
                error.message().contains(&message),
                "{rpc}: {}",
                error.message()
            );
        }
    }
}

#[tokio::test]
async fn a_response_whose_content_length_exceeds_the_limit_is_not_read() {
    // The vendor never sends the body, so a gateway that waited for it would lose
    // the connection.
    let response = "HTTP/1.1 200 OK\r\ncontent-length: 8388609\r\n\r\n[";
    let vendor = RawVendor::with_bytes(response).await;
    let gateway = Gateway::start_at(&vendor.url()).await;
    for (rpc, request) in RPCS {
        let answer = gateway
            .call(rpc, serde_json::from_str(request).unwrap())
            .await;
        assert_unreadable(rpc, answer, "it is larger than 8388608 bytes");
    }
}

#[tokio::test]
async fn a_list_with_too_many_elements_is_unreadable() {
    let body = format!("[{}{{}}]", "{},".repeat(50_000));
    let vendor = Vendor::with_response(200, body).await;
    let gateway = Gateway::start(&vendor).await;
    let answer = gateway
        .call("GetUsersPresencesPurecloudBulk", json!({"id": ["u"]}))
        .await;
    assert_unreadable(
        "GetUsersPresencesPurecloudBulk",
        answer,
        "an array of at most 50000 objects is expected",
    );
}

#[tokio::test]
async fn an_endless_response_is_unreadable() {
    let vendor = Vendor::start(async |_| {
        let chunk = Bytes::from(vec![b' '; 1024 * 1024]);
        let endless = stream::repeat_with(move || Ok::<_, std::io::Error>(chunk.clone()));
        Response::new(Body::from_stream(endless))
    })
    .await;
    let gateway = Gateway::start(&vendor).await;
    for (rpc, request) in &RPCS[..2] {
        let answer = gateway
            .call(rpc, serde_json::from_str(request).unwrap())
            .await;
        assert_unreadable(rpc, answer, "it is larger than 8388608 bytes");
    }
}

#[tokio::test]
async fn a_response_with_invalid_headers_ends_the_call() {
    let many = "x: y\r\n".repeat(2000);
    for head in [
        many.as_str(),
        "inin-correlation-id: \u{1f355}\r\n",
        "x: \x01\r\n",
        ": no name\r\n",
        "content-length: -1\r\n",
        "content-length: 2\r\ncontent-length: 3\r\n",
        "content-length: 2\r\ntransfer-encoding: chunked\r\n",
        "transfer-encoding: x\r\n",
    ] {
        let vendor = RawVendor::with_bytes(format!("HTTP/1.1 200 OK\r\n{head}\r\n{{}}")).await;
        let gateway = Gateway::start_at(&vendor.url()).await;
        let answer = gateway
            .call("GetUserPresencesPurecloud", json!({"userId": "u"}))
            .await;
        // The call succeeds or fails. It never hangs or gets another response.
        if let Err(status) = answer {
            assert!(
                [Code::Unavailable, Code::Internal].contains(&status.code()),
                "{status:?}"
            );
        }
    }
}
