//! Size limits of a status: a client rejects larger headers, and the status with
//! them.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::response::Response;
use futures_util::stream;
use http::Method;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::time::timeout;
use tonic::Code;

use super::{call_method, call_once};
use crate::support::raw_http::{RawResponse, frame, head, send};
use crate::support::{
    Gateway, Vendor, assert_well_formed, encode, expect_error, method, minimal_request, path, reply,
};

/// A gateway, and the error response that its vendor sends.
struct FailingGateway {
    gateway: Gateway,
    response: Arc<Mutex<(u16, String)>>,
}

impl FailingGateway {
    async fn start() -> Self {
        let response = Arc::new(Mutex::new((400, String::new())));
        let next = Arc::clone(&response);
        let vendor = Vendor::start(move |_| {
            let (status, body) = next.lock().clone();
            let answer = Response::builder().status(status);
            let answer = answer.header("inin-correlation-id", "i".repeat(128));
            let answer = answer.header("retry-after", "3000");
            let answer = answer.body(body.into()).unwrap();
            async move { answer }
        })
        .await;
        let gateway = Gateway::start(&vendor).await;
        Self { gateway, response }
    }

    /// Calls an RPC to which the vendor responds with this status and body, and
    /// returns the error as encoded on the wire.
    async fn call(&self, rpc: &str, status: u16, body: &Value) -> RawResponse {
        *self.response.lock() = (status, body.to_string());
        let method = method(rpc);
        let message = frame(&encode(&method, minimal_request(&method)));
        let call = head(&path(&method)).header("grpc-previous-rpc-attempts", "1");
        send(&self.gateway, call.body(message.into()).unwrap()).await
    }
}

/// Texts that grow when encoded, or that a cut can break.
fn hostile() -> Vec<String> {
    let units = [
        "\u{1}",
        "%",
        "\u{e9}",
        "\u{20ac}",
        "\u{1f355}",
        "e\u{301}",
        "\r\n",
        "\0",
        "a",
        " ",
    ];
    let mut texts: Vec<String> = units.iter().map(|unit| unit.repeat(4000)).collect();
    // Each puts the cut at another offset within a character.
    texts.extend((1..12).map(|n| "x".repeat(n) + &"\u{1f355}".repeat(2000)));
    texts
}

#[tokio::test]
async fn message_and_details_stay_under_4_kib_for_any_vendor_error() {
    let failing = FailingGateway::start().await;
    for text in hostile() {
        let detail =
            json!({"errorCode": text, "fieldName": text, "entityId": text, "entityName": text});
        let short = text.chars().take(100).collect::<String>();
        let many = vec![json!({"errorCode": short, "fieldName": short}); 200];
        let params = json!({"field": text, "fieldName": short, "property": "\u{1f355}"});
        let limit = json!({"key": text, "namespace": text, "value": i64::MAX});
        for (rpc, status) in [
            ("PutPresenceDefinition", 400),
            ("DeletePresenceDefinition", 403),
            ("PatchUserPresence", 429),
            ("PutUsersPresencesBulk", 400),
            ("PutUsersPresencesBulk", 429),
            ("PostPresenceSources", 502),
        ] {
            // One huge detail, or many short ones.
            for details in [vec![detail.clone()], many.clone()] {
                let body = json!({
                    "code": text, "message": text, "messageParams": params, "limit": limit,
                    "details": details, "errors": [{"message": text, "details": details}],
                });
                let case = format!("{status} to {rpc} with {:?}...", &text.chars().next());
                let error = failing.call(rpc, status, &body).await;
                let size = error.size("grpc-message") + error.size("grpc-status-details-bin");
                assert!(size <= 4096, "{case}: {size} bytes");
                let status = error.status();
                assert_well_formed(&status);
                let message = status.message();
                assert!(
                    !message.contains(char::REPLACEMENT_CHARACTER),
                    "{case}: {message}"
                );
                assert!(message.contains("..."), "{case}: {message}");
            }
        }
    }
}

