//! Collectors that are unreachable, slow or reject exports: calls are not
//! affected, and the log has one warning.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::{gateway, stop};
use crate::support::process::Log;
use crate::support::telemetry::collector::{Collector, EXPORT_AT_ONCE, EXPORT_TIMEOUT};
use crate::support::{ClosedPort, Gateway, Vendor};

/// Disables the rate limiter.
pub(super) const NO_RATE_LIMIT: [&str; 2] = ["--token-requests-per-minute", "0"];

pub(super) const RPC: &str = "GetUserPresencesPurecloud";

/// The variables for immediate exports to `address`.
pub(super) fn variables(
    address: impl std::fmt::Display,
    protocol: &str,
) -> Vec<(&'static str, String)> {
    let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{address}"));
    let protocol = ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol.to_owned());
    let at_once = EXPORT_AT_ONCE.map(|(name, value)| (name, value.to_owned()));
    [&[endpoint, protocol], &at_once[..]].concat()
}

/// Returns the log lines about the export of telemetry.
pub(super) fn export_lines(log: &[String]) -> Vec<Value> {
    let lines = log.iter().filter(|line| line.contains("telemetry"));
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// Makes calls until the log has `count` lines about exports; returns the longest
/// duration of a call.
async fn call_until_lines(gateway: &Gateway, log: &Log, count: usize) -> Duration {
    call_until(gateway, log, |lines| lines.len() >= count).await
}

async fn call_until(
    gateway: &Gateway,
    log: &Log,
    condition: impl Fn(&[Value]) -> bool,
) -> Duration {
    let start = Instant::now();
    let mut longest = Duration::ZERO;
    while !condition(&export_lines(&log.lines())) {
        let call = Instant::now();
        gateway.call(RPC, json!({"userId": "u"})).await.unwrap();
        longest = longest.max(call.elapsed());
        assert!(
            start.elapsed() < EXPORT_TIMEOUT,
            "the log lacks the lines: {:?}",
            log.lines()
        );
    }
    longest
}

#[tokio::test]
async fn an_unreachable_collector_is_logged_once_with_the_setting_and_the_remedy() {
    for protocol in ["grpc", "http/protobuf"] {
        let vendor = Vendor::with_response(200, "{}").await;
        let closed = ClosedPort::new();
        let variables = variables(closed.address, protocol);
        let (serving, gateway) = gateway(&vendor, &NO_RATE_LIMIT, &variables).await;
        call_until_lines(&gateway, &serving.log, 1).await;
        let first = export_lines(&serving.log.lines()).remove(0);
        assert_eq!(first["level"], "WARN", "{first}");
        assert_eq!(first["setting"], "OTEL_EXPORTER_OTLP_ENDPOINT", "{first}");
        assert!(
            first["endpoint"]
                .as_str()
                .unwrap()
                .contains(&closed.address.to_string())
        );
        let message = first["message"].as_str().unwrap();
        assert!(
            message.contains(protocol) && message.contains("unset"),
            "{message}"
        );

        // Exports of both signals keep failing, and nothing more is logged.
        for _ in 0..200 {
            gateway.call(RPC, json!({"userId": "u"})).await.unwrap();
        }
        let start = Instant::now();
        let (status, log) = stop(serving).await;
        assert_eq!(status.code(), Some(0));
        assert!(
            start.elapsed() < Duration::from_secs(6),
            "{:?}",
            start.elapsed()
        );
        let lines = export_lines(&log);
        let (warnings, lost): (Vec<_>, Vec<_>) = lines.iter().partition(|line| {
            let message = line["message"].as_str().unwrap();
            !message.starts_with("the last ")
        });
        assert_eq!(warnings.len(), 1, "{lines:?}");
        // Metrics are always exported at the shutdown.
        assert!(
            lost.iter().any(|line| line["signal"] == "metrics"),
            "{lines:?}"
        );
    }
}

/// Starts a proxy to `address`. When `frozen` changes, its open connections stop
/// forwarding and stay open, as after the loss of a machine.
async fn freezable_proxy(address: SocketAddr, frozen: watch::Receiver<bool>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let local = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let mut from = listener.accept().await.unwrap().0;
            let mut frozen = frozen.clone();
            frozen.mark_unchanged();
            tokio::spawn(async move {
                let mut to = TcpStream::connect(address).await.unwrap();
                tokio::select! {
                    _ = copy_bidirectional(&mut from, &mut to) => {}
                    // Keeps both connections open.
                    _ = frozen.changed() => std::future::pending().await,
                }
            });
        }
    });
    local
}

