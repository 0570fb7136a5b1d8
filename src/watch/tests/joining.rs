//! Watches that join while the hub of their token ends.

use std::sync::Arc;
use std::thread;

use tokio::runtime::Handle;
use tokio::time::{Duration, timeout};

use super::scene::Scene;
use crate::error::Error;
use crate::watch::{Settings, WatchLimits, WatchMode};

/// A bound for what takes no time: beyond it, threads wait for each other.
const DEADLOCK: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread")]
async fn watches_join_and_leave_while_the_hub_of_their_token_ends() {
    // Nobody is kept, so that each hub ends with its last watch.
    let polled = Settings {
        limits: WatchLimits {
            mode: WatchMode::Poll,
            ..WatchLimits::default()
        },
        ..Settings::default()
    };
    let scene = Arc::new(Scene::new(polled));
    let threads = (0..4).map(|_| {
        let (scene, runtime) = (Arc::clone(&scene), Handle::current());
        thread::spawn(move || {
            let _runtime = runtime.enter();
            for _ in 0..500 {
                let watch = scene.join(&["u1".to_owned()]);
                thread::yield_now();
                let end = watch.shared.lock().ended.clone();
                assert!(
                    end.is_none(),
                    "a watch joined a hub that has ended: {end:?}"
                );
            }
        })
    });
    let threads: Vec<_> = threads.collect();
    let all_end = async {
        while threads.iter().any(|thread| !thread.is_finished()) || scene.hubs() > 0 {
            tokio::task::yield_now().await;
        }
    };
    let ended = timeout(DEADLOCK, all_end).await;
    ended.expect("all watches join and leave, and the last hub ends");
    for thread in threads {
        thread.join().unwrap();
    }
}

#[tokio::test]
async fn a_watch_of_a_rejected_token_gets_another_hub() {
    let scene = Scene::new(Settings::default());
    let first = scene.join(&["u1".to_owned()]);
    first.shared.lock().end(&Error::TokenRevoked.into());
    let second = scene.join(&["u1".to_owned()]);
    assert!(!Arc::ptr_eq(&second.shared, &first.shared));
    assert!(second.shared.lock().ended.is_none());
    // The end of the first one is no end of the second one.
    drop(first);
    tokio::task::yield_now().await;
    assert_eq!(scene.hubs(), 1);
}

#[tokio::test]
async fn a_watch_that_joins_a_hub_that_has_just_ended_ends() {
    let scene = Scene::new(Settings::default());
    let first = scene.join(&["u1".to_owned()]);
    assert!(first.shared.admit());
    let mut inner = first.shared.lock();
    inner.end(&Error::TokenRevoked.into());
    let number = inner.join_admitted(vec![("u1".into(), "u1".to_owned())]);
    let end = inner.state.watches[&number].ended();
    assert!(matches!(
        end.map(|failure| &failure.error),
        Some(Error::TokenRevoked)
    ));
}