#[tokio::test]
async fn a_long_message_is_cut_between_characters() {
    let failing = FailingGateway::start().await;
    for text in hostile() {
        let body = json!({"code": "some.code", "message": text});
        let status = failing
            .call("GetPresenceSettings", 400, &body)
            .await
            .status();
        let kept = status.message().strip_suffix("...");
        let kept = kept.unwrap_or_else(|| panic!("not marked as cut: {}", status.message()));
        assert!(text.starts_with(kept), "{kept:?}");
        assert!(kept.len() > 200, "too little is kept: {kept:?}");
    }
    let short = "n\u{f6}t c\u{fc}t: 100%\r\n\u{1f355}";
    let body = json!({"code": "some.code", "message": short});
    let status = failing
        .call("GetPresenceSettings", 400, &body)
        .await
        .status();
    assert_eq!(status.message(), short);
}

/// A vendor error body of exactly this size.
fn sized(bytes: usize) -> String {
    let body = json!({"code": "some.code", "message": ""}).to_string();
    body.replace(r#""""#, &format!("\"{}\"", "m".repeat(bytes - body.len())))
}

fn in_chunks(body: &str) -> Body {
    let chunks: Vec<_> = body
        .as_bytes()
        .chunks(64 * 1024)
        .map(Bytes::copy_from_slice)
        .collect();
    Body::from_stream(stream::iter(
        chunks.into_iter().map(Ok::<_, std::io::Error>),
    ))
}

#[tokio::test]
async fn an_error_body_is_read_up_to_1_mib_with_or_without_a_content_length() {
    const MIB: usize = 1024 * 1024;
    for (size, reason) in [(MIB, "SOME_CODE"), (MIB + 1, "UPSTREAM_ERROR")] {
        for is_declared in [true, false] {
            let body = sized(size);
            assert_eq!(body.len(), size);
            let vendor = Vendor::start(move |_| {
                let body = if is_declared {
                    body.clone().into()
                } else {
                    in_chunks(&body)
                };
                let answer = reply(400, body);
                async move { answer }
            })
            .await;
            let gateway = Gateway::start(&vendor).await;
            for method in [Method::GET, Method::PATCH] {
                expect_error(
                    call_method(&gateway, &method).await,
                    Code::InvalidArgument,
                    reason,
                );
            }
        }
    }
}

#[tokio::test]
async fn an_endless_error_body_is_abandoned() {
    let vendor = Vendor::start(async |_| {
        let chunk = Bytes::from(vec![b' '; 64 * 1024]);
        let endless = stream::repeat_with(move || Ok::<_, std::io::Error>(chunk.clone()));
        reply(500, Body::from_stream(endless))
    })
    .await;
    let gateway = Gateway::start(&vendor).await;
    for method in [Method::GET, Method::PATCH] {
        let answer = timeout(Duration::from_secs(20), call_method(&gateway, &method));
        let answer = answer.await.expect("the gateway should stop reading");
        expect_error(answer, Code::Internal, "UPSTREAM_ERROR");
    }
}

#[tokio::test]
async fn the_report_of_a_large_bulk_write_stays_within_the_limit() {
    let vendor = Vendor::start(async |received: crate::support::ReceivedRequest| {
        let first = received.json()[0]["id"].as_str().unwrap().to_owned();
        match first.trim_start_matches('u').parse::<usize>().unwrap() / 50 % 2 {
            0 => reply(200, "[]"),
            _ => reply(
                502,
                json!({"code": "c.d", "message": "\u{1}".repeat(5000)}).to_string(),
            ),
        }
    })
    .await;
    let gateway = Gateway::start(&vendor).await;
    let updates: Vec<_> = (0..2000).map(|n| json!({"id": format!("u{n}")})).collect();
    let answer = call_once(&gateway, "PutUsersPresencesBulk", json!({"body": updates})).await;
    let status = expect_error(answer, Code::Unknown, "OUTCOME_UNKNOWN");
    let size = status.message().len() * 3 + status.details().len().div_ceil(3) * 4;
    assert!(size < 3 * 4096, "{size}");
    assert!(
        status.message().contains("of 2000 updates were applied"),
        "{}",
        status.message()
    );
}
