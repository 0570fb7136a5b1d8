//! Collectors that are dead, slow, or refuse: no call notices, and the log
//! is told once.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tonic::Code;

use super::{ended, gateway};
use crate::support::process::Log;
use crate::support::telemetry::collector::{
    Collector, CollectorResponse, EXPORT_AT_ONCE, EXPORT_TIMEOUT,
};
use crate::support::{Gateway, Vendor};

/// For more calls than a token may make.
const UNPACED: [&str; 2] = ["--token-requests-per-minute", "0"];

const RPC: &str = "GetUserPresencesPurecloud";

fn variables(address: impl std::fmt::Display, protocol: &str) -> Vec<(&'static str, String)> {
    let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{address}"));
    let protocol = ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol.to_owned());
    let at_once = EXPORT_AT_ONCE.map(|(name, value)| (name, value.to_owned()));
    [&[endpoint, protocol], &at_once[..]].concat()
}

/// The lines of the log about the export of telemetry.
fn told(log: &[String]) -> Vec<Value> {
    let lines = log.iter().filter(|line| line.contains("telemetry"));
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// Calls until the log says so many things of telemetry; gives the longest call.
async fn call_until_told(gateway: &Gateway, log: &Log, count: usize) -> Duration {
    call_until(gateway, log, |told| told.len() >= count).await
}

async fn call_until(gateway: &Gateway, log: &Log, is_told: impl Fn(&[Value]) -> bool) -> Duration {
    let begun = Instant::now();
    let mut longest = Duration::ZERO;
    while !is_told(&told(&log.lines())) {
        let call = Instant::now();
        gateway.call(RPC, json!({"userId": "u"})).await.unwrap();
        longest = longest.max(call.elapsed());
        assert!(
            begun.elapsed() < EXPORT_TIMEOUT,
            "the log is not told: {:?}",
            log.lines()
        );
    }
    longest
}

#[tokio::test]
async fn a_collector_that_is_not_there_is_told_once_with_the_setting_and_the_remedy() {
    for protocol in ["grpc", "http/protobuf"] {
        let vendor = Vendor::with_response(200, "{}").await;
        // Bound, so that nobody else takes the port, and let go of.
        let address = {
            let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap();
            nobody.local_addr().unwrap()
        };
        let (serving, gateway) = gateway(&vendor, &UNPACED, &variables(address, protocol)).await;
        call_until_told(&gateway, &serving.log, 1).await;
        let first = told(&serving.log.lines()).remove(0);
        assert_eq!(first["level"], "WARN", "{first}");
        assert_eq!(first["setting"], "OTEL_EXPORTER_OTLP_ENDPOINT", "{first}");
        assert!(
            first["endpoint"]
                .as_str()
                .unwrap()
                .contains(&address.to_string())
        );
        let message = first["message"].as_str().unwrap();
        assert!(
            message.contains(protocol) && message.contains("unset"),
            "{message}"
        );

        // It goes on failing, for both signals, and nothing more is told.
        for _ in 0..200 {
            gateway.call(RPC, json!({"userId": "u"})).await.unwrap();
        }
        let begun = Instant::now();
        let (status, log) = ended(serving).await;
        assert_eq!(status.code(), Some(0));
        assert!(
            begun.elapsed() < Duration::from_secs(6),
            "{:?}",
            begun.elapsed()
        );
        let told = told(&log);
        let (again, lost): (Vec<_>, Vec<_>) = told.iter().partition(|line| {
            let message = line["message"].as_str().unwrap();
            !message.starts_with("the last ")
        });
        assert_eq!(again.len(), 1, "{told:?}");
        // Metrics are always exported at the end.
        assert!(
            lost.iter().any(|line| line["signal"] == "metrics"),
            "{told:?}"
        );
    }
}

/// What the log of a process says is lost at its end, before such a collector:
/// signals, each with why.
async fn lost(
    protocol: &str,
    traces: CollectorResponse,
    metrics: CollectorResponse,
) -> Vec<[String; 2]> {
    let (vendor, collector) = (
        Vendor::with_response(200, "{}").await,
        Collector::responding(traces, metrics).await,
    );
    let address = match protocol {
        "grpc" => collector.grpc,
        _ => collector.http,
    };
    let mut exported = variables(address, protocol);
    // Three spans are exported at once, and fewer wait for the end.
    exported.retain(|(name, _)| *name != "OTEL_BSP_SCHEDULE_DELAY");
    exported.push(("OTEL_BSP_SCHEDULE_DELAY", "86400000".to_owned()));
    exported.push(("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "3".to_owned()));
    let (serving, gateway) = gateway(&vendor, &UNPACED, &exported).await;
    // One span, and two of which one is for the request.
    let invalid = async || gateway.call(RPC, json!({"userId": ""})).await;
    assert_eq!(invalid().await.unwrap_err().code(), Code::InvalidArgument);
    gateway.call(RPC, json!({"userId": "u"})).await.unwrap();
    if [traces, metrics].contains(&CollectorResponse::Reject) {
        // The log says so, long before the end.
        let refused = collector.wait_until(|received| received.rejected > 0).await;
        if metrics == CollectorResponse::Accept {
            // So that nothing of that export is under way any more.
            let count = refused.metrics_exports + 2;
            collector
                .wait_until(|received| received.metrics_exports >= count)
                .await;
        }
    }
    invalid().await.unwrap_err();
    let (status, log) = ended(serving).await;
    assert_eq!(status.code(), Some(0));
    let lines = told(&log).into_iter().filter(|line| {
        let message = line["message"].as_str().unwrap();
        message.starts_with("the last ")
    });
    let mut lost: Vec<_> = lines
        .map(|line| {
            assert_eq!(line["level"], "WARN", "{line}");
            ["signal", "error"].map(|field| line[field].as_str().unwrap_or_default().to_owned())
        })
        .collect();
    lost.sort();
    lost
}

#[tokio::test]
async fn what_a_collector_does_not_take_of_one_signal_is_reported_at_each_end() {
    use CollectorResponse::{Accept, Never, Reject};
    // The ends of those that are never answered are races, so there are some.
    let never = [(Never, Accept); 3].into_iter().chain([(Accept, Never)]);
    let cases: Vec<_> = ["grpc", "http/protobuf"]
        .into_iter()
        .flat_map(|protocol| {
            let others = [(Reject, Accept), (Accept, Reject), (Accept, Accept)];
            let all = never.clone().chain(others);
            all.map(move |(traces, metrics)| (protocol, traces, metrics))
        })
        .collect();
    let ends = cases
        .iter()
        .map(|(protocol, traces, metrics)| lost(protocol, *traces, *metrics));
    let ends = join_all(ends).await;
    for (case, lost) in cases.iter().zip(ends) {
        let (signal, how) = match case {
            (_, Accept, Accept) => ("", Accept),
            (_, Accept, metrics) => ("metrics", *metrics),
            (_, traces, _) => ("traces", *traces),
        };
        let why = match (how, case.0) {
            (Never, _) => "there is no answer within 3s",
            (_, "grpc") => "Unimplemented",
            _ => "the answer is 404 Not Found",
        };
        match &lost[..] {
            [] => assert_eq!(how, Accept, "nothing is reported of {case:?}"),
            [[reported, error]] => {
                assert_eq!(reported, signal, "{case:?}: {error}");
                assert!(error.contains(why), "{case:?}: {error}");
            }
            more => panic!("{case:?}: {more:?}"),
        }
    }
}

/// Where bytes are passed on to `address`, until `frozen` says that those on
/// the connections of before go nowhere, as when a machine is lost.
async fn passing_on(address: SocketAddr, frozen: watch::Receiver<bool>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let here = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let mut from = listener.accept().await.unwrap().0;
            let mut frozen = frozen.clone();
            frozen.mark_unchanged();
            tokio::spawn(async move {
                let mut to = TcpStream::connect(address).await.unwrap();
                tokio::select! {
                    _ = copy_bidirectional(&mut from, &mut to) => {}
                    // Both ends stay open.
                    _ = frozen.changed() => std::future::pending().await,
                }
            });
        }
    });
    here
}

