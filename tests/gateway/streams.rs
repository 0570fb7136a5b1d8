//! Streaming bulk reads, which have no limit of ids.

mod cancelled;
mod endings;
mod inputs;
mod properties;
mod unanswered;

use std::sync::Arc;
use std::time::Duration;

use axum::response::Response;
use tokio::sync::Semaphore;
use tonic::Code;
use tonic_types::StatusExt;

use crate::support::bulk::{all_presences, ids, presence, start_vendor};
use crate::support::in_flight::{InFlight, gated_vendor};
use crate::support::stream_caller::{ResultsExt, STREAMS, StreamCall, count};
use crate::support::{Gateway, Limits, ReceivedRequest, Vendor, expect_error, reply};

/// The vendor's response: a presence for each id except those that start with
/// `none`.
fn some_presences(received: &ReceivedRequest) -> Response {
    let ids = received.ids();
    let known = ids.iter().filter(|id| !id.starts_with("none"));
    let presences: Vec<_> = known.map(|id| presence(id)).collect();
    reply(200, serde_json::Value::Array(presences).to_string())
}

#[tokio::test]
async fn results_keep_the_order_of_the_ids_in_batches_of_fifty() {
    for stream in STREAMS {
        let vendor = start_vendor(some_presences).await;
        let gateway = Gateway::start(&vendor).await;
        let mut call = StreamCall::open(&gateway, stream).await;
        let requested: Vec<String> = (0..1234)
            .map(|n| match n % 7 {
                3 => format!("none-{n}"),
                _ => format!("user-{n}"),
            })
            .collect();
        // One message, so that every batch is full when it is sent.
        call.send(requested.clone()).await;
        call.close_send();
        let outcome = call.collect().await;
        outcome.status.clone().unwrap();
        let found = requested.iter().filter(|id| id.starts_with("user"));
        assert_eq!(
            outcome.users,
            found.cloned().collect::<Vec<_>>(),
            "{stream}"
        );
        let missing = requested.iter().filter(|id| id.starts_with("none"));
        assert_eq!(outcome.missing, missing.cloned().collect::<Vec<_>>());
        assert_eq!(outcome.progress.received, 1234);
        assert_eq!(outcome.progress.done, count(&outcome.users));
        assert_eq!(outcome.progress.missing, count(&outcome.missing));
        assert_eq!(outcome.progress.failed, 0);
        let received = vendor.received();
        assert!(received.iter().all(|batch| batch.ids().len() <= 50));
        assert_eq!(received.len(), 1234_usize.div_ceil(50), "{stream}");
    }
}

#[tokio::test]
async fn batches_in_flight_reach_but_never_exceed_the_concurrency() {
    for unordered in [false, true] {
        let (flight, gate) = (InFlight::default(), Arc::new(Semaphore::new(0)));
        let vendor = gated_vendor(&flight, &gate, all_presences).await;
        let limits = Limits {
            concurrency: 3,
            ..Limits::default()
        };
        let gateway = Gateway::start_with(&vendor, limits).await;
        let mut call = StreamCall::open(&gateway, STREAMS[1]).await;
        call.send_first(ids(0..1000), unordered).await;
        call.close_send();
        let outcome = tokio::spawn(call.collect());
        for completed in 0..=17 {
            let started = completed + 3;
            let what = format!("{started} batches have started");
            flight
                .wait_until(&what, |counts| counts.started == started)
                .await;
            gate.add_permits(1);
        }
        gate.add_permits(20);
        let outcome = outcome.await.unwrap();
        outcome.status.clone().unwrap();
        assert_eq!(outcome.users.len(), 1000);
        assert_eq!(flight.counts().peak, 3, "{:?}", flight.counts());
    }
}

/// Starts a vendor that responds to the batch of `user-0` when the gate opens,
/// and to others at once.
async fn slow_first_batch(gate: &Arc<Semaphore>) -> Vendor {
    let gate = Arc::clone(gate);
    Vendor::start(move |received| {
        let gate = Arc::clone(&gate);
        async move {
            if received.ids()[0] == "user-0" {
                gate.acquire().await.unwrap().forget();
            }
            all_presences(&received)
        }
    })
    .await
}

#[tokio::test]
async fn a_slow_batch_delays_others_only_in_an_ordered_stream() {
    let gate = Arc::new(Semaphore::new(0));
    let vendor = slow_first_batch(&gate).await;
    let gateway = Gateway::start(&vendor).await;
    let mut call = StreamCall::open(&gateway, STREAMS[1]).await;
    call.send_first(ids(0..150), true).await;
    let first = call.next().await.unwrap();
    let second = call.next().await.unwrap();
    let mut users = [first.users(), second.users()].concat();
    users.sort();
    let mut later = ids(50..150);
    later.sort();
    assert_eq!(users, later, "completed batches come before a pending one");
    assert_eq!(second.progress.unwrap().done, 100);
    gate.add_permits(1);
    assert_eq!(call.next().await.unwrap().users(), ids(0..50));
    call.close_send();
    assert!(call.next().await.is_none());

    let mut call = StreamCall::open(&gateway, STREAMS[1]).await;
    call.send(ids(0..150)).await;
    gate.add_permits(1);
    for batch in 0..3 {
        let results = call.next().await.unwrap();
        assert_eq!(results.users(), ids(batch * 50..batch * 50 + 50));
    }
}

