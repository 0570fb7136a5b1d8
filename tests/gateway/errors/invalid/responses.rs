//! Answers of the vendor's that are none, or of something in its place.

use axum::body::{Body, Bytes};
use axum::response::Response;
use futures_util::stream;
use serde_json::json;
use tonic::{Code, Status};

use crate::support::raw_http::RawVendor;
use crate::support::{Gateway, Vendor, expect_error, info};

/// A read, a write, and both of bulk.
const RPCS: [(&str, &str); 4] = [
    ("GetUserPresencesPurecloud", r#"{"userId":"u"}"#),
    ("PatchUserPresencesPurecloud", r#"{"userId":"u","body":{}}"#),
    ("GetUsersPresencesPurecloudBulk", r#"{"id":["u"]}"#),
    ("PutUsersPresencesBulk", r#"{"body":[{"id":"u"}]}"#),
];

async fn answers(vendor: &Vendor) -> Vec<(&'static str, Result<serde_json::Value, Status>)> {
    let gateway = Gateway::start(vendor).await;
    let mut answers = Vec::new();
    for (rpc, request) in RPCS {
        let request = serde_json::from_str(request).unwrap();
        answers.push((rpc, gateway.call(rpc, request).await));
    }
    answers
}

/// A vendor that answers with this content.
async fn content(
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

/// An answer that cannot be read, of which the caller sees nothing; a write
/// is told to have been applied.
#[track_caller]
fn unreadable(rpc: &str, answer: Result<serde_json::Value, Status>, says: &str) {
    let status = expect_error(answer, Code::Internal, "UNREADABLE_ANSWER");
    assert!(
        status.message().contains(says),
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
async fn html_in_place_of_an_answer_is_unreadable() {
    let html = "<!doctype html><title>s3cret portal</title>";
    for headers in [
        &[("content-type", "text/html")][..],
        &[("content-type", "application/json")],
        &[],
    ] {
        for (rpc, answer) in answers(&content(headers, html).await).await {
            unreadable(rpc, answer, "it is not JSON");
        }
    }
}

#[tokio::test]
async fn half_of_an_answer_is_unreadable() {
    for half in [
        r#"{"id":"s3cret"#,
        r#"[{"id":"s3cret"},"#,
        "[",
        "{",
        "\"s3cret",
        "nul",
        "-",
    ] {
        for (rpc, answer) in answers(&content(&[], half).await).await {
            unreadable(rpc, answer, "it is not JSON");
        }
    }
}

#[tokio::test]
async fn an_answer_of_another_shape_is_unreadable() {
    for other in [
        "null",
        "true",
        "5",
        "\"s3cret\"",
        r#"{"presences":"s3cret","id":7}"#,
        "[[]]",
    ] {
        for (rpc, answer) in answers(&content(&[], other).await).await {
            unreadable(rpc, answer, "");
        }
    }
    for (rpc, answer) in answers(&content(&[], "").await).await {
        unreadable(rpc, answer, "it is empty");
    }
}

#[tokio::test]
async fn an_answer_that_cannot_be_inflated_is_unreadable_and_named_so() {
    // What it holds would be an answer, if it were not for the header.
    for encoding in ["gzip", "br", "deflate", "zstd", "x, gzip"] {
        let headers: &'static [_] = Box::leak(Box::new([("content-encoding", encoding)]));
        for (rpc, answer) in answers(&content(headers, "[]").await).await {
            unreadable(rpc, answer, "it is compressed");
        }
    }
}

/// An answer whose head is larger than what is read of one.
fn too_large_a_head() -> [String; 3] {
    let lines = "x-line: of many\r\n".repeat(100);
    let long = "x".repeat(5_000_000);
    [
        format!("HTTP/1.1 200 OK\r\n{lines}content-length: 2\r\n\r\n{{}}"),
        format!("HTTP/1.1 404 Not Found\r\nx-long: {long}\r\ncontent-length: 2\r\n\r\n{{}}"),
        format!("HTTP/1.1 103 Early Hints\r\n{lines}x: y\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"),
    ]
}

#[tokio::test]
async fn a_head_that_is_too_large_is_no_connection_that_broke() {
    let why = "its head has more than 100 lines, or more than 400 KB";
    for answer in too_large_a_head() {
        let vendor = RawVendor::with_bytes(answer).await;
        let gateway = Gateway::start_at(&vendor.url()).await;
        let read = gateway.call("GetUserPresencesPurecloud", json!({"userId": "u"}));
        let status = expect_error(read.await, Code::Internal, "UNREADABLE_ANSWER");
        assert!(status.message().contains(why), "{status:?}");
        assert_eq!(vendor.connections(), 1, "it would be the same again");

        // Of what it answers nothing is known, not even the status.
        let write = gateway.call("PutPresenceSettings", json!({"body": {}}));
        let status = expect_error(write.await, Code::Unknown, "OUTCOME_UNKNOWN");
        assert!(status.message().contains(why), "{status:?}");
        assert!(!status.message().contains("broke"), "{status:?}");
        assert_eq!(vendor.connections(), 2, "it would be the same again");
    }
}

#[tokio::test]
async fn the_content_type_and_identity_do_not_matter_where_the_answer_is_good() {
    for headers in [
        &[("content-type", "text/plain")][..],
        &[("content-type", "text/html; charset=x")],
        &[("content-type", "")],
        &[("content-encoding", "identity")],
        &[("content-encoding", "Identity")],
        &[("content-encoding", "")],
        &[],
    ] {
        let vendor = content(headers, r#"{"id":"p"}"#).await;
        let gateway = Gateway::start(&vendor).await;
        let answer = gateway
            .call("GetUserPresencesPurecloud", json!({"userId": "u"}))
            .await;
        assert_eq!(answer.unwrap(), json!({"id": "p"}), "{headers:?}");
    }
}

#[tokio::test]
async fn html_in_place_of_a_refusal_is_the_gateways_word_alone() {
    for (status, code) in [
        (400, Code::InvalidArgument),
        (404, Code::Internal),
        (500, Code::Internal),
    ] {
        let vendor = Vendor::with_response(status, "<html>s3cret</html>").await;
        for (rpc, answer) in answers(&vendor).await {
            let refusal = expect_error(answer, code, "UPSTREAM_ERROR");
            assert!(
                !format!("{refusal:?}").contains("s3cret"),
                "{rpc}: {refusal:?}"
            );
            let says = format!("answered {status} without a vendor error body");
            assert!(
                refusal.message().contains(&says),
                "{rpc}: {}",
                refusal.message()
            );
        }
    }
}

#[tokio::test]
async fn an_answer_that_declares_more_than_the_cap_is_not_read() {
    // It is never sent, so that waiting for it would end in a lost connection.
    let declares = "HTTP/1.1 200 OK\r\ncontent-length: 8388609\r\n\r\n[";
    let vendor = RawVendor::with_bytes(declares).await;
    let gateway = Gateway::start_at(&vendor.url()).await;
    for (rpc, request) in RPCS {
        let answer = gateway
            .call(rpc, serde_json::from_str(request).unwrap())
            .await;
        unreadable(rpc, answer, "it is larger than 8388608 bytes");
    }
}

#[tokio::test]
async fn a_list_that_is_small_on_the_wire_and_huge_in_memory_is_given_up() {
    let body = format!("[{}{{}}]", "{},".repeat(50_000));
    let vendor = Vendor::with_response(200, body).await;
    let gateway = Gateway::start(&vendor).await;
    let answer = gateway
        .call("GetUsersPresencesPurecloudBulk", json!({"id": ["u"]}))
        .await;
    unreadable(
        "a list of nothing",
        answer,
        "an array of at most 50000 objects is expected",
    );
}

#[tokio::test]
async fn an_answer_without_an_end_is_given_up() {
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
        unreadable(rpc, answer, "it is larger than 8388608 bytes");
    }
}

#[tokio::test]
async fn an_answer_with_odd_heads_does_no_harm() {
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
        // It is read, or it is lost; it is never a hang or another's.
        if let Err(status) = answer {
            assert!(
                [Code::Unavailable, Code::Internal].contains(&status.code()),
                "{status:?}"
            );
        }
    }
}
