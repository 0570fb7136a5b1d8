//! `call` with a stream that a signal interrupts.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::support::bulk::presence;
use crate::support::in_flight::InFlight;
use crate::support::process::{RunningProcess, ServerProcess, TempFile};
use crate::support::{ReceivedRequest, Vendor, reply};

const STREAM: &str = "StreamUsersPresencesPurecloudBulk";
const TOKEN: [(&str, &str); 1] = [("PRESENCE_GATEWAY_TOKEN", "any")];
const REST: &str = "; interrupted: the other ids were not sent or not answered\n";

/// Starts a gateway in front of a vendor.
fn gateway(vendor: &Vendor) -> ServerProcess {
    let upstream = format!("http://{}", vendor.address);
    let flags = ["serve", "--upstream-url", &upstream];
    let limits = ["--token-requests-per-minute=0", "--bulk-concurrency=8"];
    ServerProcess::start(&[&flags[..], &limits].concat(), &[])
}

/// Starts a call with the ids of the request, and then those of the file.
fn call(serving: &ServerProcess, request: &Value, file: &str) -> RunningProcess {
    let call = ["call", STREAM, &request.to_string(), "--ids", file];
    let call = [&call[..], &["--address", &serving.address]].concat();
    RunningProcess::start(&call, &TOKEN)
}

/// A vendor that never answers a batch with an id `held…`, and has no user
/// `none…`.
async fn holding_vendor(flight: &InFlight) -> Vendor {
    let flight = flight.clone();
    Vendor::start(move |received: ReceivedRequest| {
        let ids = received.ids();
        let flight = flight.clone();
        async move {
            if ids.iter().any(|id| id.starts_with("held")) {
                let _held = flight.start_request();
                std::future::pending::<()>().await;
            }
            let known = ids.iter().filter(|id| !id.starts_with("none"));
            let known = known.map(|id| presence(id)).collect();
            reply(200, Value::Array(known).to_string())
        }
    })
    .await
}

/// A vendor whose presences of two users are larger than a pipe.
async fn verbose_vendor() -> Vendor {
    Vendor::start(move |received: ReceivedRequest| async move {
        let presences = received
            .ids()
            .into_iter()
            .map(|id| json!({"userId": id, "message": "x".repeat(1 << 20)}));
        reply(200, Value::Array(presences.collect()).to_string())
    })
    .await
}

/// Starts a call that blocks in the middle of a line, because nothing reads its
/// output.
fn blocked_call(serving: &ServerProcess) -> RunningProcess {
    let mut call = call(serving, &json!({"ids": ["user-1", "user-2"]}), "-");
    call.wait_for_output();
    call
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_ends_a_waiting_stream_with_its_counts() {
    for (signal, code) in [("INT", 130), ("TERM", 143)] {
        let flight = InFlight::default();
        let vendor = holding_vendor(&flight).await;
        let serving = gateway(&vendor);
        // The standard input stays open without more lines, like a terminal.
        let mut call = call(&serving, &json!({}), "-");
        call.input("user-1\nuser-2\nnone-1\na,b\n");
        let lines: Vec<String> = (0..4).map(|_| call.line()).collect();
        call.input("held-1\n");
        flight
            .wait_until("the last id is requested", |counts| counts.started == 1)
            .await;
        call.signal(signal);
        let ended = call.end();
        assert_eq!(ended.code, Some(code), "{signal}: {ended:#?}");
        assert_eq!(ended.stderr, format!("2 done, 1 missing, 1 failed{REST}"));
        assert_eq!(ended.stdout, "", "after {lines:#?}");
        flight
            .wait_until("the request is cancelled", |counts| counts.abandoned == 1)
            .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_ends_a_stream_whose_standard_input_is_silent() {
    let vendor = holding_vendor(&InFlight::default()).await;
    let serving = gateway(&vendor);
    let mut call = call(&serving, &json!({"ids": ["user-1"]}), "-");
    assert!(call.line().contains("user-1"));
    call.signal("INT");
    let ended = call.end();
    assert_eq!(ended.code, Some(130), "{ended:#?}");
    assert_eq!(ended.stderr, format!("1 done, 0 missing, 0 failed{REST}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rest_of_a_file_is_not_requested_after_a_signal() {
    let flight = InFlight::default();
    let vendor = holding_vendor(&flight).await;
    let serving = gateway(&vendor);
    let mut ids = String::new();
    for number in 0..10_000 {
        let _ = writeln!(ids, "held-{number}");
    }
    let file = TempFile::new("interrupted", &ids);
    let mut call = call(&serving, &json!({}), file.path());
    flight
        .wait_until("all concurrent batches are requested", |counts| {
            counts.started == 8
        })
        .await;
    call.signal("TERM");
    let ended = call.end();
    assert_eq!(ended.code, Some(143), "{ended:#?}");
    assert_eq!(ended.stderr, format!("0 done, 0 missing, 0 failed{REST}"));
    assert_eq!(ended.stdout, "");
    flight
        .wait_until("the request is cancelled", |counts| counts.pending == 0)
        .await;
    assert_eq!(flight.counts().started, 8, "more ids were requested");
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_are_complete_after_a_signal() {
    let vendor = verbose_vendor().await;
    let serving = gateway(&vendor);
    let mut call = blocked_call(&serving);
    call.signal("INT");
    let ended = call.end();
    assert_eq!(ended.code, Some(130), "{}", ended.stderr);
    assert_eq!(ended.stderr, format!("2 done, 0 missing, 0 failed{REST}"));
    assert!(ended.stdout.ends_with('\n'));
    let lines = ended.stdout.lines().map(serde_json::from_str::<Value>);
    let ids: Vec<_> = lines.map(|line| line.unwrap()["id"].clone()).collect();
    assert_eq!(ids, ["user-1", "user-2"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_sets_the_exit_code_even_if_the_output_is_closed() {
    let vendor = verbose_vendor().await;
    let serving = gateway(&vendor);
    let mut call = blocked_call(&serving);
    call.signal("INT");
    call.close_output();
    let ended = call.end();
    assert_eq!(ended.code, Some(130), "{ended:#?}");
    assert_eq!(ended.stderr, format!("0 done, 0 missing, 0 failed{REST}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_ends_a_blocked_stream_at_once() {
    for (signal, code) in [("INT", 130), ("TERM", 143)] {
        let vendor = verbose_vendor().await;
        let serving = gateway(&vendor);
        let mut call = blocked_call(&serving);
        let status = call.signal_until_ended(signal);
        assert_eq!(status.code(), Some(code), "{signal}: {status}");
    }
}
