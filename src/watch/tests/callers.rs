//! Callers who read slowly, and the ends of watches.

use std::time::Duration;

use tokio::time::{Instant, pause, sleep};
use tonic::Code;

use super::scene::{AT_ONCE, Scene, seconds};
use crate::error::Error;
use crate::watch::Settings;

#[tokio::test]
async fn a_slow_reader_gets_the_latest_of_each_user() {
    pause();
    let scene = Scene::new(Settings::default());
    let ids = scene.create_users(10);
    let slow = scene.watch(&ids, Duration::from_secs(2));
    let quick = scene.watch(&ids, AT_ONCE);
    seconds(60).await;
    for _ in 0..100 {
        scene.change_all(&ids);
        sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(quick.received.lock().causes.len(), 10 + 1000);
    seconds(60).await;
    let expected = scene.latest();
    assert_eq!(slow.received.lock().presences, expected);
    let count = slow.received.lock().causes.len();
    assert!(count < 10 + 30, "{count}");
    assert_eq!(slow.received.lock().wrong, [""; 0]);
}

#[tokio::test]
async fn a_reader_that_takes_nothing_ends_its_own_watch() {
    pause();
    let scene = Scene::new(Settings::default());
    let ids = scene.create_users(10);
    let stuck = scene.watch(&ids, Duration::from_hours(10));
    let quick = scene.watch(&ids, AT_ONCE);
    seconds(40 * 3600).await;
    assert!(matches!(
        stuck.received.lock().end,
        Some(Error::WatchIdle(_))
    ));
    scene.change_all(&ids);
    seconds(1).await;
    let expected = scene.latest();
    assert_eq!(quick.received.lock().presences, expected);
}

#[tokio::test]
async fn a_token_that_dies_ends_all_its_watches() {
    pause();
    let scene = Scene::new(Settings::default());
    let ids = scene.create_users(10);
    let (one, other) = (scene.watch(&ids, AT_ONCE), scene.watch(&ids[..2], AT_ONCE));
    seconds(5).await;
    scene
        .vendor
        .send_all(r#"{"topicName":"v2.system.token_revoked.x","eventBody":{}}"#);
    seconds(1).await;
    for watch in [&one, &other] {
        assert_eq!(watch.end(), Some(Code::Unauthenticated));
        assert!(matches!(
            watch.received.lock().end,
            Some(Error::TokenRevoked)
        ));
    }
    // The next watch sends another request.
    scene.vendor.0.lock().failing = Some(401);
    let next = scene.watch(&ids, AT_ONCE);
    seconds(5).await;
    assert_eq!(next.end(), Some(Code::Unauthenticated));
}

#[tokio::test]
async fn a_drain_ends_a_watch() {
    pause();
    let scene = Scene::new(Settings::default());
    let ids = scene.create_users(1);
    let watch = scene.watch(&ids, AT_ONCE);
    seconds(5).await;
    scene.drain.begin(Instant::now() + Duration::from_secs(30));
    seconds(1).await;
    assert!(matches!(
        watch.received.lock().end,
        Some(Error::ShuttingDown)
    ));
}
