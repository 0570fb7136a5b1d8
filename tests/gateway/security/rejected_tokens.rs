//! A malformed token is rejected with the remedy, and without an upstream call.

use std::sync::Arc;

use http::HeaderValue;
use serde_json::json;
use tokio::sync::Notify;
use tonic::Code;
use tonic_types::StatusExt;

use crate::support::raw_http::{RawResponse, frame, head, send};
use crate::support::{Gateway, Vendor, encode, expect_error, method, minimal_request, path, reply};

/// Makes a call with exactly these `authorization` headers.
async fn call(gateway: &Gateway, rpc: &str, authorization: &[&[u8]]) -> RawResponse {
    let method = method(rpc);
    let message = frame(&encode(&method, minimal_request(&method)));
    let mut call = head(&path(&method)).body(message.into()).unwrap();
    call.headers_mut().remove("authorization");
    for value in authorization {
        let value = HeaderValue::from_bytes(value).unwrap();
        call.headers_mut().append("authorization", value);
    }
    send(gateway, call).await
}

const RPCS: [&str; 4] = [
    "GetUserPresencesPurecloud",
    "PatchUserPresencesPurecloud",
    "GetUsersPresencesPurecloudBulk",
    "PutUsersPresencesBulk",
];

#[tokio::test]
async fn anything_but_one_bearer_token_is_rejected_without_an_upstream_call() {
    let vendor = Vendor::with_response(200, "{}").await;
    let gateway = Gateway::start(&vendor).await;
    let cases: [(&str, &[&[u8]]); 20] = [
        ("MISSING_TOKEN", &[]),
        ("MALFORMED_TOKEN", &[b"Bearer s3cret", b"Bearer s3cret"]),
        (
            "MALFORMED_TOKEN",
            &[b"Bearer s3cret", b"Bearer other-s3cret"],
        ),
        ("MALFORMED_TOKEN", &[b"Bearer s3cret", b""]),
        (
            "MALFORMED_TOKEN",
            &[b"Basic s3cret", b"Bearer s3cret", b"Bearer s3cret"],
        ),
        ("MALFORMED_TOKEN", &[b""]),
        ("MALFORMED_TOKEN", &[b"Bearer"]),
        ("MALFORMED_TOKEN", &[b"Bearer "]),
        ("MALFORMED_TOKEN", &[b"Bearer     "]),
        ("MALFORMED_TOKEN", &[b"Basic s3cret"]),
        ("MALFORMED_TOKEN", &[b"s3cret"]),
        ("MALFORMED_TOKEN", &[b"Bearers3cret"]),
        ("MALFORMED_TOKEN", &[b"Bearer:s3cret"]),
        ("MALFORMED_TOKEN", &[b"Bearer\ts3cret"]),
        ("MALFORMED_TOKEN", &[b"Bearer s3cret s3cret"]),
        ("MALFORMED_TOKEN", &[b"Bearer s3cret, Bearer s3cret"]),
        ("MALFORMED_TOKEN", &[b"Bearer s3cret\ts3cret"]),
        ("MALFORMED_TOKEN", &[b"Bearer s3cret\xff"]),
        ("MALFORMED_TOKEN", &[b"Bearer s3cr\xc3\xa9t"]),
        ("MALFORMED_TOKEN", &["\u{1f511} s3cret".as_bytes()]),
    ];
    for (reason, authorization) in cases {
        for rpc in RPCS {
            let result = call(&gateway, rpc, authorization).await.result();
            let status = expect_error(result, Code::Unauthenticated, reason);
            let info = status.get_details_error_info().unwrap();
            assert_eq!(info.domain, "presence-gateway");
            let message = status.message();
            assert!(
                message.contains("`authorization"),
                "{authorization:?}: {message}"
            );
            assert!(
                message.contains("must be") || message.contains("send"),
                "{authorization:?}: {message}"
            );
            assert!(!format!("{status:?}").contains("s3cr"), "{status:?}");
        }
    }
    let sent = vendor.received();
    assert!(sent.is_empty(), "{sent:#?}");
}

#[tokio::test]
async fn a_huge_token_is_rejected_and_disturbs_no_other_call() {
    let (arrived, release) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (arrive, released) = (Arc::clone(&arrived), Arc::clone(&release));
    let vendor = Vendor::start(move |_| {
        let (arrive, released) = (Arc::clone(&arrive), Arc::clone(&released));
        async move {
            arrive.notify_one();
            released.notified().await;
            reply(200, "{}")
        }
    })
    .await;
    let gateway = Gateway::start(&vendor).await;
    let other = gateway.clone();
    let other = tokio::spawn(async move { other.call(RPCS[0], json!({"userId": "u"})).await });
    arrived.notified().await;
    for kib in [17, 32, 64] {
        let huge = format!("Bearer {}", "s3cret".repeat(kib * 1024 / 6));
        // On the connection of the other call.
        let metadata = [("authorization", huge.as_str())];
        let result = gateway
            .call_with_metadata(RPCS[0], json!({"userId": "u"}), &metadata)
            .await;
        let status = expect_error(result, Code::Unauthenticated, "MALFORMED_TOKEN");
        assert!(status.message().contains("16 KiB"), "{}", status.message());
        assert!(!format!("{status:?}").contains("s3cret"), "{status:?}");
    }
    assert_eq!(vendor.received().len(), 1);
    release.notify_one();
    other.await.unwrap().expect("the other call failed");
}

#[tokio::test]
async fn a_token_that_the_vendor_rejects_is_unauthenticated() {
    let body = json!({"code": "bad.credentials", "message": "Invalid login credentials."});
    let vendor = Vendor::with_response(401, body.to_string()).await;
    let gateway = Gateway::start(&vendor).await;
    for rpc in RPCS {
        let result = call(&gateway, rpc, &[b"Bearer s3cret"]).await.result();
        let status = expect_error(result, Code::Unauthenticated, "BAD_CREDENTIALS");
        assert_eq!(
            status.get_details_error_info().unwrap().domain,
            "genesys.cloud"
        );
        assert!(!format!("{status:?}").contains("s3cret"), "{status:?}");
    }
}

#[tokio::test]
async fn an_error_of_the_gateway_never_holds_the_token() {
    for (status, body) in [
        (200, "["),
        (302, ""),
        (404, ""),
        (500, "<html>"),
        (502, ""),
        (504, ""),
    ] {
        let vendor = Vendor::with_response(status, body).await;
        let gateway = Gateway::start(&vendor).await;
        for rpc in RPCS {
            let result = call(&gateway, rpc, &[b"Bearer s3cret"]).await.result();
            let status = result.unwrap_err();
            assert!(!format!("{status:?}").contains("s3cret"), "{status:?}");
        }
    }
}
