//! What callers send into streams that is not as it should be.

use presence_gateway::proto::v1::StreamProgress;
use tonic::Code;

use crate::support::bulk::{all, ids, vendor};
use crate::support::stream_caller::{STREAMS, Said, Stream, count};
use crate::support::{Gateway, Limits, Received, Vendor, refused, violations};

async fn gateway() -> (Vendor, Gateway) {
    let vendor = vendor(all).await;
    let gateway = Gateway::before(&vendor).await;
    (vendor, gateway)
}

#[tokio::test]
async fn a_stream_without_ids_is_answered_with_counts_of_nothing() {
    let (vendor, gateway) = gateway().await;
    for stream in STREAMS {
        for messages in [0, 1] {
            let mut call = Stream::open(&gateway, stream).await;
            for _ in 0..messages {
                call.ask(Vec::new()).await;
            }
            call.ask_no_more();
            let only = call.next().await.expect("the counts");
            assert_eq!(only.progress, Some(StreamProgress::default()));
            assert!(call.next().await.is_none());
            call.status().await.unwrap();
        }
    }
    assert_eq!(vendor.received().len(), 0);
}

#[tokio::test]
async fn the_same_id_a_hundred_thousand_times_is_asked_a_few_times() {
    let (vendor, gateway) = gateway().await;
    let mut call = Stream::open(&gateway, STREAMS[1]).await;
    for _ in 0..20 {
        call.ask(vec!["a".to_owned(); 5000]).await;
    }
    call.ask_no_more();
    let told = call.all().await;
    told.status.clone().unwrap();
    let progress = told.progress;
    assert_eq!(progress.received, 100_000);
    assert_eq!(progress.done + progress.duplicates, 100_000);
    assert_eq!(progress.done, count(&vendor.received()));
    assert_eq!(count(&told.users), progress.done);
    assert!(progress.done <= 20, "{progress:?}");
}

#[tokio::test]
async fn an_id_that_cannot_be_asked_fails_alone_and_is_named() {
    let (vendor, gateway) = gateway().await;
    let mut call = Stream::open(&gateway, STREAMS[1]).await;
    let long = "x".repeat(257);
    let asked = ["a", "", "b,c", "d", &long, "."].map(str::to_owned);
    call.ask(asked.to_vec()).await;
    call.ask(vec!["after".into()]).await;
    call.ask_no_more();
    let told = call.all().await;
    told.status.clone().unwrap();
    assert_eq!(told.users, ["a", "d", ".", "after"]);
    assert_eq!(told.failed_with("INVALID_REQUEST"), ["", "b,c", &long]);
    assert_eq!((told.progress.failed, told.progress.done), (3, 4));
    let asked: Vec<_> = vendor.received().iter().flat_map(Received::ids).collect();
    assert_eq!(asked, ["a", "d", ".", "after"]);
}

#[tokio::test]
async fn a_message_of_too_many_ids_ends_the_stream_and_says_so() {
    let vendor = vendor(all).await;
    let limits = Limits {
        max_ids: 100,
        ..Limits::default()
    };
    let gateway = Gateway::with(&vendor, limits).await;
    let mut call = Stream::open(&gateway, STREAMS[1]).await;
    call.ask(ids(0..50)).await;
    assert_eq!(call.next().await.unwrap().users(), ids(0..50));
    call.ask(ids(50..151)).await;
    call.ask(ids(151..200)).await;
    let status = refused(
        call.status().await,
        Code::InvalidArgument,
        "INVALID_REQUEST",
    );
    assert_eq!(violations(&status), ["ids"]);
    assert!(status.message().contains("--max-bulk-ids"), "{status:?}");
    assert_eq!(
        vendor.received().len(),
        1,
        "what comes after an error is not read"
    );
}

#[tokio::test]
async fn a_message_that_is_too_large_is_refused_by_its_size() {
    let (_vendor, gateway) = gateway().await;
    let mut call = Stream::open(&gateway, STREAMS[1]).await;
    call.ask(vec!["x".repeat(300 * 1024)]).await;
    let status = refused(
        call.status().await,
        Code::ResourceExhausted,
        "MESSAGE_TOO_LARGE",
    );
    assert!(status.message().contains("262144"), "{status:?}");
}

#[tokio::test]
async fn bytes_that_are_no_message_end_the_stream() {
    let (_vendor, gateway) = gateway().await;
    let mut call = Stream::open(&gateway, STREAMS[1]).await;
    call.ask(ids(0..1)).await;
    assert_eq!(call.next().await.unwrap().users(), ids(0..1));
    call.ask_raw(vec![0xff; 20]).await;
    refused(call.status().await, Code::Internal, "MALFORMED_REQUEST");
}

#[tokio::test]
async fn the_source_is_needed_first_and_cannot_be_changed() {
    let (vendor, gateway) = gateway().await;
    for wrong in ["", ".", ".."] {
        let mut call = Stream::open(&gateway, STREAMS[0]).await;
        call.ask_at(wrong, ids(0..3), false).await;
        let status = refused(
            call.status().await,
            Code::InvalidArgument,
            "INVALID_REQUEST",
        );
        assert_eq!(violations(&status), ["source_id"], "{wrong:?}");
    }
    assert_eq!(vendor.received().len(), 0);
    let mut call = Stream::open(&gateway, STREAMS[0]).await;
    call.ask_at("a/b", ids(0..1), false).await;
    call.ask_at("", ids(1..2), false).await;
    call.ask_at("a/b", ids(2..3), false).await;
    call.ask_no_more();
    assert_eq!(call.all().await.users, ids(0..3));
    assert!(
        vendor
            .received()
            .iter()
            .all(|each| each.path().contains("/a%2Fb/"))
    );
    let mut call = Stream::open(&gateway, STREAMS[0]).await;
    call.ask_at("a/b", ids(0..1), false).await;
    call.ask_at("c", ids(1..2), false).await;
    let status = refused(
        call.status().await,
        Code::InvalidArgument,
        "INVALID_REQUEST",
    );
    assert_eq!(violations(&status), ["source_id"]);
}

#[tokio::test]
async fn the_order_is_settled_by_the_first_message() {
    let (_vendor, gateway) = gateway().await;
    let mut call = Stream::open(&gateway, STREAMS[1]).await;
    call.begin(ids(0..1), false).await;
    call.begin(ids(1..2), true).await;
    let status = refused(
        call.status().await,
        Code::InvalidArgument,
        "INVALID_REQUEST",
    );
    assert_eq!(violations(&status), ["unordered"]);
    let mut call = Stream::open(&gateway, STREAMS[1]).await;
    call.begin(ids(0..1), true).await;
    call.begin(ids(1..2), false).await;
    call.ask_no_more();
    call.status().await.unwrap();
}

#[tokio::test]
async fn a_stream_without_a_token_is_refused_before_anything_is_read() {
    let (_vendor, gateway) = gateway().await;
    for (token, reason) in [
        (None, "MISSING_TOKEN"),
        (Some("Basic x"), "MALFORMED_TOKEN"),
    ] {
        let opened = Stream::opened(&gateway, STREAMS[1], None, token).await;
        let status = match opened {
            Err(status) => Err(status),
            Ok(call) => call.status().await,
        };
        refused(status, Code::Unauthenticated, reason);
    }
}
