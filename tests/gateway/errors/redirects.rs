//! Redirects are not followed: they would send the token to another place.

use axum::response::Response;
use http::Method;
use tonic::Code;
use tonic_types::StatusExt;

use super::{METHODS, call_method};
use crate::support::{Gateway, Vendor, expect_error, info, metadata};

#[tokio::test]
async fn a_redirect_is_an_error_and_its_target_gets_no_request() {
    let target = Vendor::with_response(200, "{}").await;
    for status in [300, 301, 302, 303, 304, 305, 307, 308, 399] {
        for method in METHODS {
            let location = format!("http://{}/stolen", target.address);
            let vendor = Vendor::start(move |_| {
                let answer = Response::builder()
                    .status(status)
                    .header("location", &location);
                let answer = answer.body(axum::body::Body::empty()).unwrap();
                async move { answer }
            })
            .await;
            let gateway = Gateway::start(&vendor).await;
            let answer = call_method(&gateway, &method).await;
            let error = expect_error(answer, Code::Internal, "UPSTREAM_REDIRECT");
            assert_eq!(
                error.get_details_error_info().unwrap().domain,
                "presence-gateway"
            );
            assert_eq!(info(&error, "http_status"), Some(status.to_string()));
            assert!(
                error.message().contains("upstream URL"),
                "{}",
                error.message()
            );
            // The location may hold secrets.
            assert!(!format!("{error:?}").contains("stolen"), "{error:?}");
            assert_eq!(metadata(&error, "grpc-retry-pushback-ms"), None);
            vendor.single_request();
        }
    }
    let received = target.received();
    assert!(
        received.is_empty(),
        "the gateway followed a redirect: {received:#?}"
    );
}

#[tokio::test]
async fn a_redirect_within_the_vendor_is_not_followed() {
    let vendor = Vendor::start(async |_| {
        let answer = Response::builder()
            .status(307)
            .header("location", "/api/v2/other");
        answer.body(axum::body::Body::empty()).unwrap()
    })
    .await;
    let gateway = Gateway::start(&vendor).await;
    let answer = call_method(&gateway, &Method::GET).await;
    expect_error(answer, Code::Internal, "UPSTREAM_REDIRECT");
    vendor.single_request();
}
