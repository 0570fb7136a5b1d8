//! What a watch begins with, and what watches share.

use tokio::time::pause;
use tonic::Code;

use super::scene::{AT_ONCE, Scene, seconds};
use crate::proto::v1::user_presence_change::Cause;
use crate::proto::v1::watch_state::Mode;
use crate::watch::Settings;

#[tokio::test]
async fn a_watch_is_a_snapshot_and_then_changes_by_few_requests() {
    pause();
    let scene = Scene::new(Settings::default());
    let ids = scene.create_users(120);
    let watch = scene.watch(&ids, AT_ONCE);
    seconds(5).await;
    assert_eq!(watch.received.lock().presences.len(), 120);
    assert_eq!(watch.mode(), Some(Mode::Live));
    scene.vendor.change("u7");
    seconds(3000).await;
    assert!(scene.is_current(&watch, "u7"));
    {
        let received = watch.received.lock();
        let snapshots = received
            .causes
            .iter()
            .filter(|&&cause| cause == Cause::Snapshot);
        assert_eq!(snapshots.count(), 120);
        assert_eq!(received.causes.last(), Some(&Cause::Change));
        // The state is repeated every 25 s.
        assert!(received.modes.len() > 110, "{}", received.modes.len());
    }
    let requests = scene.vendor.requests();
    assert_eq!((requests.created, requests.opened), (1, 1), "{requests:?}");
    assert_eq!((requests.subscribed, requests.read), (1, 3), "{requests:?}");
    // The vendor does not promise to deliver: an hour is the longest loss.
    seconds(1200).await;
    let requests = scene.vendor.requests();
    assert_eq!(
        (requests.created, requests.subscribed, requests.read),
        (1, 1, 6)
    );
    assert!(!watch.received.lock().modes.contains(&Mode::Resyncing));
}

#[tokio::test]
async fn watches_of_a_token_share_a_channel_and_what_is_known() {
    pause();
    let scene = Scene::new(Settings::default());
    let ids = scene.create_users(50);
    let first = scene.watch(&ids, AT_ONCE);
    seconds(5).await;
    let second = scene.watch(&ids[..20], AT_ONCE);
    let third = scene.watch(&["U1".to_owned(), "nobody".to_owned()], AT_ONCE);
    seconds(5).await;
    assert_eq!(second.received.lock().presences.len(), 20);
    assert!(scene.is_current(&third, "U1"));
    assert_eq!(third.received.lock().missing, ["nobody"]);
    let requests = scene.vendor.requests();
    assert_eq!(
        (requests.created, requests.subscribed, requests.read),
        (1, 2, 2)
    );
    drop(first);
    scene.vendor.change("u1");
    scene.vendor.change("nobody");
    // They are kept for those who come back, and then their topics for others who leave.
    seconds(55).await;
    assert_eq!(scene.vendor.requests().subscribed, 2);
    seconds(10).await;
    assert!(scene.is_current(&second, "u1"));
    assert!(scene.is_current(&third, "nobody"));
    // The topics of users whom nobody watches are removed, by one request.
    let requests = scene.vendor.requests();
    assert_eq!((requests.subscribed, requests.read), (3, 2));
    drop((second, third));
    seconds(31).await;
    assert_eq!(scene.hubs(), 0);
}

#[tokio::test]
async fn a_forbidden_topic_costs_only_its_own_user() {
    pause();
    let scene = Scene::new(Settings::default());
    let ids = scene.create_users(30);
    scene.vendor.0.lock().forbidden.insert("u3".to_owned());
    let watch = scene.watch(&ids, AT_ONCE);
    seconds(5).await;
    assert_eq!(watch.received.lock().failed, ["u3"]);
    assert_eq!(watch.mode(), Some(Mode::Live));
    scene.vendor.change("u4");
    seconds(1).await;
    assert!(scene.is_current(&watch, "u4"));
    // Another watch tries again.
    scene.vendor.0.lock().forbidden.clear();
    let again = scene.watch(&ids[3..4], AT_ONCE);
    seconds(5).await;
    assert!(scene.is_current(&again, "u3"));
    assert_eq!(again.mode(), Some(Mode::Live));
    assert!(!watch.received.lock().presences.contains_key("u3"));
}

#[tokio::test]
async fn a_vendor_that_fails_for_a_while_delays_the_snapshot() {
    pause();
    let scene = Scene::new(Settings::default());
    let ids = scene.create_users(30);
    scene.vendor.0.lock().failing = Some(503);
    let watch = scene.watch(&ids, AT_ONCE);
    seconds(60).await;
    assert_eq!(watch.mode(), Some(Mode::Resyncing));
    assert_eq!(watch.received.lock().why, Some(Code::Unavailable.into()));
    assert_eq!(watch.received.lock().wrong, [""; 0]);
    assert!(
        scene.vendor.requests().read < 12,
        "{:?}",
        scene.vendor.requests()
    );
    scene.vendor.0.lock().failing = None;
    seconds(130).await;
    assert_eq!(watch.mode(), Some(Mode::Live));
    assert_eq!(watch.received.lock().presences.len(), 30);
}
