//! One fault at a time.

use std::time::Duration;

use tokio::time::{pause, sleep};
use tonic::Code;

use super::scene::Scene;
use crate::error::Error;
use crate::proto::v1::user_presence_change::Cause;
use crate::proto::v1::watch_state::Mode;
use crate::watch::{Settings, WatchMode};

/// Users who exist.
fn users(scene: &Scene, count: usize) -> Vec<String> {
    let ids: Vec<String> = (0..count).map(|number| format!("u{number}")).collect();
    change_all(scene, &ids);
    ids
}

/// Gives each user another presence.
fn change_all(scene: &Scene, ids: &[String]) {
    for id in ids {
        scene.vendor.change(id);
    }
}

fn seconds(seconds: u64) -> impl Future<Output = ()> {
    sleep(Duration::from_secs(seconds))
}

const AT_ONCE: Duration = Duration::ZERO;

#[tokio::test]
async fn a_watch_is_a_snapshot_and_then_changes_by_few_requests() {
    pause();
    let scene = Scene::new(Settings::default());
    let ids = users(&scene, 120);
    let watch = scene.watch(&ids, AT_ONCE);
    seconds(5).await;
    assert_eq!(watch.told.lock().presences.len(), 120);
    assert_eq!(watch.mode(), Some(Mode::Live));
    scene.vendor.change("u7");
    seconds(3000).await;
    {
        let told = watch.told.lock();
        assert_eq!(told.presences["u7"], 121);
        let snapshots = told
            .causes
            .iter()
            .filter(|&&cause| cause == Cause::Snapshot);
        assert_eq!(snapshots.count(), 120);
        assert_eq!(told.causes.last(), Some(&Cause::Change));
        // The state is repeated every 25 s.
        assert!(told.modes.len() > 110, "{}", told.modes.len());
    }
    let asked = scene.vendor.asked();
    assert_eq!((asked.created, asked.opened), (1, 1), "{asked:?}");
    assert_eq!((asked.subscribed, asked.read), (1, 3), "{asked:?}");
    // The vendor does not promise to deliver: an hour is the longest loss.
    seconds(1200).await;
    let asked = scene.vendor.asked();
    assert_eq!((asked.created, asked.subscribed, asked.read), (1, 1, 6));
    assert!(!watch.told.lock().modes.contains(&Mode::Resyncing));
}

#[tokio::test]
async fn watches_of_a_token_share_a_channel_and_what_is_known() {
    pause();
    let scene = Scene::new(Settings::default());
    let ids = users(&scene, 50);
    let first = scene.watch(&ids, AT_ONCE);
    seconds(5).await;
    let second = scene.watch(&ids[..20], AT_ONCE);
    let third = scene.watch(&["U1".to_owned(), "nobody".to_owned()], AT_ONCE);
    seconds(5).await;
    assert_eq!(second.told.lock().presences.len(), 20);
    assert_eq!(third.told.lock().presences["U1"], 2);
    assert_eq!(third.told.lock().missing, ["nobody"]);
    let asked = scene.vendor.asked();
    assert_eq!((asked.created, asked.subscribed, asked.read), (1, 2, 2));
    drop(first);
    scene.vendor.change("u1");
    scene.vendor.change("nobody");
    seconds(60).await;
    assert_eq!(second.told.lock().presences["u1"], 51);
    assert_eq!(third.told.lock().presences["nobody"], 52);
    // The topics of users whom nobody watches are removed, by one request.
    let asked = scene.vendor.asked();
    assert_eq!((asked.subscribed, asked.read), (3, 2));
    drop((second, third));
    seconds(1).await;
    assert_eq!(scene.hubs(), 0);
}

