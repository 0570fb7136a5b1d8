//! A status stays small enough to travel, whatever the vendor sends: a client
//! refuses larger headers, and the status with them.

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

use super::{ask, ask_by};
use crate::support::raw_http::{RawResponse, frame, head, send};
use crate::support::{
    Gateway, Vendor, assert_well_formed, encode, expect_error, method, minimal_request, path, reply,
};

/// A gateway before a vendor that refuses as the test says.
struct Refused {
    gateway: Gateway,
    refusal: Arc<Mutex<(u16, String)>>,
}

impl Refused {
    async fn start() -> Self {
        let refusal = Arc::new(Mutex::new((400, String::new())));
        let next = Arc::clone(&refusal);
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
        Self { gateway, refusal }
    }

    /// The error of an RPC, as it travels, where the vendor refuses like this.
    async fn travelled(&self, rpc: &str, status: u16, body: &Value) -> RawResponse {
        *self.refusal.lock() = (status, body.to_string());
        let method = method(rpc);
        let message = frame(&encode(&method, minimal_request(&method)));
        let call = head(&path(&method)).header("grpc-previous-rpc-attempts", "1");
        send(&self.gateway, call.body(message.into()).unwrap()).await
    }
}

/// Texts that grow on their way, or that are easily cut in two.
fn hostile() -> Vec<String> {
    let unit = [
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
    let mut texts: Vec<String> = unit.iter().map(|unit| unit.repeat(4000)).collect();
    // Every offset of the cut within a character.
    texts.extend((1..12).map(|n| "x".repeat(n) + &"\u{1f355}".repeat(2000)));
    texts
}

#[tokio::test]
async fn message_and_details_are_under_4_kib_whatever_the_vendor_says() {
    let vendor = Refused::start().await;
    for text in hostile() {
        let detail =
            json!({"errorCode": text, "fieldName": text, "entityId": text, "entityName": text});
        let small = text.chars().take(100).collect::<String>();
        let many = vec![json!({"errorCode": small, "fieldName": small}); 200];
        let params = json!({"field": text, "fieldName": small, "property": "\u{1f355}"});
        let limit = json!({"key": text, "namespace": text, "value": i64::MAX});
        for (rpc, status) in [
            ("PutPresenceDefinition", 400),
            ("DeletePresenceDefinition", 403),
            ("PatchUserPresence", 429),
            ("PutUsersPresencesBulk", 400),
            ("PutUsersPresencesBulk", 429),
            ("PostPresenceSources", 502),
        ] {
            // Once with one huge detail, once with many.
            for details in [vec![detail.clone()], many.clone()] {
                let body = json!({
                    "code": text, "message": text, "messageParams": params, "limit": limit,
                    "details": details, "errors": [{"message": text, "details": details}],
                });
                let case = format!("{status} to {rpc} with {:?}...", &text.chars().next());
                let travelled = vendor.travelled(rpc, status, &body).await;
                let size =
                    travelled.size("grpc-message") + travelled.size("grpc-status-details-bin");
                assert!(size <= 4096, "{case}: {size} bytes");
                let refusal = travelled.status();
                assert_well_formed(&refusal);
                let message = refusal.message();
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
async fn a_message_that_is_cut_keeps_its_beginning_to_a_character() {
    let vendor = Refused::start().await;
    for text in hostile() {
        let body = json!({"code": "some.code", "message": text});
        let refusal = vendor
            .travelled("GetPresenceSettings", 400, &body)
            .await
            .status();
        let kept = refusal.message().strip_suffix("...");
        let kept = kept.unwrap_or_else(|| panic!("not marked as cut: {}", refusal.message()));
        assert!(text.starts_with(kept), "{kept:?}");
        assert!(kept.len() > 200, "hardly anything is left: {kept:?}");
    }
    let short = "n\u{f6}t c\u{fc}t: 100%\r\n\u{1f355}";
    let body = json!({"code": "some.code", "message": short});
    let refusal = vendor
        .travelled("GetPresenceSettings", 400, &body)
        .await
        .status();
    assert_eq!(refusal.message(), short);
}

/// An error body of the vendor's of exactly this size.
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
async fn an_error_body_counts_up_to_1_mib_whether_its_size_is_declared_or_not() {
    const MIB: usize = 1024 * 1024;
    for (size, reason) in [(MIB, "SOME_CODE"), (MIB + 1, "UPSTREAM_ERROR")] {
        for declared in [true, false] {
            let body = sized(size);
            assert_eq!(body.len(), size);
            let vendor = Vendor::start(move |_| {
                let body = if declared {
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
                    ask_by(&gateway, &method).await,
                    Code::InvalidArgument,
                    reason,
                );
            }
        }
    }
}

#[tokio::test]
async fn an_error_body_without_an_end_is_given_up() {
    let vendor = Vendor::start(async |_| {
        let chunk = Bytes::from(vec![b' '; 64 * 1024]);
        let endless = stream::repeat_with(move || Ok::<_, std::io::Error>(chunk.clone()));
        reply(500, Body::from_stream(endless))
    })
    .await;
    let gateway = Gateway::start(&vendor).await;
    for method in [Method::GET, Method::PATCH] {
        let answer = timeout(Duration::from_secs(20), ask_by(&gateway, &method));
        let answer = answer.await.expect("the gateway reads on without an end");
        expect_error(answer, Code::Internal, "UPSTREAM_ERROR");
    }
}

#[tokio::test]
async fn a_bulk_write_of_many_batches_says_what_happened_within_the_size() {
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
    let answer = ask(&gateway, "PutUsersPresencesBulk", json!({"body": updates})).await;
    let status = expect_error(answer, Code::Unknown, "OUTCOME_UNKNOWN");
    let size = status.message().len() * 3 + status.details().len().div_ceil(3) * 4;
    assert!(size < 3 * 4096, "{size}");
    assert!(
        status.message().contains("of 2000 updates were applied"),
        "{}",
        status.message()
    );
}
