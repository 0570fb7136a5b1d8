//! What a watch sends to its caller, and what it requests from the vendor.

use std::time::Duration;

use presence_gateway::proto::v1::user_presence_change::Cause;
use presence_gateway::proto::v1::watch_state::Mode;
use presence_gateway::proto::v1::watch_users_presences_response::Update;
use presence_gateway::watch::WatchLimits;
use serde_json::json;

use crate::support::Limits;
use crate::support::sandbox::Sandbox;
use crate::support::watch_caller::WatchCall;

#[tokio::test]
async fn a_watch_sends_the_presence_of_each_user_and_then_each_change() {
    let sandbox = Sandbox::start();
    let gateway = sandbox.gateway(Limits::default()).await;
    let (one, other) = (Sandbox::user(1), Sandbox::user(2));
    sandbox.set(&one, "Busy").await;
    let mut watch = WatchCall::open(&gateway, &[&one, &other, "nobody"]).await;
    watch.until_mode(Mode::Live).await;
    assert_eq!(watch.presences.len(), 2);
    assert_eq!(watch.presences[&one], "Busy");
    assert_eq!(watch.missing, ["nobody"]);

    sandbox.set(&one, "On Queue").await;
    let Some(Update::Presence(change)) = watch.next().await.unwrap().update else {
        panic!("no presence");
    };
    assert_eq!((&change.user_id, change.cause()), (&one, Cause::Change));
    // In the notification it is `ON_QUEUE`.
    assert_eq!(watch.presences[&one], "On Queue");
    assert!(change.presence.unwrap().modified_date.is_some());

    // So does a write through the gateway.
    let body = json!({"presenceDefinition": {"id": "31fe3bac-dea6-44b7-bed7-47f91660a1a0"}});
    let request = json!({"userId": other, "body": body});
    let patched = gateway.call("PatchUserPresencesPurecloud", request).await;
    patched.unwrap();
    watch.until_presence(&other, "Busy").await;
}

#[tokio::test]
async fn watches_of_a_token_share_a_channel_and_those_of_others_do_not() {
    let sandbox = Sandbox::start();
    let gateway = sandbox.gateway(Limits::default()).await;
    let user = Sandbox::user(1);
    let mut watches = Vec::new();
    for token in ["a", "a", "a", "b"] {
        let mut watch = WatchCall::try_open(&gateway, &[&user], token, None)
            .await
            .unwrap();
        watch.until_mode(Mode::Live).await;
        watches.push(watch);
    }
    assert_eq!(sandbox.channels().await.len(), 2);
    assert_eq!(sandbox.count("post_notifications_channels").await, 2);
    // The second and the third watch of a token need no request.
    let reads = sandbox.count("get_users_presences_purecloud_bulk").await;
    assert_eq!(reads, 2);
    sandbox.set(&user, "Meal").await;
    for watch in &mut watches {
        watch.until_presence(&user, "Meal").await;
    }
}

#[tokio::test]
async fn a_watch_repeats_its_state_when_nothing_else_comes() {
    let sandbox = Sandbox::start();
    let limits = Limits {
        watch: WatchLimits {
            heartbeat: Duration::from_millis(200),
            ..WatchLimits::default()
        },
        ..Limits::default()
    };
    let gateway = sandbox.gateway(limits).await;
    let mut watch = WatchCall::open(&gateway, &[&Sandbox::user(1)]).await;
    watch.until_mode(Mode::Live).await;
    for _ in 0..3 {
        let message = watch.next().await.unwrap();
        let Some(Update::State(state)) = message.update else {
            panic!("{message:?}");
        };
        assert_eq!(state.mode(), Mode::Live);
    }
}