#[tokio::test]
async fn a_connection_that_leads_nowhere_any_more_is_made_anew() {
    for protocol in ["grpc", "http/protobuf"] {
        let (vendor, collector) = (
            Vendor::with_response(200, "{}").await,
            Collector::start().await,
        );
        let mut exported = collector.variables(protocol);
        let address = exported[0].1.trim_start_matches("http://").parse().unwrap();
        let (freeze, frozen) = watch::channel(false);
        let between = passing_on(address, frozen).await;
        exported[0].1 = format!("http://{between}");
        exported.push(("OTEL_EXPORTER_OTLP_TIMEOUT", "400".to_owned()));
        let (serving, gateway) = gateway(&vendor, &UNPACED, &exported).await;
        gateway.call(RPC, json!({"userId": "u"})).await.unwrap();
        collector
            .wait_until(|received| !received.spans.is_empty())
            .await;
        freeze.send(true).unwrap();
        // Metrics may be told to fail, too, before it is found out.
        let is_again = |line: &Value| line["message"] == "telemetry is exported again";
        call_until(&gateway, &serving.log, |told| told.iter().any(is_again)).await;
        ended(serving).await;
    }
}

#[tokio::test]
async fn a_collector_that_never_answers_slows_neither_calls_nor_the_end() {
    let vendor = Vendor::with_response(200, "{}").await;
    // Accepts connections, and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = silent.local_addr().unwrap();
    tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((stream, _)) = silent.accept().await {
            held.push(stream);
        }
    });
    for protocol in ["grpc", "http/protobuf"] {
        let mut variables = variables(address, protocol);
        variables.push(("OTEL_EXPORTER_OTLP_TIMEOUT", "500".to_owned()));
        variables.push(("OTEL_BSP_MAX_QUEUE_SIZE", "16".to_owned()));
        variables.push(("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "16".to_owned()));
        variables.push(("TOKIO_WORKER_THREADS", "1".to_owned()));
        let (serving, gateway) = gateway(&vendor, &UNPACED, &variables).await;
        let longest = call_until_told(&gateway, &serving.log, 1).await;
        assert!(
            longest < Duration::from_millis(450),
            "a call took {longest:?}"
        );
        let begun = Instant::now();
        let (status, _) = ended(serving).await;
        assert_eq!(status.code(), Some(0));
        assert!(
            begun.elapsed() < Duration::from_secs(6),
            "{:?}",
            begun.elapsed()
        );
    }
}

#[tokio::test]
async fn a_collector_that_comes_back_is_told() {
    let vendor = Vendor::with_response(200, "{}").await;
    let collector = Collector::start().await;
    // A way to it that is closed at first.
    let address = {
        let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap();
        nobody.local_addr().unwrap()
    };
    let (serving, gateway) = gateway(&vendor, &UNPACED, &variables(address, "http/protobuf")).await;
    call_until_told(&gateway, &serving.log, 1).await;
    let way = TcpListener::bind(address).await.unwrap();
    tokio::spawn(async move {
        while let Ok((mut near, _)) = way.accept().await {
            let mut far = tokio::net::TcpStream::connect(collector.http)
                .await
                .unwrap();
            tokio::spawn(async move { tokio::io::copy_bidirectional(&mut near, &mut far).await });
        }
    });
    call_until_told(&gateway, &serving.log, 2).await;
    let told = told(&serving.log.lines());
    assert_eq!(
        told[1]["message"], "telemetry is exported again",
        "{told:?}"
    );
}

#[tokio::test]
async fn a_collector_that_refuses_is_told_with_its_answer() {
    let vendor = Vendor::with_response(200, "{}").await;
    let wrong = Vendor::with_response(404, "no such place").await;
    let (serving, gateway) = gateway(
        &vendor,
        &UNPACED,
        &variables(wrong.address, "http/protobuf"),
    )
    .await;
    call_until_told(&gateway, &serving.log, 1).await;
    let told = told(&serving.log.lines());
    assert_eq!(told[0]["error"], "the answer is 404 Not Found", "{told:?}");
}
