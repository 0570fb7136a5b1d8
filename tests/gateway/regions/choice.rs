//! A call goes to the region that its metadata names.

use serde_json::json;

use super::{RPC, call};
use crate::support::bulk::{READ, WRITE, all_presences, ids, start_vendor, updates};
use crate::support::stream_caller::{STREAMS, StreamCall};
use crate::support::{Gateway, Limits, ReceivedRequest, Vendor, reply};

/// A vendor that knows all users, and applies all updates.
async fn vendor() -> Vendor {
    start_vendor(
        |received: &ReceivedRequest| match received.method.as_str() {
            "PUT" => reply(200, "[]"),
            _ if received.path().ends_with("/bulk") => all_presences(received),
            _ => reply(200, "{}"),
        },
    )
    .await
}

/// Asserts that one vendor received `count` requests, and the other one none; forgets
/// them.
#[track_caller]
fn assert_received(by: &Vendor, not_by: &Vendor, count: usize, what: &str) {
    assert_eq!(by.received().len(), count, "{what}");
    assert_eq!(not_by.received().len(), 0, "{what}");
    by.clear();
}

#[tokio::test]
async fn each_spelling_of_a_region_is_understood_and_the_first_is_the_default() {
    let (us, eu) = (vendor().await, vendor().await);
    let regions = [("us-east-1", &us), ("eu-central-1", &eu)];
    let gateway = Gateway::start_regions(&regions, Limits::default()).await;
    let request = || json!({"userId": "u"});
    call(&gateway, RPC, request(), None).await.unwrap();
    assert_received(&us, &eu, 1, "no region");
    for (region, by, not_by) in [
        ("eu-central-1", &eu, &us),
        ("eu_central_1", &eu, &us),
        ("EU-Central-1", &eu, &us),
        ("mypurecloud.de", &eu, &us),
        (" api.MyPureCloud.de ", &eu, &us),
        ("us_east_1", &us, &eu),
        ("mypurecloud.com", &us, &eu),
    ] {
        call(&gateway, RPC, request(), Some(region)).await.unwrap();
        assert_received(by, not_by, 1, region);
    }
}

#[tokio::test]
async fn bulk_reads_bulk_writes_and_streams_choose_a_region_for_all_their_batches() {
    let (us, eu) = (vendor().await, vendor().await);
    let regions = [("us-east-1", &us), ("eu-central-1", &eu)];
    let gateway = Gateway::start_regions(&regions, Limits::default()).await;
    for (rpc, request) in [
        (READ, json!({"id": ids(0..120)})),
        (WRITE, json!({"body": updates(0..120)})),
    ] {
        call(&gateway, rpc, request, Some("eu-central-1"))
            .await
            .unwrap();
        assert_received(&eu, &us, 3, rpc);
    }
    let metadata = [
        ("authorization", "Bearer any"),
        ("genesys-region", "mypurecloud.de"),
    ];
    let mut stream = StreamCall::open_with_metadata(&gateway, STREAMS[1], &metadata)
        .await
        .unwrap();
    stream.send(ids(0..120)).await;
    stream.close_send();
    let outcome = stream.collect().await;
    assert_eq!(outcome.users.len(), 120, "{outcome:?}");
    assert_received(&eu, &us, 3, STREAMS[1]);
}

#[tokio::test]
async fn the_choice_is_not_forwarded() {
    let vendor = vendor().await;
    let gateway = Gateway::start_regions(&[("us-east-1", &vendor)], Limits::default()).await;
    let request = json!({"userId": "u"});
    call(&gateway, RPC, request, Some("us-east-1"))
        .await
        .unwrap();
    let headers = vendor.single_request().headers;
    assert!(!headers.contains_key("genesys-region"), "{headers:?}");
}
