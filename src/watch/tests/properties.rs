//! Whatever the vendor does, in the end each caller has the latest presence of each
//! user, and got none twice or after a later one; and the vendor got no more requests
//! than docs/watch.md says.

mod budget;

use std::collections::BTreeSet;
use std::time::Duration;

use proptest::prelude::*;
use tokio::runtime::Builder;
use tokio::time::{Instant, sleep};

use super::scene::{AT_ONCE, Scene, SimWatch};
use super::vendor::event;
use crate::proto::v1::watch_state::Mode;
use crate::watch::Settings;
use budget::Budget;

/// How long a user is kept whom nobody watches, and then the topic.
const KEEP: Duration = Duration::from_secs(30);
const UNSUBSCRIBE_DELAY: Duration = Duration::from_secs(30);

/// How many users there are; some of them in no watch.
const USERS: usize = 130;

#[derive(Debug, Clone)]
enum Op {
    Change(usize),
    /// Two changes with the same date.
    ChangeTwice(usize),
    ChangeMany(usize),
    Cut,
    Closing,
    Silence,
    Unsubscribe,
    Garbage,
    /// A notification that was sent before.
    Old(usize),
    /// The presence of another source has changed.
    Elsewhere(usize),
    /// What becomes of the texts of notifications from now on.
    Spoil(Spoilt),
    /// Reads of this user fail with this status from now on.
    Refuse(usize, Option<u16>),
    /// How long notifications take, in milliseconds, and how often each comes.
    Deliver(u64, usize),
    /// How much longer requests take, in milliseconds.
    Slow(u64),
    /// Requests fail with this status from now on.
    Fail(Option<u16>),
    NoChannel(Option<u16>),
    NoSocket(bool),
    /// Subscriptions of the first user fail with this status, also together with others.
    NoTopic(Option<u16>),
    /// New channels live for so many seconds.
    Life(Option<u64>),
    /// A watch of so many users from this one on, whose caller pauses for so many
    /// milliseconds.
    Watch(usize, usize, u64),
    Leave(usize),
    /// The users of a watch come back after so many milliseconds.
    Return(usize, u64),
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Spoilt {
    #[default]
    No,
    WithoutDate,
    FarAhead,
    LongAgo,
    Cut,
}

impl Spoilt {
    fn rewrite(self) -> Option<fn(&str) -> String> {
        const DATE: &str = "\"modifiedDate\":\"20";
        match self {
            Self::No => None,
            Self::WithoutDate => Some(|text| text.replace("modifiedDate", "date")),
            Self::FarAhead => Some(|text| text.replace(DATE, "\"modifiedDate\":\"90")),
            Self::LongAgo => Some(|text| text.replace(DATE, "\"modifiedDate\":\"19")),
            Self::Cut => Some(|text| text[..40].to_owned()),
        }
    }
}

fn spoilt() -> impl Strategy<Value = Spoilt> {
    prop_oneof![
        3 => Just(Spoilt::No),
        1 => Just(Spoilt::WithoutDate),
        1 => Just(Spoilt::FarAhead),
        1 => Just(Spoilt::LongAgo),
        1 => Just(Spoilt::Cut),
    ]
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        12 => (0..USERS).prop_map(Op::Change),
        3 => (0..USERS).prop_map(Op::ChangeTwice),
        6 => (0..USERS).prop_map(Op::ChangeMany),
        3 => Just(Op::Cut),
        2 => Just(Op::Closing),
        1 => Just(Op::Silence),
        1 => Just(Op::Unsubscribe),
        1 => Just(Op::Garbage),
        2 => (0..USERS).prop_map(Op::Old),
        1 => (0..USERS).prop_map(Op::Elsewhere),
        2 => spoilt().prop_map(Op::Spoil),
        2 => (0..USERS, prop::option::of(prop::sample::select(&[400, 403, 404, 500, 503][..])))
            .prop_map(|(user, status)| Op::Refuse(user, status)),
        3 => (prop_oneof![Just(0), 0..5000_u64], 1..3_usize).prop_map(|(ms, n)| Op::Deliver(ms, n)),
        2 => prop_oneof![Just(0), 0..2000_u64].prop_map(Op::Slow),
        1 => prop_oneof![Just(None), Just(Some(503)), Just(Some(429)), Just(Some(500))]
            .prop_map(Op::Fail),
        1 => prop_oneof![Just(None), Just(Some(503)), Just(Some(403))].prop_map(Op::NoChannel),
        1 => any::<bool>().prop_map(Op::NoSocket),
        2 => (0..USERS, 1..USERS, prop_oneof![Just(0), 0..3000_u64])
            .prop_map(|(from, count, pause)| Op::Watch(from, count, pause)),
        2 => (0..8_usize).prop_map(Op::Leave),
        2 => (0..8_usize, absence()).prop_map(|(index, ms)| Op::Return(index, ms)),
        1 => prop::option::of(prop::sample::select(&[400, 403, 429, 503][..])).prop_map(Op::NoTopic),
        1 => prop_oneof![Just(None), (1..60_u64).prop_map(Some)].prop_map(Op::Life),
    ]
}

