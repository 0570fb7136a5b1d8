//! A region that is not served is an error that names those that are; nothing is sent.

use serde_json::json;
use tonic::{Code, Status};

use super::{RPC, call};
use crate::support::stream_caller::{STREAMS, StreamCall};
use crate::support::{Gateway, Limits, Vendor, expect_error, info};

/// The status of a call that is rejected because of its region.
#[track_caller]
fn rejected<T: std::fmt::Debug>(result: Result<T, Status>) -> Status {
    let status = expect_error(result, Code::InvalidArgument, "REGION_NOT_SERVED");
    assert!(
        status.message().ends_with("; nothing was sent"),
        "{status:?}"
    );
    status
}

#[tokio::test]
async fn a_region_that_is_not_served_is_rejected_with_those_that_are() {
    let vendor = Vendor::with_response(200, "{}").await;
    let regions = [("us-east-1", &vendor), ("eu-central-1", &vendor)];
    let gateway = Gateway::start_regions(&regions, Limits::default()).await;
    for (region, expected) in [
        (
            "eu-west-1",
            "names eu-west-1, which this gateway does not serve",
        ),
        (
            "mypurecloud.ie",
            "names eu-west-1, which this gateway does not serve",
        ),
        (
            "eu-central1",
            "`eu-central1` is no region of Genesys Cloud; did you mean eu-central-1?",
        ),
        (
            "https://apps.mypurecloud.de",
            "`https://apps.mypurecloud.de` is no region of Genesys Cloud; did you mean eu-central-1?",
        ),
        ("mars", "`mars` is no region of Genesys Cloud (it serves"),
        ("", "is empty; leave it out for the default"),
        (
            "us-east-1,us-east-1",
            "names more than one region; send one",
        ),
        (
            "us-east-1, eu-central-1",
            "names more than one region; send one",
        ),
    ] {
        let status = rejected(call(&gateway, RPC, json!({"userId": "u"}), Some(region)).await);
        let message = status.message();
        assert!(message.contains(expected), "{region}: {message}");
        let served = "it serves us-east-1, eu-central-1; the first is the default";
        assert!(message.contains(served), "{region}: {message}");
        let listed = info(&status, "served_regions");
        assert_eq!(listed.as_deref(), Some("us-east-1, eu-central-1"));
    }
    let long = "x".repeat(5000);
    let status = rejected(call(&gateway, RPC, json!({"userId": "u"}), Some(&long)).await);
    assert!(status.message().len() < 300, "{status:?}");

    let metadata = [("authorization", "Bearer any"), ("genesys-region", "mars")];
    let opened = StreamCall::open_with_metadata(&gateway, STREAMS[1], &metadata).await;
    rejected(opened.map(StreamCall::cancel));
    assert_eq!(vendor.received().len(), 0);
}

#[tokio::test]
async fn two_values_are_rejected_even_if_they_are_the_same_region() {
    let vendor = Vendor::with_response(200, "{}").await;
    let gateway = Gateway::start_regions(&[("us-east-1", &vendor)], Limits::default()).await;
    for second in ["us-east-1", "us_east_1", "eu-central-1", ""] {
        let metadata = [
            ("authorization", "Bearer any"),
            ("genesys-region", "us-east-1"),
            ("genesys-region", second),
        ];
        let request = json!({"userId": "u"});
        let status = rejected(gateway.call_with_metadata(RPC, request, &metadata).await);
        let message = status.message();
        assert!(message.contains("names more than one region"), "{message}");
        assert!(message.contains("it serves us-east-1 alone"), "{message}");
    }
    assert_eq!(vendor.received().len(), 0);
}

#[tokio::test]
async fn a_gateway_with_one_upstream_has_no_regions() {
    let vendor = Vendor::with_response(200, "{}").await;
    let gateway = Gateway::start(&vendor).await;
    let request = || json!({"userId": "u"});
    let status = rejected(call(&gateway, RPC, request(), Some("us-east-1")).await);
    let message = status.message();
    assert!(
        message.contains("a single upstream without regions"),
        "{message}"
    );
    assert_eq!(info(&status, "served_regions"), None);
    assert_eq!(vendor.received().len(), 0);
    call(&gateway, RPC, request(), None).await.unwrap();
}

#[tokio::test]
async fn a_call_without_a_token_does_not_learn_the_regions() {
    let vendor = Vendor::with_response(200, "{}").await;
    let gateway = Gateway::start_regions(&[("us-east-1", &vendor)], Limits::default()).await;
    let metadata = [("genesys-region", "mars")];
    let called = gateway.call_with_metadata(RPC, json!({"userId": "u"}), &metadata);
    let status = expect_error(called.await, Code::Unauthenticated, "MISSING_TOKEN");
    assert!(!format!("{status:?}").contains("us-east-1"), "{status:?}");
}
