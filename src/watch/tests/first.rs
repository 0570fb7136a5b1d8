//! What comes first, what comes last, and why.

use std::time::Duration;

use tokio::time::{pause, sleep};
use tonic::Code;

use super::scene::{AT_ONCE, Scene, seconds};
use crate::proto::v1::user_presence_change::Cause;
use crate::proto::v1::watch_state::Mode;
use crate::watch::{Settings, WatchLimits, WatchMode};

#[tokio::test]
async fn the_first_presence_of_a_user_is_a_snapshot_however_it_comes() {
    pause();
    let polled = Settings {
        limits: WatchLimits {
            mode: WatchMode::Poll,
            ..WatchLimits::default()
        },
        ..Settings::default()
    };
    for (settings, channel, socket) in [
        (Settings::default(), None, false),
        (Settings::default(), Some(403), false),
        (Settings::default(), Some(503), false),
        (Settings::default(), None, true),
        (polled, None, false),
    ] {
        let case = format!("{:?}, {channel:?}, {socket}", settings.limits.mode);
        let scene = Scene::new(settings);
        {
            let mut sim = scene.vendor.0.lock();
            (sim.no_channel, sim.no_socket) = (channel, socket);
        }
        let mut ids = scene.create_users(60);
        ids.push("later".to_owned());
        let watch = scene.watch(&ids, AT_ONCE);
        seconds(20).await;
        assert_eq!(
            watch.received.lock().causes,
            [Cause::Snapshot; 60],
            "{case}"
        );
        assert_eq!(watch.received.lock().missing, ["later"], "{case}");
        scene.vendor.change("u5");
        scene.vendor.change("later");
        seconds(31).await;
        let causes = watch.received.lock().causes[60..].to_vec();
        assert_eq!(causes, [Cause::Change; 2], "{case}");
    }
}

#[tokio::test]
async fn a_watch_of_which_no_user_is_left_ends_with_the_reason() {
    pause();
    let scene = Scene::new(Settings::default());
    let ids = scene.create_users(3);
    {
        let mut sim = scene.vendor.0.lock();
        sim.forbidden.extend(ids.iter().cloned());
    }
    let watch = scene.watch(&ids, AT_ONCE);
    seconds(5).await;
    assert_eq!(watch.end(), Some(Code::PermissionDenied));
    let mut failed = watch.received.lock().failed.clone();
    failed.sort_unstable();
    assert_eq!(failed, ids, "it names them first");
    assert!(!watch.received.lock().modes.contains(&Mode::Live));
    assert_eq!(scene.hubs(), 0);
}

#[tokio::test]
async fn the_end_of_a_connection_that_is_announced_is_no_fault() {
    let (scene, watch) = Scene::live(10).await;
    scene.vendor.announce_closing();
    let before = watch.received.lock().modes.len();
    for _ in 0..800 {
        sleep(Duration::from_millis(10)).await;
        assert_eq!(watch.received.lock().why, None);
    }
    let modes = watch.received.lock().modes[before..].to_vec();
    assert_eq!(modes, [Mode::Resyncing, Mode::Live]);
}
