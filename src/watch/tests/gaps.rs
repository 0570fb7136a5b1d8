//! Notifications that may be lost.

use std::time::Duration;

use tokio::time::{pause, sleep};

use super::scene::{AT_ONCE, Scene, seconds};
use crate::proto::v1::user_presence_change::Cause;
use crate::proto::v1::watch_state::Mode;
use crate::watch::Settings;

#[tokio::test]
async fn after_each_gap_all_users_are_read_once() {
    let (scene, watch) = Scene::live(100).await;
    let before = scene.vendor.requests();
    scene.vendor.cut("lost");
    scene.vendor.change("u1");
    seconds(5).await;
    assert!(scene.is_current(&watch, "u1"), "within 5 s");
    let modes = watch.received.lock().modes.clone();
    assert_eq!(modes[modes.len() - 2..], [Mode::Resyncing, Mode::Live]);
    assert_eq!(watch.received.lock().causes.last(), Some(&Cause::Resync));
    let after = scene.vendor.requests();
    assert_eq!(after.read - before.read, 2, "two reads for 100 users");
    assert_eq!(after.created, 1, "the same channel");

    // A silent one counts as lost.
    scene.vendor.silence();
    scene.vendor.change("u2");
    seconds(80).await;
    assert!(scene.is_current(&watch, "u2"));
    assert_eq!(watch.mode(), Some(Mode::Live));

    // So does one whose subscriptions the vendor ended.
    scene.vendor.unsubscribe();
    scene.vendor.change("u3");
    seconds(10).await;
    assert!(scene.is_current(&watch, "u3"));
    assert_eq!(scene.vendor.requests().created, 2);
    assert_eq!(watch.received.lock().wrong, [""; 0]);
}

#[tokio::test]
async fn before_the_vendor_closes_a_socket_another_one_is_open() {
    let (scene, watch) = Scene::live(100).await;
    let before = scene.vendor.requests();
    scene.vendor.announce_closing();
    // No change waits for the other one.
    for _ in 0..80 {
        scene.vendor.change("u1");
        sleep(Duration::from_millis(1)).await;
        assert!(scene.is_current(&watch, "u1"));
        sleep(Duration::from_millis(99)).await;
    }
    let after = scene.vendor.requests();
    assert_eq!(after.opened, before.opened + 1);
    assert_eq!(after.subscribed, before.subscribed + 1);
    assert_eq!(after.read, before.read + 2);
    assert_eq!(watch.received.lock().wrong, [""; 0]);
}

#[tokio::test]
async fn a_connection_that_replaces_a_short_one_gets_further_topics() {
    pause();
    let scene = Scene::new(Settings::default());
    let ids = scene.create_users(20);
    let first = scene.watch(&ids[..10], AT_ONCE);
    seconds(5).await;
    scene.vendor.cut("lost");
    seconds(5).await;
    // The second connection of the channel that does not last: the third one replaces it.
    scene.vendor.announce_closing();
    seconds(8).await;
    let second = scene.watch(&ids[10..], AT_ONCE);
    seconds(5).await;
    for watch in [&first, &second] {
        assert_eq!(watch.mode(), Some(Mode::Live));
    }
    assert_eq!(scene.vendor.0.lock().topics().len(), 20);
}

#[tokio::test]
async fn topics_that_are_written_during_a_gap_do_not_replace_the_read_after_it() {
    pause();
    let scene = Scene::new(Settings::default());
    let ids = scene.create_users(20);
    let watch = scene.watch(&ids[..10], AT_ONCE);
    seconds(100).await;
    scene.vendor.0.lock().slowness = Duration::from_secs(8);
    let other = scene.watch(&ids[10..], AT_ONCE);
    sleep(Duration::from_millis(100)).await;
    scene.vendor.cut("lost");
    scene.vendor.0.lock().slowness = Duration::ZERO;
    scene.vendor.change("u1");
    seconds(30).await;
    assert!(scene.is_current(&watch, "u1"));
    assert_eq!(
        (watch.mode(), other.mode()),
        (Some(Mode::Live), Some(Mode::Live))
    );
}

