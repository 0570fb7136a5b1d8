//! Users whose reads fail for ever, and others of the same token.

use std::time::Duration;

use tokio::time::{Instant, pause, sleep};

use super::scene::{AT_ONCE, Scene, SimWatch, seconds};
use crate::proto::v1::watch_state::Mode;
use crate::watch::Settings;

/// How long a request takes until it fails by a timeout.
const TIMEOUT: Duration = Duration::from_secs(20);

fn ids(of: &str, count: usize) -> Vec<String> {
    (0..count).map(|number| format!("{of}{number}")).collect()
}

/// A token with so many users who can be read, and then so many whose reads fail, in
/// another watch, for a while.
async fn with_failing(
    good: usize,
    bad: usize,
    (status, delay): (u16, Duration),
) -> (Scene, [Option<SimWatch>; 2]) {
    let scene = Scene::new(Settings::default());
    let (good, bad) = (ids("good", good), ids("bad", bad));
    scene.change_all(&good);
    scene.change_all(&ids("new", 5));
    let watch = (!good.is_empty()).then(|| scene.watch(&good, AT_ONCE));
    seconds(5).await;
    {
        let mut sim = scene.vendor.0.lock();
        sim.unreadable_delay = delay;
        let unreadable = bad.iter().map(|id| (id.clone(), status));
        sim.unreadable.extend(unreadable);
    }
    let failing = scene.watch(&bad, AT_ONCE);
    seconds(150).await;
    (scene, [watch, Some(failing)])
}

/// How long a watch of new users takes until it has all presences.
async fn time_of_new(scene: &Scene) -> Duration {
    let (new, begin) = (scene.watch(&ids("new", 5), AT_ONCE), Instant::now());
    while new.received.lock().presences.len() < 5 && begin.elapsed() < Duration::from_mins(10) {
        sleep(Duration::from_millis(20)).await;
    }
    begin.elapsed()
}

#[tokio::test]
async fn a_failing_user_does_not_delay_others_after_a_lost_connection() {
    pause();
    for bad in [1, 60] {
        let failing = (500, Duration::ZERO);
        let (scene, [watch, _failing]) = with_failing(50, bad, failing).await;
        let watch = watch.unwrap();
        scene.vendor.cut("lost");
        scene.vendor.change("good7");
        seconds(3).await;
        assert!(scene.is_current(&watch, "good7"), "{bad}");
        assert_eq!(watch.mode(), Some(Mode::Live), "{bad}");
    }
}

#[tokio::test]
async fn users_whose_reads_fail_do_not_delay_a_new_watch() {
    pause();
    for (bad, delay, most) in [
        (1, Duration::ZERO, 3),
        (60, Duration::ZERO, 3),
        (1, TIMEOUT, 3),
        (60, TIMEOUT, 3),
    ] {
        let (scene, _watches) = with_failing(50, bad, (500, delay)).await;
        let time = time_of_new(&scene).await;
        assert!(
            time < Duration::from_secs(most),
            "{bad} {delay:?}: {time:?}"
        );
    }
}

#[tokio::test]
async fn a_token_that_could_read_nobody_reads_new_users_soon() {
    pause();
    for (bad, delay, most) in [
        (1, Duration::ZERO, 3),
        (60, Duration::ZERO, 3),
        (1, TIMEOUT, 23),
        (60, TIMEOUT, 23),
    ] {
        let (scene, _watches) = with_failing(0, bad, (500, delay)).await;
        let time = time_of_new(&scene).await;
        assert!(
            time < Duration::from_secs(most),
            "{bad} {delay:?}: {time:?}"
        );
    }
}

#[tokio::test]
async fn a_failing_user_among_many_delays_those_of_its_batch_by_its_timeouts() {
    pause();
    let scene = Scene::new(Settings::default());
    let ids = scene.create_users(50);
    {
        let mut sim = scene.vendor.0.lock();
        sim.unreadable_delay = TIMEOUT;
        sim.unreadable.insert("u17".to_owned(), 504);
    }
    // Another one, so that there is a witness.
    scene.vendor.change("other");
    let _other = scene.watch(&["other".to_owned()], AT_ONCE);
    seconds(5).await;
    let watch = scene.watch(&ids, AT_ONCE);
    // The batch, and three levels of the split: 13, 4, 1.
    seconds(3 * 20 + 10).await;
    assert_eq!(watch.received.lock().presences.len(), 49);
}

#[tokio::test]
async fn the_delay_of_a_failing_user_is_not_that_of_its_batch() {
    pause();
    let scene = Scene::new(Settings::default());
    let ids = scene.create_users(50);
    scene
        .vendor
        .0
        .lock()
        .unreadable
        .insert("u17".to_owned(), 503);
    let watch = scene.watch(&ids, AT_ONCE);
    seconds(20).await;
    assert_eq!(watch.received.lock().presences.len(), 49);
}

#[tokio::test]
async fn users_who_were_read_do_not_fail_with_new_ones_who_are_refused() {
    pause();
    for is_unclear in [false, true] {
        let scene = Scene::new(Settings::default());
        let (good, bad) = (ids("good", 10), ids("bad", 990));
        scene.change_all(&good);
        let watch = scene.watch(&good, AT_ONCE);
        seconds(5).await;
        let refused = bad.iter().map(|id| (id.clone(), 403));
        scene.vendor.0.lock().unreadable.extend(refused);
        let other = scene.watch(&bad, AT_ONCE);
        seconds(3).await;
        if is_unclear {
            scene.vendor.0.lock().rewrite = Some(|text| text.replace("modifiedDate", "date"));
        } else {
            scene.vendor.cut("lost");
        }
        scene.vendor.change("good7");
        seconds(3).await;
        assert!(scene.is_current(&watch, "good7"), "{is_unclear}");
        seconds(30).await;
        assert_eq!(other.received.lock().failed.len(), 990, "{is_unclear}");
        assert_eq!(watch.received.lock().failed, [""; 0], "{is_unclear}");
        assert_eq!(watch.mode(), Some(Mode::Live), "{is_unclear}");
    }
}

#[tokio::test]
async fn a_token_that_may_read_nobody_any_more_costs_few_reads() {
    pause();
    let scene = Scene::new(Settings::default());
    let ids = scene.create_users(1000);
    let watch = scene.watch(&ids, AT_ONCE);
    seconds(5).await;
    scene.vendor.0.lock().no_reads = Some(403);
    scene.vendor.cut("lost");
    let before = scene.vendor.requests().read;
    seconds(40).await;
    assert_eq!(watch.received.lock().failed.len(), 1000);
    let reads = scene.vendor.requests().read - before;
    assert!(reads < 45, "{reads} reads");
}
