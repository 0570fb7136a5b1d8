//! Streams that end early: the results name every id received, and no request
//! outlives its stream.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, oneshot};
use tonic::Code;
use tonic::transport::Endpoint;

use crate::lifecycle::drain::assert_stops_soon;
use crate::support::bulk::{all_presences, ids, start_vendor};
use crate::support::in_flight::{InFlight, gated_vendor, wait_for};
use crate::support::stream_caller::{ResultsExt, STREAMS, StreamCall};
use crate::support::{Gateway, Limits, Vendor, expect_error, reply};

fn sorted(mut ids: Vec<String>) -> Vec<String> {
    ids.sort();
    ids
}

fn closed_gate() -> (InFlight, Arc<Semaphore>) {
    (InFlight::default(), Arc::new(Semaphore::new(0)))
}

#[tokio::test]
async fn an_expired_deadline_reports_the_ids_not_read() {
    let (flight, gate) = closed_gate();
    let vendor = gated_vendor(&flight, &gate, all_presences).await;
    let limits = Limits {
        concurrency: 2,
        ..Limits::default()
    };
    let gateway = Gateway::start_with(&vendor, limits).await;
    let time = Some(Duration::from_millis(800));
    let mut call = StreamCall::open_with_deadline(&gateway, STREAMS[1], time).await;
    gate.add_permits(1);
    call.send(ids(0..333)).await;
    let outcome = call.collect().await;
    expect_error(
        outcome.status.clone(),
        Code::DeadlineExceeded,
        "DEADLINE_EXCEEDED",
    );
    assert_eq!(outcome.users.len(), 50);
    assert_eq!(outcome.failed_with("DEADLINE_EXCEEDED").len(), 283);
    assert_eq!(outcome.ids(), sorted(ids(0..333)));
    assert_eq!(
        (outcome.progress.received, outcome.progress.failed),
        (333, 283)
    );
    flight
        .wait_until("all requests are abandoned", |counts| counts.pending == 0)
        .await;
    assert_eq!(flight.counts().started, 3);
}

