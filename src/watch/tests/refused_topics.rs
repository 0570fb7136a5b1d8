//! Topics with which the vendor refuses a write as a whole.

use std::collections::BTreeSet;

use tokio::time::{pause, resume};

use super::scene::{AT_ONCE, Scene, SimWatch, seconds};
use crate::proto::v1::watch_state::Mode;
use crate::watch::Settings;

/// The vendor refuses the topics of these users with this status.
fn refuse(scene: &Scene, users: impl IntoIterator<Item = usize>, status: u16) {
    let users = users
        .into_iter()
        .map(|number| (format!("u{number}"), status));
    scene.vendor.0.lock().no_topics.extend(users);
}

/// Checks that notifications come of these users but one, who is polled.
async fn check_one_refused(scene: &Scene, watch: &SimWatch, refused: &str, about: &str) {
    let mut others: BTreeSet<String> = scene.latest().into_keys().collect();
    others.remove(refused);
    assert_eq!(scene.vendor.0.lock().topics(), others, "{about}");
    let ids: Vec<String> = others.into_iter().collect();
    let others = scene.watch(&ids, AT_ONCE);
    scene.change_all(&ids);
    seconds(1).await;
    assert_eq!(others.mode(), Some(Mode::Live), "{about}");
    assert_eq!(watch.mode(), Some(Mode::Polling), "{about}");
    for id in watch.ids.iter().filter(|id| *id != refused) {
        assert!(scene.is_current(watch, id), "{about}: {id}");
    }
    scene.vendor.change(refused);
    seconds(31).await;
    assert!(scene.is_current(watch, refused), "{about}");
    assert_eq!(watch.received.lock().failed, [""; 0], "{about}");
}

#[tokio::test]
async fn a_refused_topic_of_the_first_watch_costs_only_its_own_user() {
    pause();
    for (status, count) in [(400, 200), (403, 200), (422, 1000), (400, 2)] {
        let about = format!("{status}, {count} users");
        let scene = Scene::new(Settings::default());
        let ids = scene.create_users(count);
        refuse(&scene, [1], status);
        let watch = scene.watch(&ids, AT_ONCE);
        seconds(5).await;
        let requests = scene.vendor.requests();
        assert!(requests.subscribed <= 25, "{about}: {requests:?}");
        assert_eq!(requests.created, 1, "{about}");
        check_one_refused(&scene, &watch, "u1", &about).await;
        // The next connection begins with the others.
        for number in 0..3 {
            let before = scene.vendor.requests();
            seconds(90).await;
            match number {
                0 => scene.vendor.cut("lost"),
                1 => scene.vendor.announce_closing(),
                _ => scene.vendor.unsubscribe(),
            }
            seconds(10).await;
            let writes = scene.vendor.requests().subscribed - before.subscribed;
            assert!(writes <= 2, "{about}: {writes} writes after gap {number}");
            check_one_refused(&scene, &watch, "u1", &about).await;
        }
        // If it is not refused any more, it is written.
        scene.vendor.0.lock().no_topics.clear();
        scene.vendor.cut("lost");
        seconds(5).await;
        assert_eq!(watch.mode(), Some(Mode::Live), "{about}");
        assert_eq!(scene.vendor.0.lock().topics().len(), count, "{about}");
    }
}

#[tokio::test]
async fn a_refused_topic_of_a_further_watch_costs_only_its_own_user() {
    for status in [400, 403, 422] {
        let (scene, first) = Scene::live(50).await;
        let ids = scene.create_users(250);
        let before = scene.vendor.requests();
        refuse(&scene, [117], status);
        let second = scene.watch(&ids[50..], AT_ONCE);
        seconds(5).await;
        let writes = scene.vendor.requests().subscribed - before.subscribed;
        assert!(writes <= 25, "{status}: {writes} writes");
        assert_eq!(first.mode(), Some(Mode::Live), "{status}");
        check_one_refused(&scene, &second, "u117", &status.to_string()).await;
        resume();
    }
}

#[tokio::test]
async fn a_refused_topic_of_a_user_who_is_watched_already_costs_only_its_own_user() {
    for closing in [false, true] {
        let (scene, watch) = Scene::live(200).await;
        refuse(&scene, [17], 400);
        if closing {
            scene.vendor.announce_closing();
        } else {
            scene.vendor.cut("lost");
        }
        seconds(12).await;
        let requests = scene.vendor.requests();
        assert!(requests.subscribed <= 26, "{requests:?}");
        check_one_refused(&scene, &watch, "u17", &format!("closing: {closing}")).await;
        resume();
    }
}

#[tokio::test]
async fn many_refused_topics_are_found_by_paced_writes() {
    pause();
    let scene = Scene::new(Settings::default());
    let ids = scene.create_users(1000);
    let refused = || (0..20).map(|number| number * 50 + number);
    refuse(&scene, refused(), 400);
    let _watch = scene.watch(&ids, AT_ONCE);
    seconds(60).await;
    let requests = scene.vendor.requests();
    assert!(requests.subscribed <= 120, "{requests:?} in a minute");
    seconds(600).await;
    assert_eq!(scene.vendor.0.lock().topics().len(), 980);
    let before = scene.vendor.requests();
    seconds(3000).await;
    assert_eq!(scene.vendor.requests().subscribed, before.subscribed);
}

#[tokio::test]
async fn a_vendor_that_refuses_all_topics_gets_few_requests() {
    pause();
    for count in [1, 2, 5, 200, 1000] {
        let scene = Scene::new(Settings::default());
        let ids = scene.create_users(count);
        refuse(&scene, 0..count, 403);
        let watch = scene.watch(&ids, AT_ONCE);
        seconds(500).await;
        let requests = scene.vendor.requests();
        assert!(requests.subscribed <= 14, "{count}: {requests:?}");
        assert_eq!((requests.created, requests.opened), (1, 1), "{count}");
        assert_eq!(watch.mode(), Some(Mode::Polling), "{count}");
        scene.change_all(&ids);
        seconds(61).await;
        assert_eq!(watch.received.lock().presences, scene.latest(), "{count}");
        // Later attempts cost less, and one succeeds when the vendor permits it.
        seconds(3600).await;
        let requests = scene.vendor.requests();
        assert!(requests.subscribed <= 14 + 7 * 5, "{count}: {requests:?}");
        scene.vendor.0.lock().no_topics.clear();
        seconds(700).await;
        assert_eq!(watch.mode(), Some(Mode::Live), "{count}");
        assert_eq!(scene.vendor.0.lock().topics().len(), count);
    }
}
