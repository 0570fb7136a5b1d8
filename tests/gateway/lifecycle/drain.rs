//! The end: probes are told in time, what is in flight is finished, and
//! nobody holds it up.

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

use crate::lifecycle::health::{NAMES, check, named};
use crate::support::raw_http::PREFACE;
use crate::support::{Gateway, Limits, Vendor, expect_error, reply};

/// Well under the times after which the server would give up waiting, for the
/// end of its calls or for the first word of a connection.
pub const SOON: Duration = Duration::from_secs(8);

const RPC: &str = "GetUserPresencesPurecloud";

/// A gateway that is told to end when the test says so.
pub struct Ending {
    pub gateway: Gateway,
    pub stop: oneshot::Sender<()>,
    pub serving: JoinHandle<()>,
}

impl Ending {
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

    /// A call of its own task.
    fn call(&self, rpc: &'static str) -> JoinHandle<Result<serde_json::Value, Status>> {
        let caller = self.gateway.clone();
        let request = match rpc {
            "PatchUserPresencesPurecloud" => json!({"userId": "u", "body": {}}),
            _ => json!({"userId": "u"}),
        };
        tokio::spawn(async move { caller.call(rpc, request).await })
    }
}

pub async fn ends_soon(serving: JoinHandle<()>) {
    let ended = timeout(SOON, serving).await;
    ended.expect("the server should have ended").unwrap();
}