#[tokio::test]
async fn a_dead_connection_to_the_collector_is_replaced() {
    for protocol in ["grpc", "http/protobuf"] {
        let (vendor, collector) = (
            Vendor::with_response(200, "{}").await,
            Collector::start().await,
        );
        let mut exported = collector.variables(protocol);
        let address = exported[0].1.trim_start_matches("http://").parse().unwrap();
        let (freeze, frozen) = watch::channel(false);
        let proxy = freezable_proxy(address, frozen).await;
        exported[0].1 = format!("http://{proxy}");
        exported.push(("OTEL_EXPORTER_OTLP_TIMEOUT", "400".to_owned()));
        let (serving, gateway) = gateway(&vendor, &NO_RATE_LIMIT, &exported).await;
        gateway.call(RPC, json!({"userId": "u"})).await.unwrap();
        collector
            .wait_until(|received| !received.spans.is_empty())
            .await;
        freeze.send(true).unwrap();
        // The log can report a failed export of metrics before that.
        let is_recovery = |line: &Value| line["message"] == "telemetry is exported again";
        call_until(&gateway, &serving.log, |lines| {
            lines.iter().any(is_recovery)
        })
        .await;
        stop(serving).await;
    }
}

#[tokio::test]
async fn a_collector_that_never_answers_slows_neither_calls_nor_the_shutdown() {
    let vendor = Vendor::with_response(200, "{}").await;
    // Accepts connections, and sends nothing.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = silent.local_addr().unwrap();
    tokio::spawn(async move {
        let mut connections = Vec::new();
        while let Ok((stream, _)) = silent.accept().await {
            connections.push(stream);
        }
    });
    for protocol in ["grpc", "http/protobuf"] {
        let mut variables = variables(address, protocol);
        variables.push(("OTEL_EXPORTER_OTLP_TIMEOUT", "500".to_owned()));
        variables.push(("OTEL_BSP_MAX_QUEUE_SIZE", "16".to_owned()));
        variables.push(("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "16".to_owned()));
        variables.push(("TOKIO_WORKER_THREADS", "1".to_owned()));
        let (serving, gateway) = gateway(&vendor, &NO_RATE_LIMIT, &variables).await;
        let longest = call_until_lines(&gateway, &serving.log, 1).await;
        assert!(
            longest < Duration::from_millis(450),
            "a call took {longest:?}"
        );
        let start = Instant::now();
        let (status, _) = stop(serving).await;
        assert_eq!(status.code(), Some(0));
        assert!(
            start.elapsed() < Duration::from_secs(6),
            "{:?}",
            start.elapsed()
        );
    }
}

#[tokio::test]
async fn the_recovery_of_a_collector_is_logged() {
    let vendor = Vendor::with_response(200, "{}").await;
    let collector = Collector::start().await;
    // The port of a proxy that starts later.
    let closed = ClosedPort::new();
    let address = closed.address;
    let (serving, gateway) = gateway(
        &vendor,
        &NO_RATE_LIMIT,
        &variables(address, "http/protobuf"),
    )
    .await;
    call_until_lines(&gateway, &serving.log, 1).await;
    let proxy = closed.open();
    tokio::spawn(async move {
        while let Ok((mut near, _)) = proxy.accept().await {
            let mut far = tokio::net::TcpStream::connect(collector.http)
                .await
                .unwrap();
            tokio::spawn(async move { tokio::io::copy_bidirectional(&mut near, &mut far).await });
        }
    });
    call_until_lines(&gateway, &serving.log, 2).await;
    let lines = export_lines(&serving.log.lines());
    assert_eq!(
        lines[1]["message"], "telemetry is exported again",
        "{lines:?}"
    );
}

#[tokio::test]
async fn a_rejected_export_is_logged_with_the_response() {
    let vendor = Vendor::with_response(200, "{}").await;
    let wrong = Vendor::with_response(404, "no such place").await;
    let (serving, gateway) = gateway(
        &vendor,
        &NO_RATE_LIMIT,
        &variables(wrong.address, "http/protobuf"),
    )
    .await;
    call_until_lines(&gateway, &serving.log, 1).await;
    let lines = export_lines(&serving.log.lines());
    assert_eq!(
        lines[0]["error"], "the response is 404 Not Found",
        "{lines:?}"
    );
}