/// How many milliseconds a watch is away, as its users or their topics are kept or not.
fn absence() -> impl Strategy<Value = u64> {
    let [keep, topics] = [KEEP, KEEP + UNSUBSCRIBE_DELAY].map(|it| 1000 * it.as_secs());
    prop_oneof![
        2 => 0..keep,
        1 => keep..keep + 3000,
        1 => topics..topics + 3000,
    ]
}

/// What happens, each after a time in milliseconds.
fn script() -> impl Strategy<Value = Vec<(u64, Op)>> {
    let wait = prop_oneof![4 => 0..200_u64, 2 => 0..3000_u64, 1 => 0..100_000_u64];
    prop::collection::vec((wait, op()), 1..80)
}

fn user(number: usize) -> String {
    format!("u{}", number % USERS)
}

/// The users of these watches, but those who have failed.
fn watched(watches: &[SimWatch]) -> BTreeSet<String> {
    let ids = watches.iter().flat_map(|watch| {
        let failed = watch.received.lock().failed.clone();
        let ids = watch.ids.iter().filter(move |id| !failed.contains(id));
        ids.cloned()
    });
    ids.collect()
}

/// Plays a script; returns the watches that are left.
async fn play(scene: &Scene, script: Vec<(u64, Op)>, budget: &mut Budget) -> Vec<SimWatch> {
    let vendor = &scene.vendor;
    let mut watches = vec![scene.watch(&scene.create_users(USERS), AT_ONCE)];
    budget.join(USERS);
    for (wait, op) in script {
        sleep(Duration::from_millis(wait)).await;
        budget.count(&op);
        match op {
            Op::Change(number) => vendor.change(&user(number)),
            Op::ChangeTwice(number) => {
                vendor.change(&user(number));
                vendor.change_again(&user(number));
            }
            Op::ChangeMany(number) => {
                (number..number + 40).for_each(|number| vendor.change(&user(number)));
            }
            Op::Cut => vendor.cut("cut"),
            Op::Closing => vendor.announce_closing(),
            Op::Silence => vendor.silence(),
            Op::Unsubscribe => vendor.unsubscribe(),
            Op::Garbage => vendor.send_all("{"),
            Op::Old(number) => vendor.send_all(&event(&user(number), 1)),
            Op::Elsewhere(number) => {
                let text = event(&user(number), 99).replace("PURECLOUD", "teams");
                vendor.send_all(&text);
            }
            Op::Spoil(spoilt) => vendor.0.lock().rewrite = spoilt.rewrite(),
            Op::Refuse(number, Some(status)) => {
                vendor.0.lock().unreadable.insert(user(number), status);
            }
            Op::Refuse(number, None) => drop(vendor.0.lock().unreadable.remove(&user(number))),
            Op::Deliver(delay, copies) => {
                let mut sim = vendor.0.lock();
                sim.delay = Duration::from_millis(delay);
                sim.copies = copies;
            }
            Op::Slow(ms) => vendor.0.lock().slowness = Duration::from_millis(ms),
            Op::Fail(status) => vendor.0.lock().failing = status,
            Op::NoChannel(status) => vendor.0.lock().no_channel = status,
            Op::NoSocket(is_closed) => vendor.0.lock().no_socket = is_closed,
            Op::Watch(from, count, pause) => {
                let ids: Vec<String> = (from..from + count).map(user).collect();
                let known = watched(&watches);
                budget.join(ids.iter().filter(|&id| !known.contains(id)).count());
                watches.push(scene.watch(&ids, Duration::from_millis(pause)));
            }
            Op::Leave(index) if watches.len() > 1 => {
                budget.leave();
                drop(watches.remove(index % watches.len()));
            }
            Op::Return(index, ms) if watches.len() > 1 => {
                let left = watches.remove(index % watches.len());
                let (ids, pause) = (left.ids.clone(), left.pause);
                budget.leave();
                drop(left);
                sleep(Duration::from_millis(ms)).await;
                budget.join(ids.len());
                watches.push(scene.watch(&ids, pause));
            }
            Op::Leave(_) | Op::Return(..) => {}
            Op::NoTopic(status) => {
                let status = status.map(|status| (user(0), status));
                vendor.0.lock().no_topics = status.into_iter().collect();
            }
            Op::Life(seconds) => vendor.0.lock().life = seconds.map(Duration::from_secs),
        }
    }
    watches
}