/// A vendor that says when it was asked, and answers when it is told to.
pub async fn waiting_vendor() -> (Vendor, Arc<Notify>, Arc<Notify>) {
    let (arrived, answer) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (arrive, may_answer) = (Arc::clone(&arrived), Arc::clone(&answer));
    let vendor = Vendor::start(move |_| {
        let (arrive, may_answer) = (Arc::clone(&arrive), Arc::clone(&may_answer));
        async move {
            arrive.notify_one();
            may_answer.notified().await;
            reply(200, r#"{"id":"p"}"#)
        }
    })
    .await;
    (vendor, arrived, answer)
}

pub const HOUR: Duration = Duration::from_hours(1);

#[tokio::test]
async fn a_lame_duck_says_so_and_serves_all_who_come() {
    let vendor = Vendor::with_response(200, r#"{"id":"p"}"#).await;
    let upstream = format!("http://{}", vendor.address);
    let ending = Ending::new(&upstream, HOUR, HOUR).await;
    let mut watches = Vec::new();
    for name in NAMES {
        let mut client = HealthClient::new(ending.gateway.channel.clone());
        let mut watch = client.watch(named(name)).await.unwrap().into_inner();
        let first = watch.message().await.unwrap().unwrap();
        assert_eq!(first.status(), Serving, "{name}");
        watches.push((name, watch));
    }
    ending.stop.send(()).unwrap();
    for (name, watch) in &mut watches {
        if *name != "liveness" {
            let next = timeout(SOON, watch.message()).await.expect(name);
            assert_eq!(next.unwrap().unwrap().status(), NotServing, "{name}");
        }
    }
    // All the others were told, so that this one would have been too.
    let liveness = watches.iter_mut().find(|(name, _)| *name == "liveness");
    let told = liveness.unwrap().1.message().now_or_never();
    assert!(told.is_none(), "liveness was told {told:?}");

    let late = Gateway::connect(ending.gateway.address).await;
    for gateway in [&ending.gateway, &late] {
        for name in NAMES {
            let status = check(&gateway.channel, name).await.unwrap();
            let expected = if name == "liveness" {
                Serving
            } else {
                NotServing
            };
            assert_eq!(status, expected, "{name}");
        }
        let answer = gateway.call(RPC, json!({"userId": "u"})).await;
        assert_eq!(answer.unwrap(), json!({"id": "p"}));
    }
    assert!(!ending.serving.is_finished());
}

#[tokio::test]
async fn the_drain_finishes_calls_and_takes_no_more() {
    let (vendor, arrived, answer) = waiting_vendor().await;
    let upstream = format!("http://{}", vendor.address);
    let ending = Ending::new(&upstream, Duration::ZERO, HOUR).await;
    let in_flight = ending.call(RPC);
    arrived.notified().await;
    let mut client = HealthClient::new(ending.gateway.channel.clone());
    let mut watch = client.watch(named("")).await.unwrap().into_inner();
    assert_eq!(watch.message().await.unwrap().unwrap().status(), Serving);

    ending.stop.send(()).unwrap();
    // The end of the watch says that the drain has begun.
    while let Ok(Some(_)) = watch.message().await {}
    let late = TcpStream::connect(ending.gateway.address).await;
    assert!(late.is_err(), "a connection was accepted in the drain");
    assert!(!ending.serving.is_finished(), "it ended before its calls");

    answer.notify_one();
    assert_eq!(in_flight.await.unwrap().unwrap(), json!({"id": "p"}));
    ends_soon(ending.serving).await;
}

#[tokio::test]
async fn streams_without_an_end_are_told_what_is_and_then_closed() {
    let ending = Ending::new("http://127.0.0.1:1", Duration::ZERO, HOUR).await;
    let mut watches = Vec::new();
    for name in NAMES {
        let mut client = HealthClient::new(ending.gateway.channel.clone());
        let mut watch = client.watch(named(name)).await.unwrap().into_inner();
        watch.message().await.unwrap().unwrap();
        watches.push((name, watch));
    }
    let mut client = ServerReflectionClient::new(ending.gateway.channel.clone());
    // Neither side has anything more to say.
    let silent = stream::pending::<ServerReflectionRequest>();
    let reflection = client.server_reflection_info(silent).await.unwrap();

    ending.stop.send(()).unwrap();
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
    ends_soon(ending.serving).await;
}

#[tokio::test]
async fn calls_that_outlast_the_drain_get_their_status_at_its_end() {
    let (vendor, arrived, _answer) = waiting_vendor().await;
    let upstream = format!("http://{}", vendor.address);
    let drain = Duration::from_millis(300);
    let ending = Ending::new(&upstream, Duration::ZERO, drain).await;
    let read = ending.call(RPC);
    arrived.notified().await;
    let write = ending.call("PatchUserPresencesPurecloud");
    arrived.notified().await;

    let told = Instant::now();
    ending.stop.send(()).unwrap();
    expect_error(
        read.await.unwrap(),
        Code::DeadlineExceeded,
        "DEADLINE_EXCEEDED",
    );
    assert!(told.elapsed() >= drain, "cut after {:?}", told.elapsed());
    expect_error(
        write.await.unwrap(),
        Code::DeadlineExceeded,
        "OUTCOME_UNKNOWN",
    );
    ends_soon(ending.serving).await;
}

#[tokio::test]
async fn what_the_vendor_keeps_waiting_is_told_so_and_not_sent_again_too_early() {
    for status in [429, 503] {
        let arrived = Arc::new(Notify::new());
        let arrive = Arc::clone(&arrived);
        let vendor = Vendor::start(move |_| {
            arrive.notify_one();
            let mut answer = reply(status, r#"{"code":"later","message":"m"}"#);
            let later = http::HeaderValue::from_static("20");
            answer.headers_mut().insert("retry-after", later);
            async { answer }
        })
        .await;
        let upstream = format!("http://{}", vendor.address);
        let ending = Ending::new(&upstream, Duration::ZERO, HOUR).await;
        let call = ending.call(RPC);
        arrived.notified().await;
        ending.stop.send(()).unwrap();
        ends_soon(ending.serving).await;
        let code = match status {
            429 => Code::ResourceExhausted,
            _ => Code::Unavailable,
        };
        expect_error(call.await.unwrap(), code, "LATER");
        assert_eq!(vendor.received().len(), 1, "after {status}");
    }
}

#[tokio::test]
async fn connections_without_calls_do_not_hold_it_up() {
    let ending = Ending::new("http://127.0.0.1:1", Duration::ZERO, HOUR).await;
    let address = ending.gateway.address;
    let idle = Gateway::connect(address).await;
    // Some probes never say a word; others stop in the middle of one.
    let silent = TcpStream::connect(address).await.unwrap();
    let mut partial = TcpStream::connect(address).await.unwrap();
    partial.write_all(&PREFACE[..10]).await.unwrap();
    // These speak HTTP/2 and then acknowledge nothing, not even GOAWAY.
    let mut stuck = Vec::new();
    // The last one stops in the middle of a header frame.
    for rest in [&[][..], &[0, 0, 100, 1, 0, 0, 0, 0, 1, 0x82]] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let settings = [0, 0, 0, 4, 0, 0, 0, 0, 0];
        let said = [PREFACE, &settings, rest].concat();
        stream.write_all(&said).await.unwrap();
        // The server's settings: it has read the preface.
        stream.read_exact(&mut [0; 9]).await.unwrap();
        stuck.push(stream);
    }
    ending.stop.send(()).unwrap();
    ends_soon(ending.serving).await;
    drop((idle, silent, partial, stuck));
}

#[tokio::test]
async fn a_caller_that_does_not_take_its_answer_holds_it_up_for_the_drain_alone() {
    let list = json!([{"name": "x".repeat(1_000_000)}]);
    let vendor = Vendor::with_response(200, list.to_string()).await;
    let upstream = format!("http://{}", vendor.address);
    let drain = Duration::from_millis(300);
    let ending = Ending::new(&upstream, Duration::ZERO, drain).await;
    let stream = TcpStream::connect(ending.gateway.address).await.unwrap();
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
    ending.stop.send(()).unwrap();
    ends_soon(ending.serving).await;
    drop(unread);
}