#[tokio::test]
async fn a_read_that_began_before_a_gap_does_not_count() {
    let (scene, watch) = Scene::live(10).await;
    scene.vendor.0.lock().read_delay = Duration::from_secs(8);
    scene.vendor.cut("lost");
    seconds(2).await;
    // The read after the first gap is under way.
    scene.vendor.cut("lost");
    scene.vendor.change("u1");
    assert_eq!(watch.mode(), Some(Mode::Resyncing));
    seconds(30).await;
    assert!(scene.is_current(&watch, "u1"));
}

#[tokio::test]
async fn a_read_does_not_replace_a_notification_that_came_meanwhile_with_its_date() {
    let (scene, watch) = Scene::live(10).await;
    {
        let mut sim = scene.vendor.0.lock();
        (sim.delay, sim.read_delay) = (Duration::from_hours(1), Duration::from_secs(5));
    }
    // Its notification comes late, but a read has it.
    scene.vendor.change("u1");
    scene.vendor.0.lock().delay = Duration::ZERO;
    scene
        .vendor
        .send_all(r#"{"topicName":"v2.users.u1.presence","eventBody":null}"#);
    seconds(1).await;
    scene.vendor.change_again("u1");
    seconds(1).await;
    assert!(scene.is_current(&watch, "u1"));
    seconds(20).await;
    assert!(scene.is_current(&watch, "u1"));
    assert_eq!(watch.received.lock().wrong, [""; 0]);
}

#[tokio::test]
async fn a_watch_is_not_live_while_there_is_no_connection() {
    let (scene, watch) = Scene::live(10).await;
    scene.vendor.0.lock().no_socket = true;
    scene.vendor.cut("lost");
    seconds(1).await;
    assert_eq!(watch.mode(), Some(Mode::Resyncing));
}

#[tokio::test]
async fn a_channel_is_replaced_before_its_end() {
    pause();
    let scene = Scene::new(Settings::default());
    scene.vendor.0.lock().life = Some(Duration::from_hours(24));
    let ids = scene.create_users(10);
    let watch = scene.watch(&ids, AT_ONCE);
    seconds(24 * 3600).await;
    assert_eq!(scene.vendor.requests().created, 2);
    scene.vendor.change("u1");
    seconds(1).await;
    assert!(scene.is_current(&watch, "u1"));
}

#[tokio::test]
async fn a_vendor_that_closes_each_socket_gets_a_bounded_number_of_requests() {
    pause();
    let scene = Scene::new(Settings::default());
    let ids = scene.create_users(100);
    let watch = scene.watch(&ids, AT_ONCE);
    for second in 0..3600 {
        seconds(1).await;
        scene.vendor.cut("closed");
        if second % 10 == 0 {
            scene.vendor.change("u1");
        }
    }
    let requests = scene.vendor.requests();
    // A connection every 45 s on average, and a poll every 30 s.
    assert!(requests.opened < 130, "{requests:?}");
    assert!(requests.read < 4 * (130 + 120), "{requests:?}");
    seconds(60).await;
    assert!(scene.is_current(&watch, "u1"));
    assert_eq!(watch.received.lock().wrong, [""; 0]);
}

#[tokio::test]
async fn garbage_makes_users_be_read_again_at_most_once_a_minute() {
    pause();
    let scene = Scene::new(Settings::default());
    let ids = scene.create_users(50);
    let watch = scene.watch(&ids, AT_ONCE);
    seconds(5).await;
    let before = scene.vendor.requests().read;
    for _ in 0..130 {
        scene.vendor.send_all("garbage");
        seconds(1).await;
    }
    assert_eq!(scene.vendor.requests().read - before, 3);
    assert_eq!(watch.mode(), Some(Mode::Resyncing));
    // The read after the last one of them.
    seconds(60).await;
    assert_eq!(scene.vendor.requests().read - before, 4);
    assert_eq!(watch.mode(), Some(Mode::Live));
    // A notification without a date makes its user be read.
    scene.vendor.send_all(
        r#"{"topicName":"v2.users.u1.presence","eventBody":{"presenceDefinition":{"id":"x"}}}"#,
    );
    scene
        .vendor
        .send_all(r#"{"topicName":"v2.users.else.presence","eventBody":{}}"#);
    seconds(5).await;
    assert_eq!(scene.vendor.requests().read - before, 5);
    assert_eq!(watch.mode(), Some(Mode::Live));
}
