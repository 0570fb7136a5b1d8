//! Watches that join while the hub of their token ends.

use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use tokio::runtime::Handle;

use super::scene::Scene;
use crate::error::Error;
use crate::watch::Settings;

/// A bound for what takes no time: beyond it, threads wait for each other.
const DEADLOCK: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_joins_while_the_last_one_of_a_rejected_token_leaves() {
    let scene = Arc::new(Scene::new(Settings::default()));
    let first = scene.join(&["u1".to_owned()]);
    let hub = Arc::clone(&first.hub);
    let shared = Arc::clone(&hub.shared);
    drop(first);
    let mut inner = shared.lock();
    inner.end(&Error::TokenRevoked.into());
    let (joined, second) = mpsc::channel();
    let (joining, runtime) = (Arc::clone(&scene), Handle::current());
    let joining = thread::spawn(move || {
        let _runtime = runtime.enter();
        let _ = joined.send(joining.join(&["u1".to_owned()]));
    });
    // It has found the hub, and waits for the state. Then the hub has no other holder.
    while Arc::strong_count(&hub) < 2 {
        assert!(!joining.is_finished(), "the watch did not find the hub");
        thread::yield_now();
    }
    drop(hub);
    drop(inner);
    let second = second.recv_timeout(DEADLOCK);
    let second = second.expect("a watch joins while the hub that it found ends");
    assert!(!Arc::ptr_eq(&second.hub.shared, &shared));
    assert!(second.hub.shared.lock().ended.is_none());
    assert_eq!(scene.hubs(), 1);
}

#[tokio::test]
async fn a_watch_that_joins_a_hub_that_has_just_ended_ends() {
    let scene = Scene::new(Settings::default());
    let first = scene.join(&["u1".to_owned()]);
    let mut inner = first.hub.shared.lock();
    inner.end(&Error::TokenRevoked.into());
    let number = inner.join(vec![("u1".into(), "u1".to_owned())]);
    let end = inner.state.watches[&number].ended();
    assert!(matches!(
        end.map(|failure| &failure.error),
        Some(Error::TokenRevoked)
    ));
}
