//! Notifications that make the gateway read.

use std::time::Duration;

use tokio::time::pause;

use super::scene::{AT_ONCE, Scene, seconds};
use crate::proto::v1::watch_state::Mode;
use crate::watch::Settings;

#[tokio::test]
async fn notifications_without_a_date_leave_the_requests_to_calls() {
    pause();
    let scene = Scene::new(Settings::default());
    let ids = scene.create_users(1000);
    let watch = scene.watch(&ids, AT_ONCE);
    seconds(5).await;
    let without_date = |text: &str| text.replace("modifiedDate", "date");
    scene.vendor.0.lock().rewrite = Some(without_date);
    let before = scene.vendor.requests().read;
    for number in 0..600 {
        scene.vendor.change(&ids[number * 7 % 1000]);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let reads = scene.vendor.requests().read - before;
    // A burst of 12, and one a second.
    assert!(reads <= 73, "{reads} in a minute");
    seconds(5).await;
    assert_eq!(watch.received.lock().presences, scene.latest());
    assert_eq!(watch.mode(), Some(Mode::Live));
}

#[tokio::test]
async fn a_wrong_date_does_not_freeze_a_user() {
    pause();
    let far_ahead = |text: &str| text.replace("\"modifiedDate\":\"20", "\"modifiedDate\":\"90");
    let long_ago = |text: &str| text.replace("\"modifiedDate\":\"20", "\"modifiedDate\":\"19");
    for wrong in [far_ahead, long_ago] {
        let scene = Scene::new(Settings::default());
        let ids = scene.create_users(2);
        let watch = scene.watch(&ids, AT_ONCE);
        seconds(5).await;
        scene.vendor.0.lock().rewrite = Some(wrong);
        scene.vendor.change("u1");
        seconds(1).await;
        assert!(scene.is_current(&watch, "u1"));
        scene.vendor.0.lock().rewrite = None;
        scene.vendor.change("u1");
        seconds(1).await;
        assert!(scene.is_current(&watch, "u1"));
    }
}

#[tokio::test]
async fn the_presence_of_another_source_is_not_the_watched_one() {
    pause();
    let scene = Scene::new(Settings::default());
    let ids = scene.create_users(2);
    let watch = scene.watch(&ids, AT_ONCE);
    seconds(5).await;
    let of_teams = |text: &str| text.replace("PURECLOUD", "teams");
    let text = of_teams(&super::vendor::event("u1", 9));
    let before = scene.vendor.requests().read;
    scene.vendor.send_all(&text);
    seconds(5).await;
    assert!(scene.is_current(&watch, "u1"));
    assert_eq!(scene.vendor.requests().read, before);
    scene.change_all(&ids);
    seconds(1).await;
    assert!(scene.is_current(&watch, "u1"));
}

#[tokio::test]
async fn what_a_second_gap_loses_comes_within_a_minute() {
    pause();
    let scene = Scene::new(Settings::default());
    let ids = scene.create_users(2);
    let watch = scene.watch(&ids, AT_ONCE);
    seconds(5).await;
    scene.vendor.send_all("garbage");
    seconds(3).await;
    assert_eq!(watch.mode(), Some(Mode::Live));
    scene.vendor.0.lock().rewrite = Some(|text| text[..40].to_owned());
    scene.vendor.change("u1");
    seconds(1).await;
    // The gap is known, and not closed.
    assert_eq!(watch.mode(), Some(Mode::Resyncing));
    seconds(60).await;
    assert!(scene.is_current(&watch, "u1"));
    assert_eq!(watch.mode(), Some(Mode::Live));
}

#[tokio::test]
async fn a_user_whose_notification_cannot_be_read_is_not_live_until_a_read() {
    pause();
    let scene = Scene::new(Settings::default());
    let ids = scene.create_users(20);
    let watch = scene.watch(&ids, AT_ONCE);
    seconds(5).await;
    scene.vendor.0.lock().rewrite = Some(|text| text.replace("modifiedDate", "date"));
    scene.vendor.0.lock().read_delay = Duration::from_secs(3);
    scene.vendor.change("u1");
    seconds(1).await;
    assert!(!scene.is_current(&watch, "u1"));
    assert_eq!(watch.mode(), Some(Mode::Resyncing));
    seconds(4).await;
    assert!(scene.is_current(&watch, "u1"));
    assert_eq!(watch.mode(), Some(Mode::Live));
}
