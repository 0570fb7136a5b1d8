//! Whatever the vendor does, in the end each caller has the latest presence of each
//! user, and got none twice or after a later one.

use std::time::Duration;

use proptest::prelude::*;
use tokio::runtime::Builder;
use tokio::time::sleep;

use super::scene::{Scene, SimWatch};
use crate::proto::v1::watch_state::Mode;
use crate::watch::Settings;

/// How many users there are; some of them in no watch.
const USERS: usize = 130;

#[derive(Debug, Clone)]
enum Op {
    Change(usize),
    ChangeMany(usize),
    Cut,
    Closing,
    Silence,
    Unsubscribe,
    Garbage,
    /// A notification that was sent before.
    Old(usize),
    /// How long notifications take, in milliseconds, and how often each comes.
    Deliver(u64, usize),
    /// Requests fail with this status from now on.
    Fail(Option<u16>),
    NoChannel(Option<u16>),
    NoSocket(bool),
    /// A watch of so many users from this one on, whose caller pauses for so many
    /// milliseconds.
    Watch(usize, usize, u64),
    Leave(usize),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        12 => (0..USERS).prop_map(Op::Change),
        6 => (0..USERS).prop_map(Op::ChangeMany),
        3 => Just(Op::Cut),
        2 => Just(Op::Closing),
        1 => Just(Op::Silence),
        1 => Just(Op::Unsubscribe),
        1 => Just(Op::Garbage),
        2 => (0..USERS).prop_map(Op::Old),
        3 => (prop_oneof![Just(0), 0..5000_u64], 1..3_usize).prop_map(|(ms, n)| Op::Deliver(ms, n)),
        1 => prop_oneof![Just(None), Just(Some(503)), Just(Some(429)), Just(Some(500))]
            .prop_map(Op::Fail),
        1 => prop_oneof![Just(None), Just(Some(503)), Just(Some(403))].prop_map(Op::NoChannel),
        1 => any::<bool>().prop_map(Op::NoSocket),
        2 => (0..USERS, 1..USERS, prop_oneof![Just(0), 0..3000_u64])
            .prop_map(|(from, count, pause)| Op::Watch(from, count, pause)),
        2 => (0..8_usize).prop_map(Op::Leave),
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

async fn play(seed: u64, script: Vec<(u64, Op)>) -> Result<(), TestCaseError> {
    fastrand::seed(seed);
    let scene = Scene::new(Settings::default());
    let vendor = scene.vendor.clone();
    (0..USERS).for_each(|number| vendor.change(&user(number)));
    let all: Vec<String> = (0..USERS).map(user).collect();
    let mut watches: Vec<SimWatch> = vec![scene.watch(&all, Duration::ZERO)];
    let (mut gaps, mut joins) = (1, 1);
    for (wait, op) in script {
        sleep(Duration::from_millis(wait)).await;
        match op {
            Op::Change(number) => vendor.change(&user(number)),
            Op::ChangeMany(number) => {
                (number..number + 40).for_each(|number| vendor.change(&user(number)));
            }
            Op::Cut => vendor.cut("cut"),
            Op::Closing => {
                vendor.send_all(r#"{"topicName":"v2.system.socket_closing","eventBody":{}}"#);
            }
            Op::Silence => vendor.silence(),
            Op::Unsubscribe => vendor.unsubscribe(),
            Op::Garbage => vendor.send_all("{"),
            Op::Old(number) => {
                let user = user(number);
                vendor.send_all(&super::vendor::event(&user, 1));
            }
            Op::Deliver(delay, copies) => {
                let mut sim = vendor.0.lock();
                sim.delay = Duration::from_millis(delay);
                sim.copies = copies;
            }
            Op::Fail(status) => vendor.0.lock().failing = status,
            Op::NoChannel(status) => vendor.0.lock().no_channel = status,
            Op::NoSocket(is_closed) => vendor.0.lock().no_socket = is_closed,
            Op::Watch(from, count, pause) => {
                joins += 1;
                let ids: Vec<String> = (from..from + count).map(user).collect();
                watches.push(scene.watch(&ids, Duration::from_millis(pause)));
                continue;
            }
            Op::Leave(index) if watches.len() > 1 => {
                joins += 1;
                drop(watches.remove(index % watches.len()));
                continue;
            }
            Op::Leave(_) => continue,
        }
        gaps += 1;
    }
    // The vendor behaves from now on. A silent socket is noticed after 75 s, a refused
    // channel is tried again after 11 minutes at most, and a slow reader needs 3 s for each
    // message.
    {
        let mut sim = vendor.0.lock();
        (sim.failing, sim.no_channel, sim.no_socket) = (None, None, false);
        (sim.delay, sim.copies) = (Duration::ZERO, 1);
    }
    sleep(Duration::from_mins(20)).await;
    let expected = vendor.0.lock().users.clone();
    for watch in &watches {
        let told = watch.told.lock();
        prop_assert!(told.end.is_none(), "ended: {:?}", told.end);
        prop_assert!(told.wrong.is_empty(), "wrong: {:?}", told.wrong);
        for id in &watch.ids {
            let (told, latest) = (told.presences.get(id), expected.get(id));
            prop_assert_eq!(told, latest, "the latest presence of {}", id);
        }
        prop_assert_eq!(told.modes.last(), Some(&Mode::Live));
    }
    let asked = vendor.asked();
    let minutes = 20 + 80 * 2;
    let batches = USERS.div_ceil(50) + 1;
    prop_assert!(
        asked.created <= gaps + joins + minutes,
        "{asked:?}, {gaps} gaps"
    );
    prop_assert!(
        asked.subscribed <= gaps + 2 * joins + 2 * minutes,
        "{asked:?}, {gaps} gaps"
    );
    let reads = batches * (2 * gaps + joins + 4 * minutes);
    prop_assert!(asked.read <= reads, "{asked:?}, {gaps} gaps");
    drop(watches);
    sleep(Duration::from_secs(1)).await;
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
        runtime.unwrap().block_on(play(seed, script))?;
    }
}
