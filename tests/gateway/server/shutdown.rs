//! The end: what is in flight is finished, and probes are told in time.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use serde_json::json;
use tokio::net::TcpStream;
use tokio::sync::{Notify, oneshot};
use tokio::time::timeout;
use tonic_health::pb::health_check_response::ServingStatus::{NotServing, Serving};
use tonic_health::pb::health_client::HealthClient;

use super::health::{NAMES, named};
use crate::support::{Gateway, Limits, Vendor, reply};

/// Well under the times after which the server would give up waiting, for the
/// end of its calls or for the first word of a connection.
const SOON: Duration = Duration::from_secs(8);

#[tokio::test]
async fn a_call_in_flight_is_finished_and_all_but_liveness_turn_not_serving() {
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
    let (stop, stopped) = oneshot::channel::<()>();
    let upstream = format!("http://{}", vendor.address);
    let stopped = async { drop(stopped.await) };
    let (gateway, serving) = Gateway::until(&upstream, Limits::default(), stopped).await;

    let mut watches = Vec::new();
    for name in NAMES {
        let mut client = HealthClient::new(gateway.channel.clone());
        let mut watch = client.watch(named(name)).await.unwrap().into_inner();
        assert_eq!(
            watch.message().await.unwrap().unwrap().status(),
            Serving,
            "{name}"
        );
        watches.push((name, watch));
    }
    let caller = gateway.clone();
    let in_flight = tokio::spawn(async move {
        caller
            .call("GetUserPresencesPurecloud", json!({"userId": "u"}))
            .await
    });
    arrived.notified().await;

    stop.send(()).unwrap();
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
    let refused = TcpStream::connect(gateway.address).await;
    assert!(
        refused.is_err(),
        "a connection was accepted after the end had begun"
    );
    assert!(!serving.is_finished(), "the server ended before its calls");

    answer.notify_one();
    let answered = in_flight.await.unwrap();
    assert_eq!(answered.unwrap(), json!({"id": "p"}));
    drop(watches);
    let ended = timeout(SOON, serving).await;
    ended
        .expect("the server should end after its last call")
        .unwrap();
}

#[tokio::test]
async fn connections_without_calls_do_not_hold_it_up() {
    let (stop, stopped) = oneshot::channel::<()>();
    let stopped = async { drop(stopped.await) };
    let upstream = "http://127.0.0.1:1";
    let (gateway, serving) = Gateway::until(upstream, Limits::default(), stopped).await;
    // One that is idle, and one that never says a word, as some probes do.
    let idle = Gateway::connect(gateway.address).await;
    let silent = TcpStream::connect(gateway.address).await.unwrap();
    stop.send(()).unwrap();
    let ended = timeout(SOON, serving).await;
    ended
        .expect("the server should not wait for connections without calls")
        .unwrap();
    drop((idle, silent));
}
