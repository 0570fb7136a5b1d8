//! The shutdown: health reports it in time, calls in flight finish, and no peer
//! delays it.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{FutureExt, StreamExt, stream};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};
use tonic::{Code, Status};
use tonic_health::pb::health_check_response::ServingStatus::{NotServing, Serving};
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_types::StatusExt;

use crate::lifecycle::health::{NAMES, check, health_request};
use crate::support::raw_http::PREFACE;
use crate::support::{Gateway, Limits, Vendor, expect_error, reply};

/// Shorter than the timeouts of the server for the end of its calls and for the
/// preface of a connection.
pub const SOON: Duration = Duration::from_secs(8);

const RPC: &str = "GetUserPresencesPurecloud";

/// A gateway that the test stops.
pub struct StoppableGateway {
    pub gateway: Gateway,
    pub stop: oneshot::Sender<()>,
    pub serving: JoinHandle<()>,
}

impl StoppableGateway {
    pub async fn new(upstream: &str, lame_duck: Duration, drain_timeout: Duration) -> Self {
        let (stop, stopped) = oneshot::channel();
        let stopped = async { drop(stopped.await) };
        let mut limits = Limits::default();
        limits.shutdown_timeouts.lame_duck = lame_duck;
        limits.shutdown_timeouts.drain_timeout = drain_timeout;
        let (gateway, serving) = Gateway::start_until(upstream, limits, stopped).await;
        Self {
            gateway,
            stop,
            serving,
        }
    }

    /// Makes a call in its own task.
    fn spawn_call(&self, rpc: &'static str) -> JoinHandle<Result<serde_json::Value, Status>> {
        let caller = self.gateway.clone();
        let request = match rpc {
            "PatchUserPresencesPurecloud" => json!({"userId": "u", "body": {}}),
            _ => json!({"userId": "u"}),
        };
        tokio::spawn(async move { caller.call(rpc, request).await })
    }
}

/// Waits until the server has stopped.
pub async fn assert_stops_soon(serving: JoinHandle<()>) {
    let result = timeout(SOON, serving).await;
    result.expect("the server did not stop in time").unwrap();
}

