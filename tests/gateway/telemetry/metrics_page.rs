//! The metrics page for Prometheus.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::spawn_blocking;

use super::gateway;
use crate::support::process::ServerProcess;
use crate::support::{Vendor, reply};

pub(super) const FLAGS: [&str; 2] = ["--metrics-listen", "127.0.0.1:0"];

/// Sends a request to the metrics listener; returns the head and the body of the
/// response.
pub(super) async fn request(address: SocketAddr, line: &str) -> (String, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("{line} HTTP/1.1\r\nhost: gateway\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut response = String::new();
    let read = stream.read_to_string(&mut response).await;
    let parts = response.split_once("\r\n\r\n");
    let (head, body) = parts.unwrap_or_else(|| panic!("no response: {response:?}, {read:?}"));
    (head.to_lowercase(), body.to_owned())
}

/// The address of the metrics listener.
pub(super) fn metrics_address(serving: &ServerProcess) -> SocketAddr {
    let first: Value = serde_json::from_str(&serving.log.lines()[0]).unwrap();
    first["metrics"].as_str().unwrap().parse().unwrap()
}

/// The samples of a page, by name and labels as written there.
pub(super) fn samples(page: &str) -> BTreeMap<String, f64> {
    let lines = page.lines().filter(|line| !line.starts_with('#'));
    let samples = lines.map(|line| {
        let (name, value) = line.rsplit_once(' ').unwrap();
        (name.to_owned(), value.parse().unwrap())
    });
    samples.collect()
}

#[tokio::test]
async fn the_page_has_the_start_time_of_the_process() {
    let vendor = Vendor::with_response(200, "{}").await;
    let now = || {
        let since = std::time::SystemTime::UNIX_EPOCH.elapsed();
        since.unwrap().as_secs_f64()
    };
    let before = now();
    let (serving, _gateway) = gateway(&vendor, &FLAGS, &[]).await;
    let (_, page) = request(metrics_address(&serving), "GET /metrics").await;
    let started = samples(&page)
        .get("presence_gateway_start_time_seconds")
        .copied();
    let is_recent = started.is_some_and(|it| (before - 1.0..=now()).contains(&it));
    assert!(is_recent, "{started:?} is before {before} in {page}");
}

#[tokio::test]
async fn other_requests_get_a_fitting_status() {
    let vendor = Vendor::with_response(200, "{}").await;
    let (serving, _gateway) = gateway(&vendor, &FLAGS, &[]).await;
    let address = metrics_address(&serving);
    let (head, body) = request(address, "HEAD /metrics").await;
    assert!(
        head.contains("200 ok") && head.contains("text/plain"),
        "{head}"
    );
    assert_eq!(body, "");
    let (head, _) = request(address, "POST /metrics").await;
    assert!(
        head.contains("405 ") && head.contains("allow: get,head"),
        "{head}"
    );
    let (head, body) = request(address, "GET /").await;
    assert!(
        head.contains("404 ") && body.contains("/metrics"),
        "{head} {body}"
    );
}

#[tokio::test]
async fn the_page_is_served_beside_many_silent_connections() {
    let vendor = Vendor::with_response(200, "{}").await;
    let (serving, _gateway) = gateway(&vendor, &FLAGS, &[]).await;
    let address = metrics_address(&serving);
    // More than the connection limit; they are accepted in order.
    let mut silent = Vec::new();
    for _ in 0..40 {
        silent.push(TcpStream::connect(address).await.unwrap());
    }
    let (head, page) = request(address, "GET /metrics").await;
    assert!(head.contains("200 ok"), "{head}");
    assert!(page.contains("presence_gateway_build_info"), "{page}");
    // The newest connection was not evicted.
    let mut last = silent.pop().unwrap();
    last.write_all(b"GET /metrics HTTP/1.1\r\nhost: gateway\r\n\r\n")
        .await
        .unwrap();
    let mut response = String::new();
    last.read_to_string(&mut response).await.unwrap();
    assert!(response.starts_with("HTTP/1.1 200"), "{response}");
}

#[tokio::test]
async fn the_page_is_served_until_the_last_call_ends() {
    let vendor = Vendor::start(|_| async {
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
        reply(200, "{}")
    })
    .await;
    let (serving, gateway) = gateway(&vendor, &FLAGS, &[]).await;
    let call = async {
        let rpc = "GetUserPresencesPurecloud";
        gateway.call(rpc, json!({"userId": "u"})).await.unwrap();
    };
    let check = async {
        while vendor.received().is_empty() {
            tokio::task::yield_now().await;
        }
        serving.signal("TERM");
        let log = serving.log.clone();
        let is_ending = |lines: &[String]| lines.iter().any(|line| line.contains("ending"));
        let wait = spawn_blocking(move || log.wait_until("the line `ending`", is_ending));
        wait.await.unwrap();
        let (_, page) = request(metrics_address(&serving), "GET /metrics").await;
        assert_eq!(
            samples(&page).get("presence_gateway_calls_in_flight"),
            Some(&1.0)
        );
    };
    tokio::join!(call, check);
}
