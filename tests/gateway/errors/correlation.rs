//! The vendor's correlation id, by which its support finds a call.

use axum::response::Response;
use http::Method;
use serde_json::json;
use tonic_types::StatusExt;

use super::{METHODS, call_method};
use crate::support::{CORRELATION_ID, Gateway, Vendor, metadata, reply};

/// Makes a call and returns the correlation id of its metadata. Asserts that the
/// details of an error hold the same.
async fn correlation_id(vendor: &Vendor, method: &Method) -> Option<String> {
    let gateway = Gateway::start(vendor).await;
    match call_method(&gateway, method).await {
        Ok(answer) => {
            let id = answer.metadata.get("inin-correlation-id");
            id.map(|id| id.to_str().unwrap().to_owned())
        }
        Err(status) => {
            let id = metadata(&status, "inin-correlation-id").map(str::to_owned);
            let info = status.get_details_request_info();
            assert_eq!(info.map(|info| info.request_id), id, "{status:?}");
            id
        }
    }
}

/// A vendor that responds with a correlation id in its header, in its body, or both.
async fn vendor(status: u16, header: Option<&'static [u8]>, context_id: Option<&str>) -> Vendor {
    let mut body = json!({"code": "some.code", "message": "m"});
    if let Some(id) = context_id {
        body["contextId"] = id.into();
    }
    let body = body.to_string();
    Vendor::start(move |_| {
        let answer = Response::builder().status(status);
        let answer = match header {
            Some(id) => answer.header("ININ-Correlation-Id", id),
            None => answer,
        };
        let answer = answer.body(body.clone().into()).unwrap();
        async move { answer }
    })
    .await
}

#[tokio::test]
async fn a_success_and_every_kind_of_error_have_the_correlation_id() {
    for method in METHODS {
        for (status, body) in [
            (200, "{}"),
            (302, ""),
            (400, "{}"),
            (404, ""),
            (429, ""),
            (500, "<html>"),
            (502, ""),
            (504, ""),
        ] {
            let vendor = Vendor::with_response(status, body).await;
            let id = correlation_id(&vendor, &method).await;
            assert_eq!(
                id.as_deref(),
                Some(CORRELATION_ID),
                "{status} to a {method}"
            );
        }
        if method != Method::DELETE {
            let unreadable = Vendor::with_response(200, "[").await;
            let id = correlation_id(&unreadable, &method).await;
            assert_eq!(
                id.as_deref(),
                Some(CORRELATION_ID),
                "an unreadable response to a {method}"
            );
        }
    }
}

#[tokio::test]
async fn the_id_comes_from_the_header_or_else_from_the_error_body() {
    for method in METHODS {
        for status in [400, 404, 429, 500, 502, 503, 504] {
            let case = format!("{status} to a {method}");
            let both = vendor(status, Some(b"header"), Some("body")).await;
            assert_eq!(
                correlation_id(&both, &method).await.as_deref(),
                Some("header"),
                "{case}"
            );
            let body = vendor(status, None, Some("body")).await;
            assert_eq!(
                correlation_id(&body, &method).await.as_deref(),
                Some("body"),
                "{case}"
            );
            let neither = vendor(status, None, None).await;
            assert_eq!(correlation_id(&neither, &method).await, None, "{case}");
        }
    }
}

#[tokio::test]
async fn an_id_that_is_invalid_in_metadata_is_dropped() {
    static LONG: [u8; 129] = [b'x'; 129];
    let long = "x".repeat(129);
    for invalid in [&b""[..], b"\xc3\xa9", b"\xff", b"a\tb", &LONG] {
        for status in [200, 400] {
            let header = vendor(status, Some(invalid), None).await;
            let id = correlation_id(&header, &Method::GET).await;
            assert_eq!(id, None, "{status} with the header {invalid:?}");
        }
        let header = vendor(400, Some(invalid), Some("body")).await;
        let id = correlation_id(&header, &Method::GET).await;
        assert_eq!(id.as_deref(), Some("body"), "with the header {invalid:?}");
    }
    for invalid in ["", "\u{e9}", "a\r\nb", "a\0b", "a\tb", "\u{1f355}", &long] {
        let body = vendor(400, None, Some(invalid)).await;
        let id = correlation_id(&body, &Method::GET).await;
        assert_eq!(id, None, "with the contextId {invalid:?}");
    }
    let longest = "x".repeat(128);
    let body = vendor(400, None, Some(&longest)).await;
    assert_eq!(correlation_id(&body, &Method::GET).await, Some(longest));
}

#[tokio::test]
async fn a_call_that_never_reached_the_vendor_has_no_correlation_id() {
    let vendor = Vendor::start(async |_| reply(200, "{}")).await;
    let gateway = Gateway::start(&vendor).await;
    let status = gateway
        .call("GetUserPresencesPurecloud", json!({"userId": ""}))
        .await
        .unwrap_err();
    assert_eq!(metadata(&status, "inin-correlation-id"), None);
    assert!(status.get_details_request_info().is_none());
}