#[tokio::test]
async fn after_each_gap_all_users_are_read_once() {
    pause();
    let scene = Scene::new(Settings::default());
    let ids = users(&scene, 100);
    let watch = scene.watch(&ids, AT_ONCE);
    seconds(100).await;
    let before = scene.vendor.asked();
    scene.vendor.cut("lost");
    scene.vendor.change("u1");
    seconds(5).await;
    assert_eq!(watch.told.lock().presences["u1"], 101, "within 5 s");
    let modes = watch.told.lock().modes.clone();
    assert_eq!(modes[modes.len() - 2..], [Mode::Resyncing, Mode::Live]);
    assert_eq!(watch.told.lock().causes.last(), Some(&Cause::Resync));
    let after = scene.vendor.asked();
    assert_eq!(after.read - before.read, 2, "two reads for 100 users");
    assert_eq!(after.created, 1, "the same channel");

    // Before the vendor closes a socket, another one is open.
    scene
        .vendor
        .send_all(r#"{"topicName":"v2.system.socket_closing","eventBody":{}}"#);
    seconds(8).await;
    let again = scene.vendor.asked();
    assert_eq!((again.opened, again.read), (3, after.read + 2));

    // A silent one counts as lost.
    scene.vendor.silence();
    scene.vendor.change("u2");
    seconds(80).await;
    assert_eq!(watch.told.lock().presences["u2"], 102);
    assert_eq!(watch.mode(), Some(Mode::Live));

    // So does one whose subscriptions the vendor ended.
    scene.vendor.unsubscribe();
    scene.vendor.change("u3");
    seconds(10).await;
    assert_eq!(watch.told.lock().presences["u3"], 103);
    assert_eq!(scene.vendor.asked().created, 2);
    assert_eq!(watch.told.lock().wrong, [""; 0]);
}

#[tokio::test]
async fn a_channel_is_replaced_before_its_end() {
    pause();
    let scene = Scene::new(Settings::default());
    scene.vendor.0.lock().life = Some(Duration::from_hours(24));
    let ids = users(&scene, 10);
    let watch = scene.watch(&ids, AT_ONCE);
    seconds(24 * 3600).await;
    assert_eq!(scene.vendor.asked().created, 2);
    scene.vendor.change("u1");
    seconds(1).await;
    assert_eq!(watch.told.lock().presences["u1"], 11);
}

#[tokio::test]
async fn without_a_channel_users_are_polled_with_the_reason() {
    pause();
    for (channel, socket, code) in [
        (Some(403), false, Code::PermissionDenied),
        (Some(503), false, Code::Unavailable),
        (None, true, Code::Unavailable),
    ] {
        let scene = Scene::new(Settings::default());
        {
            let mut sim = scene.vendor.0.lock();
            (sim.no_channel, sim.no_socket) = (channel, socket);
        }
        let ids = users(&scene, 60);
        let watch = scene.watch(&ids, AT_ONCE);
        seconds(20).await;
        assert_eq!(watch.told.lock().presences.len(), 60, "{channel:?}");
        assert_eq!(watch.mode(), Some(Mode::Polling), "{channel:?}");
        assert_eq!(watch.told.lock().why, Some(code.into()), "{channel:?}");
        scene.vendor.change("u5");
        seconds(31).await;
        assert_eq!(watch.told.lock().presences["u5"], 61, "{channel:?}");
        let before = scene.vendor.asked().read;
        seconds(300).await;
        let polls = scene.vendor.asked().read - before;
        assert!((18..=22).contains(&polls), "{polls} reads in 5 minutes");
        // Once there is a channel, it is used.
        {
            let mut sim = scene.vendor.0.lock();
            (sim.no_channel, sim.no_socket) = (None, false);
        }
        seconds(800).await;
        assert_eq!(watch.mode(), Some(Mode::Live), "{channel:?}");
        assert_eq!(watch.told.lock().wrong, [""; 0]);
    }
}

#[tokio::test]
async fn users_beyond_the_channels_are_polled() {
    pause();
    let settings = Settings {
        mode: WatchMode::Poll,
        ..Settings::default()
    };
    for (settings, count, creations) in [(settings, 100, 0), (Settings::default(), 2100, 2)] {
        let scene = Scene::new(settings);
        let ids = users(&scene, count);
        let watch = scene.watch(&ids, AT_ONCE);
        seconds(20).await;
        assert_eq!(watch.told.lock().presences.len(), count);
        assert_eq!(watch.mode(), Some(Mode::Polling));
        assert_eq!(scene.vendor.asked().created, creations);
        change_all(&scene, &ids);
        seconds(31).await;
        let expected = scene.vendor.0.lock().users.clone();
        assert_eq!(watch.told.lock().presences, expected);
    }
}

#[tokio::test]
async fn a_forbidden_topic_costs_only_its_own_user() {
    pause();
    let scene = Scene::new(Settings::default());
    let ids = users(&scene, 30);
    scene.vendor.0.lock().forbidden.insert("u3".to_owned());
    let watch = scene.watch(&ids, AT_ONCE);
    seconds(5).await;
    assert_eq!(watch.told.lock().failed, ["u3"]);
    assert_eq!(watch.mode(), Some(Mode::Live));
    scene.vendor.change("u4");
    seconds(1).await;
    assert_eq!(watch.told.lock().presences["u4"], 31);
    // Another watch tries again.
    scene.vendor.0.lock().forbidden.clear();
    let again = scene.watch(&ids[3..4], AT_ONCE);
    seconds(5).await;
    assert_eq!(again.told.lock().presences["u3"], 4);
    assert_eq!(again.mode(), Some(Mode::Live));
    assert!(!watch.told.lock().presences.contains_key("u3"));
}

#[tokio::test]
async fn a_vendor_that_fails_for_a_while_delays_the_snapshot() {
    pause();
    let scene = Scene::new(Settings::default());
    let ids = users(&scene, 30);
    scene.vendor.0.lock().failing = Some(503);
    let watch = scene.watch(&ids, AT_ONCE);
    seconds(60).await;
    assert_eq!(watch.mode(), Some(Mode::Resyncing));
    assert_eq!(watch.told.lock().why, Some(Code::Unavailable.into()));
    assert!(scene.vendor.asked().read < 12, "{:?}", scene.vendor.asked());
    scene.vendor.0.lock().failing = None;
    seconds(130).await;
    assert_eq!(watch.mode(), Some(Mode::Live));
    assert_eq!(watch.told.lock().presences.len(), 30);
}

#[tokio::test]
async fn a_vendor_that_closes_each_socket_is_asked_a_bounded_number_of_times() {
    pause();
    let scene = Scene::new(Settings::default());
    let ids = users(&scene, 100);
    let watch = scene.watch(&ids, AT_ONCE);
    for second in 0..3600 {
        seconds(1).await;
        scene.vendor.cut("closed");
        if second % 10 == 0 {
            scene.vendor.change("u1");
        }
    }
    let asked = scene.vendor.asked();
    // A connection every 45 s on average, and a poll every 30 s.
    assert!(asked.opened < 130, "{asked:?}");
    assert!(asked.read < 4 * (130 + 120), "{asked:?}");
    seconds(60).await;
    assert_eq!(
        watch.told.lock().presences["u1"],
        scene.vendor.0.lock().users["u1"]
    );
    assert_eq!(watch.told.lock().wrong, [""; 0]);
}

#[tokio::test]
async fn garbage_makes_users_be_read_again_at_most_once_a_minute() {
    pause();
    let scene = Scene::new(Settings::default());
    let ids = users(&scene, 50);
    let watch = scene.watch(&ids, AT_ONCE);
    seconds(5).await;
    let before = scene.vendor.asked().read;
    for _ in 0..120 {
        scene.vendor.send_all("garbage");
        seconds(1).await;
    }
    assert_eq!(scene.vendor.asked().read - before, 2);
    // A notification without a date says that there is one.
    scene.vendor.send_all(
        r#"{"topicName":"v2.users.u1.presence","eventBody":{"presenceDefinition":{"id":"x"}}}"#,
    );
    scene
        .vendor
        .send_all(r#"{"topicName":"v2.users.else.presence","eventBody":{}}"#);
    seconds(5).await;
    assert_eq!(scene.vendor.asked().read - before, 3);
    assert_eq!(watch.mode(), Some(Mode::Live));
}

#[tokio::test]
async fn a_slow_reader_gets_the_latest_of_each_user() {
    pause();
    let scene = Scene::new(Settings::default());
    let ids = users(&scene, 10);
    let slow = scene.watch(&ids, Duration::from_secs(2));
    let quick = scene.watch(&ids, AT_ONCE);
    seconds(60).await;
    for _ in 0..100 {
        change_all(&scene, &ids);
        sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(quick.told.lock().causes.len(), 10 + 1000);
    seconds(60).await;
    let expected = scene.vendor.0.lock().users.clone();
    assert_eq!(slow.told.lock().presences, expected);
    let count = slow.told.lock().causes.len();
    assert!(count < 10 + 30, "{count}");
    assert_eq!(slow.told.lock().wrong, [""; 0]);
}

#[tokio::test]
async fn a_reader_that_takes_nothing_ends_its_own_watch() {
    pause();
    let scene = Scene::new(Settings::default());
    let ids = users(&scene, 10);
    let stuck = scene.watch(&ids, Duration::from_hours(10));
    let quick = scene.watch(&ids, AT_ONCE);
    seconds(40 * 3600).await;
    assert!(matches!(stuck.told.lock().end, Some(Error::WatchIdle(_))));
    change_all(&scene, &ids);
    seconds(1).await;
    let expected = scene.vendor.0.lock().users.clone();
    assert_eq!(quick.told.lock().presences, expected);
}

#[tokio::test]
async fn a_token_that_dies_ends_all_its_watches() {
    pause();
    let scene = Scene::new(Settings::default());
    let ids = users(&scene, 10);
    let (one, other) = (scene.watch(&ids, AT_ONCE), scene.watch(&ids[..2], AT_ONCE));
    seconds(5).await;
    scene
        .vendor
        .send_all(r#"{"topicName":"v2.system.token_revoked.x","eventBody":{}}"#);
    seconds(1).await;
    for watch in [&one, &other] {
        assert_eq!(watch.end(), Some(Code::Unauthenticated));
        assert!(matches!(watch.told.lock().end, Some(Error::TokenRevoked)));
    }
    // The next watch asks again.
    scene.vendor.0.lock().failing = Some(401);
    let next = scene.watch(&ids, AT_ONCE);
    seconds(5).await;
    assert_eq!(next.end(), Some(Code::Unauthenticated));
}

#[tokio::test]
async fn a_drain_ends_a_watch() {
    pause();
    let scene = Scene::new(Settings::default());
    let ids = users(&scene, 1);
    let watch = scene.watch(&ids, AT_ONCE);
    seconds(5).await;
    scene
        .drain
        .begin(tokio::time::Instant::now() + Duration::from_secs(30));
    seconds(1).await;
    assert!(matches!(watch.told.lock().end, Some(Error::ShuttingDown)));
}