fn check_latest(
    scene: &Scene,
    watches: &[SimWatch],
    refused: &BTreeSet<String>,
) -> Result<(), TestCaseError> {
    let latest = scene.latest();
    for watch in watches {
        let received = watch.received.lock();
        let failed: BTreeSet<&String> = received.failed.iter().collect();
        prop_assert!(failed.iter().all(|&id| refused.contains(id)), "{failed:?}");
        if failed.len() == watch.ids.len() {
            prop_assert!(received.end.is_some(), "goes on without users");
            continue;
        }
        prop_assert!(received.end.is_none(), "ended: {:?}", received.end);
        prop_assert!(received.wrong.is_empty(), "wrong: {:?}", received.wrong);
        for id in watch.ids.iter().filter(|id| !failed.contains(id)) {
            let (received, latest) = (received.presences.get(id), latest.get(id));
            prop_assert_eq!(received, latest, "the latest presence of {}", id);
        }
        prop_assert_eq!(received.modes.last(), Some(&Mode::Live));
    }
    Ok(())
}

async fn check(seed: u64, script: Vec<(u64, Op)>) -> Result<(), TestCaseError> {
    fastrand::seed(seed);
    let scene = Scene::new(Settings::default());
    let (mut budget, begin) = (Budget::default(), Instant::now());
    let refused = script.iter().filter_map(|(_, op)| match op {
        Op::Refuse(number, Some(..500)) => Some(user(*number)),
        _ => None,
    });
    let refused: BTreeSet<String> = refused.collect();
    let mut watches = play(&scene, script, &mut budget).await;
    // The vendor behaves from now on. A silent socket is noticed after 75 s, a refused
    // channel is tried again after 11 minutes at most, and a slow reader needs 3 s for each
    // message.
    scene.vendor.0.lock().behave();
    if budget.has_refused_topics {
        // The next connection tries again.
        scene.vendor.cut("lost");
        budget.count(&Op::Cut);
    }
    sleep(Duration::from_mins(20)).await;
    check_latest(&scene, &watches, &refused)?;
    prop_assert_eq!(scene.vendor.0.lock().topics(), watched(&watches));
    // All of them get notifications again.
    watches.retain(|watch| watch.pause.is_zero());
    scene.change_all(&(0..USERS).map(user).collect::<Vec<_>>());
    sleep(Duration::from_secs(1)).await;
    check_latest(&scene, &watches, &refused)?;
    budget.check(&scene.vendor.0.lock(), begin.elapsed())?;
    drop(watches);
    sleep(KEEP + Duration::from_secs(1)).await;
    prop_assert_eq!(scene.hubs(), 0);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn in_the_end_each_caller_has_the_latest_presence_of_each_user(
        seed in any::<u64>(),
        script in script(),
    ) {
        let runtime = Builder::new_current_thread().enable_time().start_paused(true).build();
        runtime.unwrap().block_on(check(seed, script))?;
    }
}
