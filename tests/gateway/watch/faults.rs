//! A vendor whose notifications fail.

use std::time::Duration;

use presence_gateway::proto::v1::watch_state::Mode;
use presence_gateway::watch::{WatchLimits, WatchMode};
use tonic::Code;
use tonic_types::pb::ErrorInfo;

use crate::support::sandbox::Sandbox;
use crate::support::watch_caller::WatchCall;
use crate::support::{Gateway, Limits};

/// A sandbox, a gateway that polls often, and a watch of one user that is live.
async fn live() -> (Sandbox, Gateway, WatchCall, String) {
    let sandbox = Sandbox::start();
    let gateway = sandbox.gateway(limits(WatchMode::Auto)).await;
    let user = Sandbox::user(1);
    let mut watch = WatchCall::open(&gateway, &[&user]).await;
    watch.until_mode(Mode::Live).await;
    (sandbox, gateway, watch, user)
}

fn limits(mode: WatchMode) -> Limits {
    Limits {
        watch: WatchLimits {
            mode,
            poll_interval: Duration::from_secs(1),
            ..WatchLimits::default()
        },
        ..Limits::default()
    }
}

/// Why a watch is not live.
fn reason(watch: &WatchCall) -> (Code, String) {
    let status = watch.states.last().unwrap().status.clone().unwrap();
    let info = status.details[0].value.as_slice();
    let info: ErrorInfo = prost::Message::decode(info).unwrap();
    (status.code.into(), info.reason)
}

#[tokio::test]
async fn whatever_ends_a_socket_the_presences_are_read_again() {
    for end in [
        "cut on=now",
        "close=1001 on=now",
        "close=1011 on=now",
        "socket-closing=200ms on=now",
        "no-longer-subscribed on=now",
        "huge on=now",
        "expire,cut on=now",
    ] {
        let (sandbox, _gateway, mut watch, user) = live().await;
        // What comes until then is lost.
        sandbox.misbehave("drop on=event times=1").await;
        sandbox.set(&user, "Training").await;
        sandbox.misbehave(end).await;
        watch.until_presence(&user, "Training").await;
        watch.until_mode(Mode::Live).await;
        sandbox.set(&user, "Meal").await;
        watch.until_presence(&user, "Meal").await;
    }
}

#[tokio::test]
async fn odd_notifications_do_no_harm() {
    for odd in [
        "garbage on=now",
        "empty on=now",
        "binary on=event",
        "stranger on=now",
        "duplicate on=event",
        "unknown-field on=event",
        "null-body on=event",
        "wrong-shape on=event",
        "half-json on=event",
        "date=yesterday on=event",
        "date on=event",
        "recase on=event",
        "spelling=new on=event times=1",
    ] {
        let (sandbox, _gateway, mut watch, user) = live().await;
        sandbox.misbehave(odd).await;
        sandbox.set(&user, "Away").await;
        let last = if odd.starts_with("spelling") {
            sandbox.set(&user, "Training").await;
            "Training"
        } else {
            "Away"
        };
        watch.until_presence(&user, last).await;
        sandbox.behave().await;
        sandbox.set(&user, "Meal").await;
        watch.until_presence(&user, "Meal").await;
    }
}

#[tokio::test]
async fn without_notifications_users_are_polled_with_the_reason() {
    let unavailable = "NOTIFICATIONS_UNAVAILABLE";
    let elsewhere = "uri=wss://streaming.evil.invalid/channels/* on=channel";
    for (rule, mode, code, expected) in [
        ("", WatchMode::Poll, Code::Unavailable, unavailable),
        (
            "status=403 method=POST path=*/notifications/channels",
            WatchMode::Auto,
            Code::PermissionDenied,
            "",
        ),
        (elsewhere, WatchMode::Auto, Code::Unavailable, unavailable),
    ] {
        let sandbox = Sandbox::start();
        if !rule.is_empty() {
            sandbox.misbehave(rule).await;
        }
        let gateway = sandbox.gateway(limits(mode)).await;
        let user = Sandbox::user(1);
        let mut watch = WatchCall::open(&gateway, &[&user]).await;
        watch.until_mode(Mode::Polling).await;
        let (actual, reason) = reason(&watch);
        assert_eq!(actual, code, "{rule}");
        assert!(
            expected.is_empty() || reason == expected,
            "{rule}: {reason}"
        );
        sandbox.set(&user, "Training").await;
        watch.until_presence(&user, "Training").await;
    }
}

#[tokio::test]
async fn a_forbidden_topic_costs_only_its_own_user() {
    let sandbox = Sandbox::start();
    let gateway = sandbox.gateway(Limits::default()).await;
    let (one, other) = (Sandbox::user(1), Sandbox::user(2));
    let rule = format!("reject on=subscribe id={one}");
    sandbox.misbehave(&rule).await;
    let mut watch = WatchCall::open(&gateway, &[&one, &other]).await;
    watch.until_mode(Mode::Live).await;
    let denied = Code::PermissionDenied.into();
    assert_eq!(watch.failed.get(&one), Some(&denied));
    sandbox.set(&other, "Training").await;
    watch.until_presence(&other, "Training").await;
    assert!(!watch.presences.contains_key(&one));
}