#[tokio::test]
async fn a_rejected_token_ends_the_stream_and_reports_the_ids_not_read() {
    let vendor = start_vendor(|received| match received.ids()[0].as_str() {
        "user-50" => reply(401, r#"{"code": "bad.credentials", "message": "no"}"#),
        _ => all_presences(received),
    })
    .await;
    let limits = Limits {
        concurrency: 1,
        ..Limits::default()
    };
    let gateway = Gateway::start_with(&vendor, limits).await;
    let mut call = StreamCall::open(&gateway, STREAMS[0]).await;
    call.send(ids(0..500)).await;
    let outcome = call.collect().await;
    expect_error(
        outcome.status.clone(),
        Code::Unauthenticated,
        "BAD_CREDENTIALS",
    );
    assert_eq!(outcome.users, ids(0..50));
    assert_eq!(
        sorted(outcome.failed_with("BAD_CREDENTIALS")),
        sorted(ids(50..500))
    );
    assert_eq!(
        vendor.received().len(),
        2,
        "no request follows a rejected token"
    );
}

#[tokio::test]
async fn a_stream_without_messages_ends_after_the_idle_timeout() {
    let vendor = start_vendor(all_presences).await;
    let limits = Limits {
        stream_idle: Duration::from_millis(300),
        ..Limits::default()
    };
    let gateway = Gateway::start_with(&vendor, limits).await;
    // No message.
    let call = StreamCall::open(&gateway, STREAMS[1]).await;
    expect_error(call.status().await, Code::Aborted, "STREAM_IDLE");
    assert_eq!(vendor.received().len(), 0);
    // One message, then none.
    let mut call = StreamCall::open(&gateway, STREAMS[1]).await;
    call.send(ids(0..1)).await;
    let outcome = call.collect().await;
    expect_error(outcome.status.clone(), Code::Aborted, "STREAM_IDLE");
    assert_eq!(outcome.users, ids(0..1));
}

#[tokio::test]
async fn a_slow_vendor_does_not_make_a_stream_idle() {
    let (flight, gate) = closed_gate();
    let vendor = gated_vendor(&flight, &gate, all_presences).await;
    let limits = Limits {
        stream_idle: Duration::from_millis(100),
        ..Limits::default()
    };
    let gateway = Gateway::start_with(&vendor, limits).await;
    let mut call = StreamCall::open(&gateway, STREAMS[1]).await;
    call.send(ids(0..1)).await;
    flight
        .wait_until("the request arrives", |counts| counts.started == 1)
        .await;
    // An idle stream that ends proves that the timeout has passed.
    let other = StreamCall::open(&gateway, STREAMS[1]).await;
    expect_error(other.status().await, Code::Aborted, "STREAM_IDLE");
    gate.add_permits(1);
    call.close_send();
    let outcome = call.collect().await;
    outcome.status.unwrap();
    assert_eq!(outcome.users, ids(0..1));
}

#[tokio::test]
async fn a_cancelled_stream_abandons_its_requests() {
    let (flight, gate) = closed_gate();
    let vendor = gated_vendor(&flight, &gate, all_presences).await;
    let limits = Limits {
        concurrency: 4,
        max_in_flight: 1,
        ..Limits::default()
    };
    let gateway = Gateway::start_with(&vendor, limits).await;
    let mut call = StreamCall::open(&gateway, STREAMS[1]).await;
    call.send(ids(0..1000)).await;
    flight
        .wait_until("four batches are sent", |counts| counts.pending == 4)
        .await;
    drop(call);
    flight
        .wait_until("they are abandoned", |counts| counts.abandoned == 4)
        .await;
    assert_eq!(flight.counts().started, 4);
    // Its permit is free for another stream.
    gate.add_permits(9);
    loop {
        match StreamCall::try_open(&gateway, STREAMS[1], None, Some("Bearer other")).await {
            Ok(mut call) => {
                call.send(ids(0..1)).await;
                call.close_send();
                break call.status().await.unwrap();
            }
            Err(status) => assert_eq!(status.code(), Code::Unavailable, "{status:?}"),
        }
    }
}

#[tokio::test]
async fn a_stream_whose_results_are_not_read_stops_and_is_reset() {
    let flight = InFlight::default();
    let counted = flight.clone();
    // Responses of 20 KB, so that a few fill the flow-control window.
    let vendor = Vendor::start(move |received| {
        let held = counted.start_request();
        async move {
            let presences = received
                .ids()
                .into_iter()
                .map(|id| serde_json::json!({"userId": id, "message": "x".repeat(400)}));
            let presences = serde_json::Value::Array(presences.collect());
            held.respond(reply(200, presences.to_string()))
        }
    })
    .await;
    let limits = Limits {
        concurrency: 4,
        stream_idle: Duration::from_millis(500),
        ..Limits::default()
    };
    let mut gateway = Gateway::start_with(&vendor, limits).await;
    let endpoint = format!("http://{}", gateway.address)
        .parse::<Endpoint>()
        .unwrap();
    // The initial window of HTTP/2; tonic's default is 2 MiB.
    let endpoint = endpoint.initial_stream_window_size(65_535);
    gateway.channel = endpoint.connect().await.unwrap();
    let mut call = StreamCall::open(&gateway, STREAMS[1]).await;
    // 200 batches; the client reads as many as fit into its window.
    for part in 0..4 {
        let sent = call.send(ids(part * 2500..part * 2500 + 2500));
        let _ = tokio::time::timeout(Duration::from_millis(200), sent).await;
    }
    // The second stream starts to wait after the last activity of the first.
    for _ in 0..2 {
        let other = StreamCall::open(&gateway, STREAMS[1]).await;
        expect_error(other.status().await, Code::Aborted, "STREAM_IDLE");
    }
    let sent = flight.counts().started;
    // Three fit into the window; a few more are in buffers.
    assert!(
        sent < 30,
        "{sent} batches were sent for a stream that is not read"
    );
    // The results in transit can be read; then comes a status or a reset.
    let mut taken = 0;
    while let Some(results) = call.next().await {
        taken += results.users().len();
    }
    let outcome = call.status().await;
    assert!(outcome.is_err(), "the stream cannot succeed: {outcome:?}");
    assert!(taken <= sent * 50);
}

#[tokio::test]
async fn shutdown_completes_batches_in_flight_and_reports_the_other_ids() {
    let (flight, gate) = closed_gate();
    let vendor = gated_vendor(&flight, &gate, all_presences).await;
    let (stop, stopped) = oneshot::channel::<()>();
    let limits = Limits {
        concurrency: 2,
        ..Limits::default()
    };
    let upstream = format!("http://{}", vendor.address);
    let stopped = async { drop(stopped.await) };
    let (gateway, serving) = Gateway::start_until(&upstream, limits, stopped).await;
    let mut call = StreamCall::open(&gateway, STREAMS[0]).await;
    call.send(ids(0..420)).await;
    flight
        .wait_until("two batches are sent", |counts| counts.pending == 2)
        .await;
    drop(stop);
    // The response comes during the drain, when no connection is accepted.
    let refusing = async {
        while tokio::net::TcpStream::connect(gateway.address)
            .await
            .is_ok()
        {
            tokio::task::yield_now().await;
        }
    };
    wait_for("the end of the listener", refusing).await;
    gate.add_permits(9);
    let outcome = call.collect().await;
    expect_error(outcome.status.clone(), Code::Unavailable, "SHUTTING_DOWN");
    assert_eq!(outcome.users, ids(0..100));
    assert_eq!(outcome.failed_with("SHUTTING_DOWN"), ids(100..420));
    assert_eq!(outcome.progress.failed, 320);
    assert_eq!(flight.counts().started, 2);
    assert_stops_soon(serving).await;
}

#[tokio::test]
async fn shutdown_ends_a_stream_without_requests() {
    let vendor = start_vendor(all_presences).await;
    let (stop, stopped) = oneshot::channel::<()>();
    let upstream = format!("http://{}", vendor.address);
    let stopped = async { drop(stopped.await) };
    let (gateway, serving) = Gateway::start_until(&upstream, Limits::default(), stopped).await;
    let mut call = StreamCall::open(&gateway, STREAMS[1]).await;
    call.send(ids(0..1)).await;
    assert_eq!(call.next().await.unwrap().users(), ids(0..1));
    drop(stop);
    expect_error(call.status().await, Code::Unavailable, "SHUTTING_DOWN");
    assert_stops_soon(serving).await;
}

#[tokio::test]
async fn batches_cut_by_the_drain_timeout_report_the_shutdown() {
    let (flight, gate) = closed_gate();
    let vendor = gated_vendor(&flight, &gate, all_presences).await;
    let (stop, stopped) = oneshot::channel::<()>();
    let mut limits = Limits::default();
    limits.shutdown_timeouts.drain_timeout = Duration::from_millis(500);
    let upstream = format!("http://{}", vendor.address);
    let stopped = async { drop(stopped.await) };
    let (gateway, serving) = Gateway::start_until(&upstream, limits, stopped).await;
    let mut call = StreamCall::open(&gateway, STREAMS[0]).await;
    call.send(ids(0..60)).await;
    flight
        .wait_until("both batches are sent", |counts| counts.pending == 2)
        .await;
    drop(stop);
    let outcome = call.collect().await;
    expect_error(outcome.status.clone(), Code::Unavailable, "SHUTTING_DOWN");
    assert_eq!(outcome.ids(), sorted(ids(0..60)));
    assert_stops_soon(serving).await;
}