#[tokio::test]
async fn single_ids_get_results_while_the_stream_stays_open() {
    let vendor = start_vendor(all_presences).await;
    let gateway = Gateway::start(&vendor).await;
    let mut call = StreamCall::open(&gateway, STREAMS[0]).await;
    for n in 0..5 {
        call.send(ids(n..n + 1)).await;
        let results = call.next().await.unwrap();
        assert_eq!(results.users(), ids(n..n + 1));
        let progress = results.progress.unwrap();
        assert_eq!(
            (progress.received, progress.done),
            (count(&ids(0..n + 1)), count(&ids(0..n + 1)))
        );
    }
    call.close_send();
    assert!(call.next().await.is_none());
    call.status().await.unwrap();
}

#[tokio::test]
async fn an_id_in_flight_is_not_sent_again_and_a_completed_id_is() {
    let (flight, gate) = (InFlight::default(), Arc::new(Semaphore::new(0)));
    let vendor = gated_vendor(&flight, &gate, all_presences).await;
    let gateway = Gateway::start(&vendor).await;
    let mut call = StreamCall::open(&gateway, STREAMS[1]).await;
    call.send(vec!["a".into(), "B".into(), "A".into()]).await;
    flight
        .wait_until("the batch is sent", |counts| counts.started == 1)
        .await;
    call.send(vec!["b".into(), "a".into(), "c".into()]).await;
    flight
        .wait_until("the new id is sent", |counts| counts.started == 2)
        .await;
    gate.add_permits(2);
    assert_eq!(call.next().await.unwrap().users(), ["a", "B"]);
    assert_eq!(call.next().await.unwrap().users(), ["c"]);
    gate.add_permits(1);
    call.send(vec!["a".into()]).await;
    call.close_send();
    assert_eq!(call.next().await.unwrap().users(), ["a"]);
    let outcome = call.collect().await;
    outcome.status.clone().unwrap();
    let sent: Vec<_> = vendor.received().iter().map(ReceivedRequest::ids).collect();
    assert_eq!(sent, [vec!["a", "B"], vec!["c"], vec!["a"]]);
}

#[tokio::test]
async fn a_failed_batch_reports_each_id_and_others_continue() {
    let vendor = start_vendor(|received| match received.ids()[0].as_str() {
        "user-50" => reply(404, r#"{"code": "not.found", "message": "no"}"#),
        _ => all_presences(received),
    })
    .await;
    let gateway = Gateway::start(&vendor).await;
    let mut call = StreamCall::open(&gateway, STREAMS[1]).await;
    call.send(ids(0..150)).await;
    call.close_send();
    let outcome = call.collect().await;
    outcome.status.clone().unwrap();
    assert_eq!(outcome.users, [ids(0..50), ids(100..150)].concat());
    assert_eq!(outcome.failed_with("NOT_FOUND"), ids(50..100));
    assert_eq!((outcome.progress.done, outcome.progress.failed), (100, 50));
}

#[tokio::test]
async fn a_stream_keeps_the_rate_limit_and_has_no_default_deadline() {
    let vendor = start_vendor(all_presences).await;
    let limits = Limits {
        token_requests: 2,
        default_deadline: Duration::from_millis(30),
        ..Limits::default()
    };
    let gateway = Gateway::start_with(&vendor, limits).await;
    let mut call =
        StreamCall::open_with_deadline(&gateway, STREAMS[1], Some(Duration::from_secs(1))).await;
    call.send(ids(0..150)).await;
    call.close_send();
    // The third request could start in a minute, after the deadline: the stream
    // fails as soon as the batches in flight are complete.
    let outcome = call.collect().await;
    let status = expect_error(
        outcome.status.clone(),
        Code::ResourceExhausted,
        "TOKEN_QUOTA_EXHAUSTED",
    );
    assert!(status.get_details_retry_info().is_some(), "{status:?}");
    assert_eq!(outcome.users, ids(0..100));
    assert_eq!(outcome.failed_with("TOKEN_QUOTA_EXHAUSTED"), ids(100..150));
    assert_eq!(vendor.received().len(), 2);
}

#[tokio::test]
async fn all_streams_within_the_share_of_a_token_complete() {
    // Responses of about 20 KB; all streams together receive hundreds.
    let vendor = start_vendor(|received| {
        let presences = received
            .ids()
            .into_iter()
            .map(|id| serde_json::json!({"userId": id, "message": "x".repeat(400)}));
        let presences = serde_json::Value::Array(presences.collect());
        reply(200, presences.to_string())
    })
    .await;
    let limits = Limits {
        message_memory: 64 << 20,
        ..Limits::default()
    };
    let gateway = Gateway::start_with(&vendor, limits).await;
    let streams = (0..100).map(|_| async {
        let mut call = StreamCall::open(&gateway, STREAMS[1]).await;
        call.send(ids(0..400)).await;
        call.close_send();
        call.collect().await
    });
    for outcome in futures_util::future::join_all(streams).await {
        outcome.status.clone().unwrap();
        assert_eq!(outcome.users.len(), 400, "{:?}", outcome.failures);
    }
}
