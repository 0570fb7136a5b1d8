//! Invalid and unusual messages in streams.

use presence_gateway::proto::v1::StreamProgress;
use tonic::Code;

use crate::support::bulk::{all_presences, ids, start_vendor};
use crate::support::stream_caller::{ResultsExt, STREAMS, StreamCall, count};
use crate::support::{Gateway, Limits, ReceivedRequest, Vendor, expect_error, violations};

async fn gateway() -> (Vendor, Gateway) {
    let vendor = start_vendor(all_presences).await;
    let gateway = Gateway::start(&vendor).await;
    (vendor, gateway)
}

#[tokio::test]
async fn a_stream_without_ids_returns_zero_counts() {
    let (vendor, gateway) = gateway().await;
    for stream in STREAMS {
        for messages in [0, 1] {
            let mut call = StreamCall::open(&gateway, stream).await;
            for _ in 0..messages {
                call.send(Vec::new()).await;
            }
            call.close_send();
            let only = call.next().await.expect("a progress");
            assert_eq!(only.progress, Some(StreamProgress::default()));
            assert!(call.next().await.is_none());
            call.status().await.unwrap();
        }
    }
    assert_eq!(vendor.received().len(), 0);
}

#[tokio::test]
async fn an_id_repeated_a_hundred_thousand_times_is_sent_a_few_times() {
    let (vendor, gateway) = gateway().await;
    let mut call = StreamCall::open(&gateway, STREAMS[1]).await;
    for _ in 0..20 {
        call.send(vec!["a".to_owned(); 5000]).await;
    }
    call.close_send();
    let outcome = call.collect().await;
    outcome.status.clone().unwrap();
    let progress = outcome.progress;
    assert_eq!(progress.received, 100_000);
    assert_eq!(progress.done + progress.duplicates, 100_000);
    assert_eq!(progress.done, count(&vendor.received()));
    assert_eq!(count(&outcome.users), progress.done);
    assert!(progress.done <= 20, "{progress:?}");
}

#[tokio::test]
async fn an_invalid_id_fails_alone() {
    let (vendor, gateway) = gateway().await;
    let mut call = StreamCall::open(&gateway, STREAMS[1]).await;
    let long = "x".repeat(257);
    let requested = ["a", "", "b,c", "d", &long, "."].map(str::to_owned);
    call.send(requested.to_vec()).await;
    call.send(vec!["after".into()]).await;
    call.close_send();
    let outcome = call.collect().await;
    outcome.status.clone().unwrap();
    assert_eq!(outcome.users, ["a", "d", ".", "after"]);
    assert_eq!(outcome.failed_with("INVALID_REQUEST"), ["", "b,c", &long]);
    assert_eq!((outcome.progress.failed, outcome.progress.done), (3, 4));
    let sent: Vec<_> = vendor
        .received()
        .iter()
        .flat_map(ReceivedRequest::ids)
        .collect();
    assert_eq!(sent, ["a", "d", ".", "after"]);
}

#[tokio::test]
async fn a_message_with_too_many_ids_ends_the_stream() {
    let vendor = start_vendor(all_presences).await;
    let limits = Limits {
        max_ids: 100,
        ..Limits::default()
    };
    let gateway = Gateway::start_with(&vendor, limits).await;
    let mut call = StreamCall::open(&gateway, STREAMS[1]).await;
    call.send(ids(0..50)).await;
    assert_eq!(call.next().await.unwrap().users(), ids(0..50));
    call.send(ids(50..151)).await;
    call.send(ids(151..200)).await;
    let status = expect_error(
        call.status().await,
        Code::InvalidArgument,
        "INVALID_REQUEST",
    );
    assert_eq!(violations(&status), ["ids"]);
    assert!(status.message().contains("--max-bulk-ids"), "{status:?}");
    assert_eq!(
        vendor.received().len(),
        1,
        "no message is read after an error"
    );
}

#[tokio::test]
async fn a_message_that_is_too_large_is_rejected_by_its_size() {
    let (_vendor, gateway) = gateway().await;
    let mut call = StreamCall::open(&gateway, STREAMS[1]).await;
    call.send(vec!["x".repeat(300 * 1024)]).await;
    let status = expect_error(
        call.status().await,
        Code::ResourceExhausted,
        "MESSAGE_TOO_LARGE",
    );
    assert!(status.message().contains("262144"), "{status:?}");
}

#[tokio::test]
async fn a_malformed_message_ends_the_stream() {
    let (_vendor, gateway) = gateway().await;
    let mut call = StreamCall::open(&gateway, STREAMS[1]).await;
    call.send(ids(0..1)).await;
    assert_eq!(call.next().await.unwrap().users(), ids(0..1));
    call.send_raw(vec![0xff; 20]).await;
    expect_error(call.status().await, Code::Internal, "MALFORMED_REQUEST");
}

#[tokio::test]
async fn the_first_message_needs_a_source_and_later_ones_cannot_change_it() {
    let (vendor, gateway) = gateway().await;
    for wrong in ["", ".", ".."] {
        let mut call = StreamCall::open(&gateway, STREAMS[0]).await;
        call.send_for_source(wrong, ids(0..3), false).await;
        let status = expect_error(
            call.status().await,
            Code::InvalidArgument,
            "INVALID_REQUEST",
        );
        assert_eq!(violations(&status), ["source_id"], "{wrong:?}");
    }
    assert_eq!(vendor.received().len(), 0);
    let mut call = StreamCall::open(&gateway, STREAMS[0]).await;
    call.send_for_source("a/b", ids(0..1), false).await;
    call.send_for_source("", ids(1..2), false).await;
    call.send_for_source("a/b", ids(2..3), false).await;
    call.close_send();
    assert_eq!(call.collect().await.users, ids(0..3));
    assert!(
        vendor
            .received()
            .iter()
            .all(|each| each.path().contains("/a%2Fb/"))
    );
    let mut call = StreamCall::open(&gateway, STREAMS[0]).await;
    call.send_for_source("a/b", ids(0..1), false).await;
    call.send_for_source("c", ids(1..2), false).await;
    let status = expect_error(
        call.status().await,
        Code::InvalidArgument,
        "INVALID_REQUEST",
    );
    assert_eq!(violations(&status), ["source_id"]);
}

#[tokio::test]
async fn only_the_first_message_chooses_the_order() {
    let (_vendor, gateway) = gateway().await;
    let mut call = StreamCall::open(&gateway, STREAMS[1]).await;
    call.send_first(ids(0..1), false).await;
    call.send_first(ids(1..2), true).await;
    let status = expect_error(
        call.status().await,
        Code::InvalidArgument,
        "INVALID_REQUEST",
    );
    assert_eq!(violations(&status), ["unordered"]);
    let mut call = StreamCall::open(&gateway, STREAMS[1]).await;
    call.send_first(ids(0..1), true).await;
    call.send_first(ids(1..2), false).await;
    call.close_send();
    call.status().await.unwrap();
}

#[tokio::test]
async fn a_stream_without_a_token_is_rejected_unread() {
    let (_vendor, gateway) = gateway().await;
    for (token, reason) in [
        (None, "MISSING_TOKEN"),
        (Some("Basic x"), "MALFORMED_TOKEN"),
    ] {
        let opened = StreamCall::try_open(&gateway, STREAMS[1], None, token).await;
        let status = match opened {
            Err(status) => Err(status),
            Ok(call) => call.status().await,
        };
        expect_error(status, Code::Unauthenticated, reason);
    }
}
