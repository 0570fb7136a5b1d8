//! A vendor whose notifications fail.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use presence_gateway::proto::v1::watch_state::Mode;
use presence_gateway::watch::{WatchLimits, WatchMode};
use serde_json::json;
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
    let ends = [
        "cut on=now",
        "close=1001 on=now",
        "close=1011 on=now",
        "socket-closing=200ms on=now",
        "no-longer-subscribed on=now",
        "huge on=now",
        "expire,cut on=now",
    ];
    let checks = ends.map(|end| async move {
        let (sandbox, _gateway, mut watch, user) = live().await;
        // What comes until then is lost.
        sandbox.misbehave("drop on=event times=1").await;
        sandbox.set(&user, "Training").await;
        sandbox.misbehave(end).await;
        watch.until_presence(&user, "Training").await;
        watch.until_mode(Mode::Live).await;
        sandbox.set(&user, "Meal").await;
        watch.until_presence(&user, "Meal").await;
    });
    join_all(checks).await;
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
async fn a_limit_of_notifications_delays_no_other_request_of_the_token() {
    let checks = [
        "status=429 method=POST path=*/notifications/channels",
        "retry-after=600 method=POST path=*/notifications/channels",
        "retry-after=600 method=PUT path=*/subscriptions",
    ];
    let checks = checks.map(|rule| async move {
        let sandbox = Sandbox::start();
        sandbox.misbehave(rule).await;
        let mut limits = limits(WatchMode::Auto);
        limits.watch.poll_after = Duration::from_millis(100);
        let gateway = sandbox.gateway(limits).await;
        let user = Sandbox::user(1);
        let mut watch = WatchCall::open(&gateway, &[&user]).await;
        watch.until_mode(Mode::Polling).await;
        let (code, _) = reason(&watch);
        assert_eq!(code, Code::ResourceExhausted, "{rule}");
        sandbox.set(&user, "Training").await;
        watch.until_presence(&user, "Training").await;
        let call = gateway.call(
            "GetUserPresence",
            json!({"user_id": user, "source_id": "PURECLOUD"}),
        );
        assert!(call.await.is_ok(), "{rule}");
    });
    join_all(checks).await;
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

#[tokio::test]
async fn a_socket_that_is_silent_from_its_opening_is_replaced() {
    let sandbox = Sandbox::start_with(&[("PRESENCE_GATEWAY_SANDBOX_HEARTBEAT", "100ms")]);
    sandbox.misbehave("silence on=connect times=1").await;
    let limits = Limits {
        watch: WatchLimits {
            max_silence: Duration::from_secs(1),
            ..WatchLimits::default()
        },
        ..Limits::default()
    };
    let gateway = sandbox.gateway(limits).await;
    let user = Sandbox::user(1);
    let mut watch = WatchCall::open(&gateway, &[&user]).await;
    watch.until_mode(Mode::Live).await;
    // Nobody announces it.
    sandbox.set(&user, "Training").await;
    watch.until_mode(Mode::Resyncing).await;
    assert_eq!(watch.presences[&user], "Available");
    watch.until_mode(Mode::Live).await;
    assert_eq!(watch.presences[&user], "Training");
    sandbox.set(&user, "Meal").await;
    watch.until_presence(&user, "Meal").await;
    assert_eq!(sandbox.count("websocket").await, 2);
    assert_eq!(sandbox.count("post_notifications_channels").await, 1);
}

#[tokio::test]
async fn a_vendor_that_closes_each_socket_is_polled_and_gets_few_requests() {
    let begin = Instant::now();
    let sandbox = Sandbox::start();
    sandbox.misbehave("close=1001,delay=100ms on=connect").await;
    let poll_interval = Duration::from_millis(500);
    let limits = Limits {
        watch: WatchLimits {
            poll_interval,
            poll_after: Duration::from_millis(500),
            ..WatchLimits::default()
        },
        ..Limits::default()
    };
    let gateway = sandbox.gateway(limits).await;
    let ids: Vec<String> = (1..=100).map(Sandbox::user).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let mut watch = WatchCall::open(&gateway, &ids).await;
    watch.until_mode(Mode::Polling).await;
    let why = reason(&watch);
    assert_eq!(
        why,
        (Code::Unavailable, "NOTIFICATIONS_UNAVAILABLE".to_owned())
    );
    for presence in ["Training", "Meal", "Break"] {
        sandbox.set(ids[70], presence).await;
        watch.until_presence(ids[70], presence).await;
    }
    // The delays between connections grow: at least 0, 1, 3 and 7 s pass before
    // the second to the fifth one.
    let elapsed = begin.elapsed();
    let delays = [0, 1, 3, 7, 15, 31].map(Duration::from_secs);
    let connections = 1 + delays.iter().filter(|&&delay| delay <= elapsed).count();
    let polls = usize::try_from(elapsed.as_millis() / poll_interval.as_millis()).unwrap();
    let (opened, created) = (
        sandbox.count("websocket").await,
        sandbox.count("post_notifications_channels").await,
    );
    assert!(opened <= connections, "{opened} connections in {elapsed:?}");
    // After two connections that do not last, a channel is not used any more.
    assert!(
        created <= 1 + opened / 2,
        "{created} channels, {opened} connections"
    );
    let subscribed = sandbox
        .count("put_notifications_channel_subscriptions")
        .await;
    assert!(
        (1..=opened).contains(&subscribed),
        "{subscribed} subscriptions"
    );
    let read = sandbox.count("get_users_presences_purecloud_bulk").await;
    let reads = 2 * (1 + opened + polls);
    assert!(
        read <= reads,
        "{read} reads, {reads} expected in {elapsed:?}"
    );
}
