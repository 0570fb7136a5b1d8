//! Batches of a stream that are never answered: each has `--max-deadline`, and
//! the rest of the stream goes on.

use std::convert::Infallible;
use std::future::pending;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::response::Response;
use futures_util::stream::{self, StreamExt};

use crate::support::bulk::{all_presences, ids};
use crate::support::stream_caller::{ResultsExt, STREAMS, StreamCall};
use crate::support::{Gateway, Limits, ReceivedRequest, Vendor};

/// How the vendor fails to answer.
#[derive(Debug, Clone, Copy)]
enum Fails {
    /// Nothing comes at all.
    Never,
    /// The answer begins, and does not go on.
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

/// A vendor that fails to answer batches that begin with one of `first`.
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
async fn a_batch_that_is_never_answered_is_told_and_the_rest_goes_on() {
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
            let results = call.next().await.expect("the stream should not end");
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
        // Those behind it, and what is asked for later.
        call.send(ids(300..350)).await;
        call.close_send();
        let told = call.collect().await;
        told.status.clone().unwrap();
        assert_eq!(told.users, ids(100..350), "{fails:?}");
        assert_eq!((told.progress.done, told.progress.failed), (300, 50));
    }
}

#[tokio::test]
async fn as_many_batches_without_an_answer_as_are_sent_at_once_do_not_stop_a_stream() {
    let vendor = failing(Fails::Never, &["user-0", "user-50"]).await;
    let gateway = Gateway::start_with(&vendor, limits(2, false)).await;
    let mut call = StreamCall::open(&gateway, STREAMS[0]).await;
    call.send_first(ids(0..200), true).await;
    call.close_send();
    let told = call.collect().await;
    told.status.clone().unwrap();
    let mut users = told.users.clone();
    users.sort();
    let mut answered = ids(100..200);
    answered.sort();
    assert_eq!(users, answered);
    let mut failed = told.failed_with("DEADLINE_EXCEEDED");
    failed.sort();
    let mut unanswered = ids(0..100);
    unanswered.sort();
    assert_eq!(failed, unanswered);
}
