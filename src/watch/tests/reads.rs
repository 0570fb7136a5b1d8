//! Reads that the vendor refuses, and notifications that make the gateway read.

use std::time::Duration;

use tokio::time::pause;
use tonic::Code;

use super::scene::{AT_ONCE, Scene, seconds};
use crate::proto::v1::watch_state::Mode;
use crate::watch::Settings;

#[tokio::test]
async fn an_id_that_the_vendor_does_not_read_costs_only_itself() {
    pause();
    for status in [400, 403, 404] {
        let scene = Scene::new(Settings::default());
        let ids = scene.create_users(120);
        scene
            .vendor
            .0
            .lock()
            .unreadable
            .insert("u17".to_owned(), status);
        let watch = scene.watch(&ids, AT_ONCE);
        seconds(5).await;
        // Those of its batch are not current as long as they are not read.
        assert_eq!(watch.mode(), Some(Mode::Resyncing), "{status}");
        seconds(40).await;
        assert_eq!(watch.received.lock().failed, ["u17"], "{status}");
        assert_eq!(watch.received.lock().presences.len(), 119, "{status}");
        assert_eq!(watch.mode(), Some(Mode::Live), "{status}");
        let requests = scene.vendor.requests();
        assert!(requests.read < 3 + 12 + 5, "{status}: {requests:?}");
        // It disturbs no later read.
        scene.vendor.cut("lost");
        scene.vendor.change("u18");
        seconds(5).await;
        assert!(scene.is_current(&watch, "u18"), "{status}");
        assert_eq!(scene.vendor.requests().read, requests.read + 3, "{status}");
    }
}

#[tokio::test]
async fn a_refusal_that_passes_fails_nobody() {
    pause();
    for status in [400, 403, 404] {
        let scene = Scene::new(Settings::default());
        let ids = scene.create_users(50);
        let watch = scene.watch(&ids, AT_ONCE);
        seconds(5).await;
        scene.vendor.0.lock().no_reads = Some(status);
        scene.vendor.cut("lost");
        scene.vendor.change("u7");
        seconds(2).await;
        scene.vendor.0.lock().no_reads = None;
        seconds(5).await;
        assert!(scene.is_current(&watch, "u7"), "{status}");
        assert_eq!(watch.received.lock().failed, [""; 0], "{status}");
        assert_eq!(watch.mode(), Some(Mode::Live), "{status}");
    }
}

#[tokio::test]
async fn a_token_that_may_read_nobody_is_reported_with_the_reason() {
    pause();
    let scene = Scene::new(Settings::default());
    let ids = scene.create_users(3);
    scene.vendor.0.lock().no_reads = Some(403);
    let watch = scene.watch(&ids, AT_ONCE);
    seconds(10).await;
    assert_eq!(watch.mode(), Some(Mode::Resyncing));
    assert_eq!(
        watch.received.lock().why,
        Some(Code::PermissionDenied.into())
    );
    seconds(60).await;
    assert_eq!(watch.received.lock().failed.len(), 3);
}

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
    assert!(reads <= 61, "{reads} in a minute");
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
async fn reads_that_fail_together_delay_the_next_one_once() {
    pause();
    let scene = Scene::new(Settings::default());
    let ids = scene.create_users(400);
    let watch = scene.watch(&ids, AT_ONCE);
    seconds(5).await;
    scene.vendor.0.lock().no_reads = Some(500);
    scene.vendor.cut("lost");
    scene.vendor.change("u7");
    let before = scene.vendor.requests().read;
    while scene.vendor.requests().read < before + 8 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    tokio::time::sleep(Duration::from_millis(60)).await;
    scene.vendor.0.lock().no_reads = None;
    seconds(5).await;
    assert!(scene.is_current(&watch, "u7"));
    assert_eq!(watch.mode(), Some(Mode::Live));
}
