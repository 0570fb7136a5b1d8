//! A redirect is not followed: it would carry the token to another place.

use axum::response::Response;
use http::Method;
use tonic::Code;
use tonic_types::StatusExt;

use super::{METHODS, ask_by};
use crate::support::{Gateway, Vendor, expect_error, info, metadata};

#[tokio::test]
async fn a_redirect_is_an_error_and_its_target_is_never_contacted() {
    let elsewhere = Vendor::with_response(200, "{}").await;
    for status in [300, 301, 302, 303, 304, 305, 307, 308, 399] {
        for method in METHODS {
            let target = format!("http://{}/stolen", elsewhere.address);
            let vendor = Vendor::start(move |_| {
                let answer = Response::builder()
                    .status(status)
                    .header("location", &target);
                let answer = answer.body(axum::body::Body::empty()).unwrap();
                async move { answer }
            })
            .await;
            let gateway = Gateway::start(&vendor).await;
            let answer = ask_by(&gateway, &method).await;
            let refusal = expect_error(answer, Code::Internal, "UPSTREAM_REDIRECT");
            assert_eq!(
                refusal.get_details_error_info().unwrap().domain,
                "presence-gateway"
            );
            assert_eq!(info(&refusal, "http_status"), Some(status.to_string()));
            assert!(
                refusal.message().contains("upstream URL"),
                "{}",
                refusal.message()
            );
            // The target may hold anything.
            assert!(!format!("{refusal:?}").contains("stolen"), "{refusal:?}");
            assert_eq!(metadata(&refusal, "grpc-retry-pushback-ms"), None);
            vendor.single_request();
        }
    }
    let contacted = elsewhere.received();
    assert!(
        contacted.is_empty(),
        "a redirect was followed: {contacted:#?}"
    );
}

#[tokio::test]
async fn a_redirect_within_the_vendor_is_not_followed_either() {
    let vendor = Vendor::start(async |_| {
        let answer = Response::builder()
            .status(307)
            .header("location", "/api/v2/other");
        answer.body(axum::body::Body::empty()).unwrap()
    })
    .await;
    let gateway = Gateway::start(&vendor).await;
    let answer = ask_by(&gateway, &Method::GET).await;
    expect_error(answer, Code::Internal, "UPSTREAM_REDIRECT");
    vendor.single_request();
}
