//! Reads that fail, and reads that the vendor refuses.

use std::time::Duration;

use tokio::time::{pause, sleep};
use tonic::Code;

use super::scene::{AT_ONCE, Scene, SimWatch, seconds};
use crate::proto::v1::watch_state::Mode;
use crate::watch::Settings;

/// A watch of so many users, of whom reads of some fail with a status.
fn watch_with(count: usize, wrong: impl Iterator<Item = usize>, status: u16) -> (Scene, SimWatch) {
    let scene = Scene::new(Settings::default());
    let ids = scene.create_users(count);
    for number in wrong {
        let unreadable = &mut scene.vendor.0.lock().unreadable;
        unreadable.insert(format!("u{number}"), status);
    }
    let watch = scene.watch(&ids, AT_ONCE);
    (scene, watch)
}

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
        // The parts into which the batch was split are paced.
        seconds(40).await;
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
async fn a_refusal_of_one_user_that_passes_fails_nobody_however_often_it_is_wanted() {
    pause();
    for status in [400, 403, 404] {
        let scene = Scene::new(Settings::default());
        let ids = scene.create_users(1);
        let watch = scene.watch(&ids, AT_ONCE);
        seconds(5).await;
        scene.vendor.0.lock().no_reads = Some(status);
        scene.vendor.0.lock().rewrite = Some(|text| text.replace("modifiedDate", "date"));
        for _ in 0..60 {
            scene.vendor.change("u0");
            sleep(Duration::from_millis(100)).await;
        }
        scene.vendor.0.lock().no_reads = None;
        seconds(10).await;
        assert_eq!(watch.received.lock().failed, [""; 0], "{status}");
        assert!(scene.is_current(&watch, "u0"), "{status}");
        assert_eq!(watch.mode(), Some(Mode::Live), "{status}");
    }
}

#[tokio::test]
async fn a_user_whose_reads_fail_keeps_no_other_one_waiting() {
    pause();
    for (count, status) in [(50, 500), (50, 503), (120, 502), (1000, 504)] {
        let (scene, watch) = watch_with(count, [17].into_iter(), status);
        seconds(15).await;
        let received = watch.received.lock().presences.len();
        assert_eq!(received, count - 1, "{status} of one of {count}");
        assert_eq!(watch.mode(), Some(Mode::Resyncing), "{status}");
        seconds(200).await;
        let before = scene.vendor.requests().read;
        seconds(600).await;
        let reads = scene.vendor.requests().read - before;
        assert!(reads <= 12, "{status}: {reads} in ten minutes");
        assert_eq!(watch.received.lock().failed, [""; 0], "{status}");
        // Nor is a watch that comes.
        scene.vendor.change("later");
        let other = scene.watch(&["later".to_owned()], AT_ONCE);
        seconds(2).await;
        assert_eq!(other.mode(), Some(Mode::Live), "{status}");
        // It is read as soon as it can be.
        scene.vendor.0.lock().unreadable.clear();
        seconds(70).await;
        assert!(scene.is_current(&watch, "u17"), "{status}");
        assert_eq!(watch.mode(), Some(Mode::Live), "{status}");
    }
}

#[tokio::test]
async fn after_an_outage_all_users_are_read_at_once() {
    pause();
    let scene = Scene::new(Settings::default());
    let ids = scene.create_users(1000);
    scene.vendor.0.lock().no_reads = Some(503);
    let watch = scene.watch(&ids, AT_ONCE);
    seconds(600).await;
    let before = scene.vendor.requests().read;
    assert!(before < 8 + 24, "{before} reads in an outage");
    scene.vendor.0.lock().no_reads = None;
    seconds(70).await;
    assert_eq!(watch.received.lock().presences.len(), 1000);
    assert_eq!(watch.mode(), Some(Mode::Live));
    let reads = scene.vendor.requests().read - before;
    assert!(reads <= 22, "{reads} reads for 1000 users");
}

#[tokio::test]
async fn refused_users_in_each_batch_delay_the_others_little() {
    pause();
    let wrong = || (0..20).map(|batch| batch * 50 + batch);
    let (scene, watch) = watch_with(1000, wrong(), 404);
    seconds(60).await;
    let received = watch.received.lock().presences.len();
    assert!(received > 500, "{received} after a minute");
    seconds(300).await;
    assert_eq!(watch.received.lock().presences.len(), 980);
    assert_eq!(watch.received.lock().failed.len(), 20);
    assert_eq!(watch.mode(), Some(Mode::Live));
    let reads = scene.vendor.requests().read;
    assert!(reads < 20 * 20, "{reads} reads");
}

#[tokio::test]
async fn a_notification_that_cannot_be_read_does_not_wait_for_the_search_of_refused_users() {
    pause();
    let (scene, watch) = watch_with(1000, (0..1000).filter(|number| number % 3 == 0), 404);
    seconds(60).await;
    let known = watch.received.lock().presences.keys().next().cloned();
    let known = known.unwrap();
    scene.vendor.0.lock().rewrite = Some(|text| text.replace("modifiedDate", "date"));
    scene.vendor.change(&known);
    seconds(5).await;
    assert!(scene.is_current(&watch, &known));
    assert_eq!(watch.mode(), Some(Mode::Resyncing));
}

#[tokio::test]
async fn a_token_that_may_read_nobody_costs_few_reads() {
    pause();
    for count in [1000, 5000] {
        let (scene, watch) = watch_with(count, 0..count, 403);
        seconds(25).await;
        assert_eq!(watch.end(), Some(Code::PermissionDenied), "{count}");
        assert_eq!(watch.received.lock().failed.len(), count);
        let reads = scene.vendor.requests().read;
        assert!(reads < 45, "{reads} reads of {count}");
    }
}

#[tokio::test]
async fn users_whom_a_token_may_read_do_not_fail_with_many_others() {
    pause();
    let (_scene, watch) = watch_with(500, 0..300, 403);
    seconds(3600).await;
    assert_eq!(watch.received.lock().failed.len(), 300);
    assert_eq!(watch.received.lock().presences.len(), 200);
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
        sleep(Duration::from_millis(1)).await;
    }
    sleep(Duration::from_millis(60)).await;
    scene.vendor.0.lock().no_reads = None;
    seconds(5).await;
    assert!(scene.is_current(&watch, "u7"));
    assert_eq!(watch.mode(), Some(Mode::Live));
}