/// A vendor that notifies the first `Notify` of each request, and waits for the
/// second before each response.
pub async fn gated_vendor() -> (Vendor, Arc<Notify>, Arc<Notify>) {
    let (arrived, release) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (arrive, released) = (Arc::clone(&arrived), Arc::clone(&release));
    let vendor = Vendor::start(move |_| {
        let (arrive, released) = (Arc::clone(&arrive), Arc::clone(&released));
        async move {
            arrive.notify_one();
            released.notified().await;
            reply(200, r#"{"id":"p"}"#)
        }
    })
    .await;
    (vendor, arrived, release)
}

pub const HOUR: Duration = Duration::from_hours(1);

#[tokio::test]
async fn a_lame_duck_reports_not_serving_and_serves_every_call() {
    let vendor = Vendor::with_response(200, r#"{"id":"p"}"#).await;
    let upstream = format!("http://{}", vendor.address);
    let stoppable = StoppableGateway::new(&upstream, HOUR, HOUR).await;
    let mut watches = Vec::new();
    for name in NAMES {
        let mut client = HealthClient::new(stoppable.gateway.channel.clone());
        let mut watch = client
            .watch(health_request(name))
            .await
            .unwrap()
            .into_inner();
        let first = watch.message().await.unwrap().unwrap();
        assert_eq!(first.status(), Serving, "{name}");
        watches.push((name, watch));
    }
    stoppable.stop.send(()).unwrap();
    for (name, watch) in &mut watches {
        if *name != "liveness" {
            let next = timeout(SOON, watch.message()).await.expect(name);
            assert_eq!(next.unwrap().unwrap().status(), NotServing, "{name}");
        }
    }
    // The other watches have received their update, so this one would have too.
    let liveness = watches.iter_mut().find(|(name, _)| *name == "liveness");
    let update = liveness.unwrap().1.message().now_or_never();
    assert!(update.is_none(), "liveness received {update:?}");

    let late = Gateway::connect(stoppable.gateway.address).await;
    for gateway in [&stoppable.gateway, &late] {
        for name in NAMES {
            let status = check(&gateway.channel, name).await.unwrap();
            let expected = if name == "liveness" {
                Serving
            } else {
                NotServing
            };
            assert_eq!(status, expected, "{name}");
        }
        let response = gateway.call(RPC, json!({"userId": "u"})).await;
        assert_eq!(response.unwrap(), json!({"id": "p"}));
    }
    assert!(!stoppable.serving.is_finished());
}

#[tokio::test]
async fn the_drain_finishes_calls_and_accepts_no_connection() {
    let (vendor, arrived, release) = gated_vendor().await;
    let upstream = format!("http://{}", vendor.address);
    let stoppable = StoppableGateway::new(&upstream, Duration::ZERO, HOUR).await;
    let in_flight = stoppable.spawn_call(RPC);
    arrived.notified().await;
    let mut client = HealthClient::new(stoppable.gateway.channel.clone());
    let mut watch = client.watch(health_request("")).await.unwrap().into_inner();
    assert_eq!(watch.message().await.unwrap().unwrap().status(), Serving);

    stoppable.stop.send(()).unwrap();
    // The watch ends when the drain begins.
    while let Ok(Some(_)) = watch.message().await {}
    // The listener closes in the same turn, or soon after it on a busy machine.
    let refused = async {
        while TcpStream::connect(stoppable.gateway.address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    let refused = timeout(SOON, refused).await;
    assert!(refused.is_ok(), "connections are accepted in the drain");
    assert!(
        !stoppable.serving.is_finished(),
        "the server stopped before its calls ended"
    );

    release.notify_one();
    assert_eq!(in_flight.await.unwrap().unwrap(), json!({"id": "p"}));
    assert_stops_soon(stoppable.serving).await;
}

#[tokio::test]
async fn endless_streams_get_the_final_state_and_a_status() {
    let stoppable = StoppableGateway::new("http://127.0.0.1:1", Duration::ZERO, HOUR).await;
    let mut watches = Vec::new();
    for name in NAMES {
        let mut client = HealthClient::new(stoppable.gateway.channel.clone());
        let mut watch = client
            .watch(health_request(name))
            .await
            .unwrap()
            .into_inner();
        watch.message().await.unwrap().unwrap();
        watches.push((name, watch));
    }
    let mut client = ServerReflectionClient::new(stoppable.gateway.channel.clone());
    // Neither side sends a message.
    let requests = stream::pending::<ServerReflectionRequest>();
    let reflection = client.server_reflection_info(requests).await.unwrap();

    stoppable.stop.send(()).unwrap();
    for (name, mut watch) in watches {
        if name != "liveness" {
            let last = timeout(SOON, watch.message()).await.expect(name);
            assert_eq!(last.unwrap().unwrap().status(), NotServing, "{name}");
        }
        let end = timeout(SOON, watch.message()).await.expect(name);
        expect_error(end, Code::Unavailable, "SHUTTING_DOWN");
    }
    let end = timeout(SOON, reflection.into_inner().next()).await.unwrap();
    expect_error(end.unwrap(), Code::Unavailable, "SHUTTING_DOWN");
    assert_stops_soon(stoppable.serving).await;
}

#[tokio::test]
async fn calls_that_outlast_the_drain_get_a_status_at_its_end() {
    let (vendor, arrived, _release) = gated_vendor().await;
    let upstream = format!("http://{}", vendor.address);
    let drain = Duration::from_millis(300);
    let stoppable = StoppableGateway::new(&upstream, Duration::ZERO, drain).await;
    let read = stoppable.spawn_call(RPC);
    arrived.notified().await;
    let write = stoppable.spawn_call("PatchUserPresencesPurecloud");
    arrived.notified().await;

    let stopped = Instant::now();
    stoppable.stop.send(()).unwrap();
    let cut = |status: &Status| {
        let message = status.message();
        assert!(
            message.contains("the shutdown of the gateway cut short"),
            "{message}"
        );
        let info = status.get_details_error_info().unwrap();
        assert_eq!(info.metadata["deadline"], "cut by shutdown");
    };
    cut(&expect_error(
        read.await.unwrap(),
        Code::DeadlineExceeded,
        "DEADLINE_EXCEEDED",
    ));
    let elapsed = stopped.elapsed();
    assert!(elapsed >= drain, "the call ended after {elapsed:?}");
    cut(&expect_error(
        write.await.unwrap(),
        Code::DeadlineExceeded,
        "OUTCOME_UNKNOWN",
    ));
    assert_stops_soon(stoppable.serving).await;
}

#[tokio::test]
async fn a_call_that_waits_for_retry_after_fails_and_is_not_retried_early() {
    for status in [429, 503] {
        let arrived = Arc::new(Notify::new());
        let arrive = Arc::clone(&arrived);
        let vendor = Vendor::start(move |_| {
            arrive.notify_one();
            let mut response = reply(status, r#"{"code":"later","message":"m"}"#);
            let delay = http::HeaderValue::from_static("20");
            response.headers_mut().insert("retry-after", delay);
            async { response }
        })
        .await;
        let upstream = format!("http://{}", vendor.address);
        let stoppable = StoppableGateway::new(&upstream, Duration::ZERO, HOUR).await;
        let call = stoppable.spawn_call(RPC);
        arrived.notified().await;
        stoppable.stop.send(()).unwrap();
        assert_stops_soon(stoppable.serving).await;
        let code = match status {
            429 => Code::ResourceExhausted,
            _ => Code::Unavailable,
        };
        expect_error(call.await.unwrap(), code, "LATER");
        assert_eq!(vendor.received().len(), 1, "after {status}");
    }
}

#[tokio::test]
async fn connections_without_calls_do_not_delay_the_drain() {
    let stoppable = StoppableGateway::new("http://127.0.0.1:1", Duration::ZERO, HOUR).await;
    let address = stoppable.gateway.address;
    let idle = Gateway::connect(address).await;
    // Some probes send nothing, others a part of the preface.
    let silent = TcpStream::connect(address).await.unwrap();
    let mut partial = TcpStream::connect(address).await.unwrap();
    partial.write_all(&PREFACE[..10]).await.unwrap();
    // These begin HTTP/2, and then acknowledge nothing, not even GOAWAY.
    let mut stuck = Vec::new();
    // The last one stops in the middle of a header frame.
    for rest in [&[][..], &[0, 0, 100, 1, 0, 0, 0, 0, 1, 0x82]] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let settings = [0, 0, 0, 4, 0, 0, 0, 0, 0];
        let bytes = [PREFACE, &settings, rest].concat();
        stream.write_all(&bytes).await.unwrap();
        // The server sends its settings after it has read the preface.
        stream.read_exact(&mut [0; 9]).await.unwrap();
        stuck.push(stream);
    }
    stoppable.stop.send(()).unwrap();
    assert_stops_soon(stoppable.serving).await;
    drop((idle, silent, partial, stuck));
}

#[tokio::test]
async fn an_unread_response_delays_the_exit_no_longer_than_the_drain() {
    let list = json!([{"name": "x".repeat(1_000_000)}]);
    let vendor = Vendor::with_response(200, list.to_string()).await;
    let upstream = format!("http://{}", vendor.address);
    let drain = Duration::from_millis(300);
    let stoppable = StoppableGateway::new(&upstream, Duration::ZERO, drain).await;
    let stream = TcpStream::connect(stoppable.gateway.address).await.unwrap();
    let (mut client, connection) =
        hyper::client::conn::http2::Builder::new(hyper_util::rt::TokioExecutor::new())
            .initial_stream_window_size(1000)
            .handshake(hyper_util::rt::TokioIo::new(stream))
            .await
            .unwrap();
    tokio::spawn(connection);
    let path = "/genesys.presence.v1.PresenceService/GetSystempresences";
    let call = crate::support::raw_http::head(path)
        .body(axum::body::Body::from(crate::support::raw_http::frame(b"")));
    let unread = client.send_request(call.unwrap()).await.unwrap();
    stoppable.stop.send(()).unwrap();
    assert_stops_soon(stoppable.serving).await;
    drop(unread);
}
