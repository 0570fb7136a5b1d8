//! Users whom nobody watches any more, until somebody watches them again.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, pause, sleep};

use super::scene::{AT_ONCE, Scene, context, seconds};
use crate::proto::v1::user_presence_change::Cause;
use crate::proto::v1::watch_state::Mode;
use crate::watch::channel::MAX_TOPICS;
use crate::watch::{Settings, WatchLimits};

/// All requests that count: created channels, subscriptions and reads.
fn requests(scene: &Scene) -> (usize, usize, usize) {
    let requests = scene.vendor.requests();
    (requests.created, requests.subscribed, requests.read)
}

#[tokio::test]
async fn a_caller_that_reconnects_again_and_again_costs_no_request() {
    pause();
    let scene = Scene::new(Settings::default());
    let ids = scene.create_users(100);
    let mut watch = scene.watch(&ids, AT_ONCE);
    seconds(5).await;
    let first = requests(&scene);
    assert_eq!(first, (1, 1, 2));
    for round in 0..30 {
        drop(watch);
        seconds(10).await;
        scene.vendor.change("u7");
        seconds(10).await;
        watch = scene.watch(&ids, AT_ONCE);
        seconds(1).await;
        let received = watch.received.lock();
        assert_eq!(received.presences, scene.latest(), "round {round}");
        assert_eq!(received.causes, [Cause::Snapshot; 100]);
        assert_eq!(received.modes, [Mode::Live]);
    }
    assert_eq!(requests(&scene), first);
}

#[tokio::test]
async fn a_hub_ends_half_a_minute_after_its_last_watch() {
    let (scene, watch) = Scene::live(10).await;
    let shared = Arc::clone(&scene.join(&watch.ids).shared);
    drop(watch);
    seconds(29).await;
    assert_eq!(scene.hubs(), 1);
    assert_eq!(shared.lock().state.users.len(), 10);
    seconds(2).await;
    assert_eq!(scene.hubs(), 0);
    assert_eq!(requests(&scene), (1, 1, 1));
}

#[tokio::test]
async fn a_user_who_is_kept_is_read_after_a_gap_only_if_somebody_watches_again() {
    let (scene, watch) = Scene::live(10).await;
    let other = scene.watch(&["u0".to_owned()], AT_ONCE);
    seconds(1).await;
    let ids = watch.ids.clone();
    drop(watch);
    let before = requests(&scene);
    scene.vendor.send_all("{");
    seconds(5).await;
    let (created, subscribed, read) = requests(&scene);
    assert_eq!((created, subscribed, read), (1, 1, before.2 + 1));
    assert_eq!(other.mode(), Some(Mode::Live));
    // One change was lost in the gap.
    scene.vendor.0.lock().users.insert("u7".to_owned(), 999);
    let again = scene.watch(&ids, AT_ONCE);
    seconds(1).await;
    assert_eq!(again.received.lock().presences, scene.latest());
    assert_eq!(again.received.lock().causes.last(), Some(&Cause::Resync));
    assert_eq!(again.mode(), Some(Mode::Live));
    assert_eq!(requests(&scene), (1, 1, read + 1));
}

#[tokio::test]
async fn a_connection_that_nobody_needs_is_not_made_again() {
    let (scene, watch) = Scene::live(10).await;
    drop(watch);
    seconds(1).await;
    let before = scene.vendor.requests().opened;
    scene.vendor.cut("cut");
    seconds(1).await;
    assert_eq!(scene.hubs(), 0);
    assert_eq!(scene.vendor.requests().opened, before);
}

#[tokio::test]
async fn users_who_are_kept_make_room_in_a_full_channel() {
    pause();
    let settings = Settings {
        limits: WatchLimits {
            channels: 1,
            ..WatchLimits::default()
        },
        ..Settings::default()
    };
    let scene = Scene::new(settings);
    let ids = scene.create_users(MAX_TOPICS + 200);
    let (first, second) = ids.split_at(MAX_TOPICS);
    let watch = scene.watch(first, AT_ONCE);
    seconds(10).await;
    drop(watch);
    seconds(1).await;
    let watch = scene.watch(second, AT_ONCE);
    seconds(10).await;
    assert_eq!(watch.mode(), Some(Mode::Live));
    // Those who are left are current still.
    let read = scene.vendor.requests().read;
    let again = scene.watch(first, AT_ONCE);
    seconds(5).await;
    assert_eq!(again.received.lock().presences.len(), MAX_TOPICS);
    assert_eq!(scene.vendor.requests().read, read + 200 / 50);
}

#[tokio::test]
async fn a_user_who_waits_for_room_does_not_wait_for_those_who_are_kept() {
    pause();
    let settings = Settings {
        limits: WatchLimits {
            channels: 1,
            ..WatchLimits::default()
        },
        ..Settings::default()
    };
    let scene = Scene::new(settings);
    let ids = scene.create_users(MAX_TOPICS + 10);
    let (first, second) = ids.split_at(MAX_TOPICS);
    let full = scene.watch(first, AT_ONCE);
    seconds(10).await;
    let polled = scene.watch(second, AT_ONCE);
    seconds(10).await;
    assert_eq!(polled.mode(), Some(Mode::Polling));
    drop(full);
    seconds(5).await;
    assert_eq!(polled.mode(), Some(Mode::Live));
}

#[tokio::test]
async fn the_number_of_hubs_without_watches_is_limited() {
    pause();
    let scene = Scene::new(Settings::default());
    // Each token has a user of its own.
    let ids = scene.create_users(110);
    let join = |id: &str| scene.join_with(&context(&scene.drain, id), &[id.to_owned()]);
    let mut watches = Vec::new();
    for id in &ids {
        watches.push(join(id));
    }
    seconds(5).await;
    for watch in watches {
        drop(watch);
        sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(scene.hubs(), 100);
    // The ten that were left first have ended.
    for (index, id) in ids.iter().enumerate().rev() {
        let created = scene.vendor.requests().created;
        let watch = join(id);
        sleep(Duration::from_millis(100)).await;
        drop(watch);
        let is_new = scene.vendor.requests().created > created;
        assert_eq!(is_new, index < 10, "{id}");
    }
}

#[tokio::test]
async fn what_is_kept_is_released_when_the_memory_is_needed() {
    let (scene, watch) = Scene::live(10).await;
    let shared = Arc::clone(&scene.join(&watch.ids).shared);
    drop(watch);
    seconds(1).await;
    assert_eq!(shared.lock().state.users.len(), 10);
    scene.remove_unwatched();
    assert_eq!(shared.lock().state.users.len(), 0);
    seconds(1).await;
    assert_eq!(scene.hubs(), 0);
    let begun = Instant::now();
    let again = scene.watch(&["u1".to_owned()], AT_ONCE);
    while again.mode() != Some(Mode::Live) {
        sleep(Duration::from_millis(10)).await;
        assert!(begun.elapsed() < Duration::from_secs(5), "never live");
    }
}
