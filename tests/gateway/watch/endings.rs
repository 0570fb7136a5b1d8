//! How a watch ends.

use std::time::Duration;

use presence_gateway::proto::v1::watch_state::Mode;
use tokio::sync::oneshot;
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::support::process::{RunningProcess, ServerProcess};
use crate::support::sandbox::Sandbox;
use crate::support::watch_caller::WatchCall;
use crate::support::{Gateway, Limits};

fn reason(status: &Status) -> String {
    status.get_details_error_info().unwrap().reason
}

#[tokio::test]
async fn a_token_that_is_rejected_or_revoked_ends_the_watch() {
    let sandbox = Sandbox::start();
    let gateway = sandbox.gateway(Limits::default()).await;
    let user = Sandbox::user(1);
    let expired = WatchCall::try_open(&gateway, &[&user], "expired", None).await;
    let status = expired.unwrap().end().await;
    assert_eq!(status.code(), Code::Unauthenticated, "{status:?}");

    let mut watch = WatchCall::open(&gateway, &[&user]).await;
    watch.until_mode(Mode::Live).await;
    sandbox.misbehave("token-revoked on=now token=token").await;
    let status = watch.end().await;
    assert_eq!(status.code(), Code::Unauthenticated, "{status:?}");
    assert_eq!(reason(&status), "TOKEN_REVOKED");
}

#[tokio::test]
async fn only_the_callers_deadline_ends_a_watch() {
    let sandbox = Sandbox::start();
    let limits = Limits {
        default_deadline: Duration::from_millis(1),
        max_deadline: Duration::from_millis(1500),
        ..Limits::default()
    };
    let gateway = sandbox.gateway(limits).await;
    let user = Sandbox::user(1);
    let deadline = Some(Duration::from_secs(3));
    let mut unlimited = WatchCall::open(&gateway, &[&user]).await;
    let limited = WatchCall::try_open(&gateway, &[&user], "token", deadline).await;
    let mut limited = limited.unwrap();
    limited.until_mode(Mode::Live).await;
    let status = limited.end().await;
    assert_eq!(status.code(), Code::DeadlineExceeded, "{status:?}");
    // Longer than any deadline of a call.
    sandbox.set(&user, "Training").await;
    unlimited.until_presence(&user, "Training").await;
}

#[tokio::test]
async fn a_drain_ends_a_watch_so_that_another_replica_serves_it() {
    let sandbox = Sandbox::start();
    let (stop, stopped) = oneshot::channel::<()>();
    let stopped = async { drop(stopped.await) };
    let (gateway, serving) = Gateway::start_until(&sandbox.url(), Limits::default(), stopped).await;
    let mut watch = WatchCall::open(&gateway, &[&Sandbox::user(1)]).await;
    watch.until_mode(Mode::Live).await;
    stop.send(()).unwrap();
    let status = watch.end().await;
    assert_eq!(status.code(), Code::Unavailable, "{status:?}");
    assert_eq!(reason(&status), "SHUTTING_DOWN");
    serving.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_prints_a_line_for_each_message_until_a_signal() {
    let sandbox = Sandbox::start();
    let url = sandbox.url();
    let serving = ServerProcess::start(&["serve", "--upstream-url", &url], &[]);
    let user = Sandbox::user(1);
    let request = format!(r#"{{"ids": ["{user}"]}}"#);
    let call = ["call", "WatchUsersPresences", &request];
    let call = [&call[..], &["--address", &serving.address]].concat();
    let mut call = RunningProcess::start(&call, &[("PRESENCE_GATEWAY_TOKEN", "any")]);
    let first: serde_json::Value = serde_json::from_str(&call.line()).unwrap();
    assert_eq!(first["presence"]["userId"], user.as_str());
    assert_eq!(first["presence"]["cause"], "SNAPSHOT");
    let second: serde_json::Value = serde_json::from_str(&call.line()).unwrap();
    assert_eq!(second["state"]["mode"], "LIVE");
    sandbox.set(&user, "Training").await;
    let third: serde_json::Value = serde_json::from_str(&call.line()).unwrap();
    assert_eq!(third["presence"]["cause"], "CHANGE");
    let status = call.signal_until_ended("INT");
    assert_eq!(status.code(), Some(130));
}
