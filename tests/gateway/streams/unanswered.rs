//! Batches of a stream without a response: each fails after `--max-deadline`,
//! and the stream continues.

use std::convert::Infallible;
use std::future::pending;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::response::Response;
use futures_util::stream::{self, StreamExt};

use crate::support::bulk::{all_presences, ids};
use crate::support::stream_caller::{ResultsExt, STREAMS, StreamCall};
use crate::support::{Gateway, Limits, ReceivedRequest, Vendor};

/// How the vendor fails to respond.
#[derive(Debug, Clone, Copy)]
enum Fails {
    /// No response.
    Never,
    /// A response that starts and stalls.
    Midway,
}

impl Fails {
    async fn answer(self) -> Response {
        match self {
            Self::Never => pending().await,
            Self::Midway => {
                let begun = stream::iter([Ok::<_, Infallible>(Bytes::from_static(b"[{"))]);
                Response::new(Body::from_stream(begun.chain(stream::pending())))
            }
        }
    }
}

/// Starts a vendor that fails to respond to batches that start with one of
/// `first`.
async fn failing(fails: Fails, first: &'static [&'static str]) -> Vendor {
    Vendor::start(move |received: ReceivedRequest| async move {
        if first.contains(&received.ids()[0].as_str()) {
            return fails.answer().await;
        }
        all_presences(&received)
    })
    .await
}

fn limits(concurrency: usize, share_reads: bool) -> Limits {
    Limits {
        concurrency,
        share_reads,
        default_deadline: Duration::from_secs(2),
        max_deadline: Duration::from_secs(2),
        ..Limits::default()
    }
}

#[tokio::test]
async fn a_batch_without_a_response_fails_and_others_continue() {
    for (fails, share_reads) in [
        (Fails::Never, false),
        (Fails::Midway, false),
        (Fails::Never, true),
    ] {
        let vendor = failing(fails, &["user-50"]).await;
        let gateway = Gateway::start_with(&vendor, limits(2, share_reads)).await;
        let mut call = StreamCall::open(&gateway, STREAMS[1]).await;
        call.send(ids(0..300)).await;
        let mut users = Vec::new();
        let failed = loop {
            let results = call.next().await.expect("results");
            users.extend(results.users());
            if !results.failures.is_empty() {
                break results;
            }
        };
        assert_eq!(users, ids(0..50), "{fails:?}");
        assert_eq!(
            failed.failed(),
            [("DEADLINE_EXCEEDED".to_owned(), ids(50..100))],
            "{fails:?}"
        );
        let status = failed.failures[0].status.as_ref().unwrap();
        assert_eq!(
            status.code,
            tonic::Code::DeadlineExceeded as i32,
            "{status:?}"
        );
        assert!(status.message.contains("--max-deadline"), "{status:?}");
        // The batches behind it, and ids sent later.
        call.send(ids(300..350)).await;
        call.close_send();
        let outcome = call.collect().await;
        outcome.status.clone().unwrap();
        assert_eq!(outcome.users, ids(100..350), "{fails:?}");
        assert_eq!((outcome.progress.done, outcome.progress.failed), (300, 50));
    }
}

#[tokio::test]
async fn batches_without_a_response_do_not_stop_a_stream() {
    let vendor = failing(Fails::Never, &["user-0", "user-50"]).await;
    let gateway = Gateway::start_with(&vendor, limits(2, false)).await;
    let mut call = StreamCall::open(&gateway, STREAMS[0]).await;
    call.send_first(ids(0..200), true).await;
    call.close_send();
    let outcome = call.collect().await;
    outcome.status.clone().unwrap();
    let mut users = outcome.users.clone();
    users.sort();
    let mut answered = ids(100..200);
    answered.sort();
    assert_eq!(users, answered);
    let mut failed = outcome.failed_with("DEADLINE_EXCEEDED");
    failed.sort();
    let mut unanswered = ids(0..100);
    unanswered.sort();
    assert_eq!(failed, unanswered);
}
