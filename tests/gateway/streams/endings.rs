//! How streams end, other than by being answered: every id that was taken is
//! named, and nothing goes on for nobody.

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

fn no_answers() -> (InFlight, Arc<Semaphore>) {
    (InFlight::default(), Arc::new(Semaphore::new(0)))
}

#[tokio::test]
async fn a_deadline_that_passes_names_what_was_not_read() {
    let (flight, gate) = no_answers();
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
    let told = call.collect().await;
    expect_error(
        told.status.clone(),
        Code::DeadlineExceeded,
        "DEADLINE_EXCEEDED",
    );
    assert_eq!(told.users.len(), 50);
    assert_eq!(told.failed_with("DEADLINE_EXCEEDED").len(), 283);
    assert_eq!(told.ids(), sorted(ids(0..333)));
    assert_eq!((told.progress.received, told.progress.failed), (333, 283));
    flight
        .wait_until("all is given up", |counts| counts.pending == 0)
        .await;
    assert_eq!(flight.counts().started, 3);
}

#[tokio::test]
async fn a_token_that_is_refused_ends_the_stream_and_names_what_was_not_read() {
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
    let told = call.collect().await;
    expect_error(
        told.status.clone(),
        Code::Unauthenticated,
        "BAD_CREDENTIALS",
    );
    assert_eq!(told.users, ids(0..50));
    assert_eq!(
        sorted(told.failed_with("BAD_CREDENTIALS")),
        sorted(ids(50..500))
    );
    assert_eq!(
        vendor.received().len(),
        2,
        "a refused token is not tried again"
    );
}

#[tokio::test]
async fn a_caller_who_sends_nothing_is_not_waited_for_beyond_the_idle_timeout() {
    let vendor = start_vendor(all_presences).await;
    let limits = Limits {
        stream_idle: Duration::from_millis(300),
        ..Limits::default()
    };
    let gateway = Gateway::start_with(&vendor, limits).await;
    // Nothing at all.
    let call = StreamCall::open(&gateway, STREAMS[1]).await;
    expect_error(call.status().await, Code::Aborted, "STREAM_IDLE");
    assert_eq!(vendor.received().len(), 0);
    // An id, and then nothing.
    let mut call = StreamCall::open(&gateway, STREAMS[1]).await;
    call.send(ids(0..1)).await;
    let told = call.collect().await;
    expect_error(told.status.clone(), Code::Aborted, "STREAM_IDLE");
    assert_eq!(told.users, ids(0..1));
}

#[tokio::test]
async fn a_vendor_who_is_slow_is_not_the_callers_idleness() {
    let (flight, gate) = no_answers();
    let vendor = gated_vendor(&flight, &gate, all_presences).await;
    let limits = Limits {
        stream_idle: Duration::from_millis(100),
        ..Limits::default()
    };
    let gateway = Gateway::start_with(&vendor, limits).await;
    let mut call = StreamCall::open(&gateway, STREAMS[1]).await;
    call.send(ids(0..1)).await;
    flight
        .wait_until("it is asked", |counts| counts.started == 1)
        .await;
    // What shows that more time than that has passed.
    let other = StreamCall::open(&gateway, STREAMS[1]).await;
    expect_error(other.status().await, Code::Aborted, "STREAM_IDLE");
    gate.add_permits(1);
    call.close_send();
    let told = call.collect().await;
    told.status.unwrap();
    assert_eq!(told.users, ids(0..1));
}

#[tokio::test]
async fn a_caller_who_goes_away_stops_what_is_under_way() {
    let (flight, gate) = no_answers();
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
        .wait_until("four batches are asked", |counts| counts.pending == 4)
        .await;
    drop(call);
    flight
        .wait_until("they are given up", |counts| counts.abandoned == 4)
        .await;
    assert_eq!(flight.counts().started, 4);
    // Its place is free for another.
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
async fn a_caller_who_takes_nothing_is_asked_for_no_more_and_let_go() {
    let flight = InFlight::default();
    let counted = flight.clone();
    // Answers of 20 KB, so that a few fill what is on its way.
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
    // What HTTP/2 begins with; tonic's own windows hold 2 MiB.
    let endpoint = endpoint.initial_stream_window_size(65_535);
    gateway.channel = endpoint.connect().await.unwrap();
    let mut call = StreamCall::open(&gateway, STREAMS[1]).await;
    // 200 batches, of which the client takes what fits into its window.
    for part in 0..4 {
        let asked = call.send(ids(part * 2500..part * 2500 + 2500));
        let _ = tokio::time::timeout(Duration::from_millis(200), asked).await;
    }
    // The second begins to wait after the last that was done for the first caller.
    for _ in 0..2 {
        let other = StreamCall::open(&gateway, STREAMS[1]).await;
        expect_error(other.status().await, Code::Aborted, "STREAM_IDLE");
    }
    let asked = flight.counts().started;
    // Three fit into the window; some more are in buffers on the way.
    assert!(
        asked < 30,
        "{asked} batches were asked for a caller who takes nothing"
    );
    // What was on its way can be taken; then it says why it ended, or broke off.
    let mut taken = 0;
    while let Some(results) = call.next().await {
        taken += results.users().len();
    }
    let told = call.status().await;
    assert!(told.is_err(), "it cannot have been answered: {told:?}");
    assert!(taken <= asked * 50);
}

#[tokio::test]
async fn a_gateway_that_ends_answers_what_is_under_way_and_names_the_rest() {
    let (flight, gate) = no_answers();
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
        .wait_until("two batches are asked", |counts| counts.pending == 2)
        .await;
    drop(stop);
    // The answer comes while it ends: no connection is accepted any more.
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
    let told = call.collect().await;
    expect_error(told.status.clone(), Code::Unavailable, "SHUTTING_DOWN");
    assert_eq!(told.users, ids(0..100));
    assert_eq!(told.failed_with("SHUTTING_DOWN"), ids(100..420));
    assert_eq!(told.progress.failed, 320);
    assert_eq!(flight.counts().started, 2);
    assert_stops_soon(serving).await;
}

#[tokio::test]
async fn a_stream_that_only_waits_ends_with_the_gateway() {
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
async fn what_the_end_of_the_drain_cuts_off_is_told_as_the_gateways_end() {
    let (flight, gate) = no_answers();
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
        .wait_until("both batches are asked", |counts| counts.pending == 2)
        .await;
    drop(stop);
    let told = call.collect().await;
    expect_error(told.status.clone(), Code::Unavailable, "SHUTTING_DOWN");
    assert_eq!(told.ids(), sorted(ids(0..60)));
    assert_stops_soon(serving).await;
}
