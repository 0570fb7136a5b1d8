//! One channel before a vendor that answers late or not, ends connections, and forgets
//! channels, in any order. In this model nothing takes time by itself.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::*;

use super::{Slot, written};
use crate::upstream::{ConnectError, ConnectErrorKind};
use crate::watch::channel::{Action, Effect, Generation};

/// How many users there are.
const USERS: usize = 3;

#[derive(Debug, Clone)]
enum Op {
    Add(usize),
    Remove(usize),
    /// So many milliseconds pass.
    Wait(u64),
    /// A new channel, or a connection, is made, or is not.
    Build(bool),
    /// The vendor takes over the subscription that is on its way.
    Take,
    /// The answer to it comes, with this status.
    Answer(u16),
    /// One of the open connections ends, or its end is announced.
    End(usize),
    Closing(usize),
    /// The vendor forgets the channel of one of them.
    Forget(usize),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => (0..USERS).prop_map(Op::Add),
        3 => (0..USERS).prop_map(Op::Remove),
        4 => prop_oneof![0..100_u64, 0..5000_u64, 0..100_000_u64].prop_map(Op::Wait),
        6 => prop_oneof![5 => Just(true), 1 => Just(false)].prop_map(Op::Build),
        3 => Just(Op::Take),
        6 => prop_oneof![6 => Just(200), 1 => Just(503), 1 => Just(400)].prop_map(Op::Answer),
        2 => (0..3_usize).prop_map(Op::End),
        1 => (0..3_usize).prop_map(Op::Closing),
        1 => (0..3_usize).prop_map(Op::Forget),
    ]
}

/// A subscription that is on its way.
struct Write {
    channel: String,
    users: Vec<String>,
    replaces: bool,
    is_taken: bool,
}

struct Model {
    slot: Slot,
    users: BTreeSet<String>,
    /// The topics of each channel, and the channel of each open connection.
    topics: BTreeMap<String, BTreeSet<String>>,
    connections: BTreeMap<Generation, String>,
    building: Option<Action>,
    write: Option<Write>,
    live: Option<Generation>,
    /// Whether the vendor has refused to remove topics: they cost events, and nothing else.
    has_refused: bool,
    /// The users who were read since they have notifications.
    fresh: BTreeSet<String>,
}

impl Model {
    fn new(life: Option<u64>) -> Self {
        let mut slot = Slot::new();
        slot.life = life.map(Duration::from_secs);
        Self {
            slot,
            users: BTreeSet::new(),
            topics: BTreeMap::new(),
            connections: BTreeMap::new(),
            building: None,
            write: None,
            live: None,
            has_refused: false,
            fresh: BTreeSet::new(),
        }
    }

    fn play(&mut self, op: &Op) {
        let open = |nth: usize| self.connections.keys().copied().cycle().nth(nth);
        match *op {
            Op::Add(number) => {
                let user = format!("u{number}");
                if self.users.insert(user.clone()) {
                    self.slot.add(&[&user]);
                    // Whoever comes is read.
                    self.fresh.insert(user);
                }
            }
            Op::Remove(number) => {
                let user = format!("u{number}");
                if self.users.remove(&user) {
                    self.slot.remove(&user);
                }
            }
            Op::Wait(ms) => self.slot.wait(Duration::from_millis(ms)),
            Op::Build(succeeds) => self.build(succeeds),
            Op::Take => self.take(),
            Op::Answer(status) => self.answer(status),
            Op::End(nth) => {
                if let Some(generation) = open(nth) {
                    self.end(generation);
                }
            }
            Op::Closing(nth) => {
                if let Some(generation) = open(nth) {
                    self.slot.slot.closing(generation);
                }
            }
            Op::Forget(nth) => {
                if let Some(generation) = open(nth) {
                    let channel = self.connections[&generation].clone();
                    self.topics.remove(&channel);
                    let of_channel = self.connections.iter().filter(|(_, of)| **of == channel);
                    let of_channel: Vec<_> = of_channel.map(|(of, _)| *of).collect();
                    for generation in of_channel {
                        let effect = self.slot.slot.unsubscribed(generation, self.slot.now);
                        self.apply(&effect);
                    }
                }
            }
        }
        self.act();
    }

    /// Begins what the channel wants.
    fn act(&mut self) {
        while let Some(action) = self.slot.act() {
            match action {
                Action::Subscribe { replaces, .. } => {
                    assert!(self.write.is_none(), "two subscriptions at a time");
                    let (channel, users) = written(action);
                    self.write = Some(Write {
                        channel,
                        users,
                        replaces,
                        is_taken: false,
                    });
                }
                action => {
                    assert!(self.building.is_none(), "two connections at a time");
                    self.building = Some(action);
                }
            }
        }
        while let Some(generation) = self.slot.slot.close(self.slot.now) {
            self.connections.remove(&generation);
        }
        self.find_live();
    }

    fn build(&mut self, succeeds: bool) {
        let now = self.slot.now;
        let effect = match self.building.take() {
            Some(Action::Create) if succeeds => {
                self.topics
                    .insert(self.slot.channels.to_string(), BTreeSet::new());
                return self.slot.create();
            }
            Some(Action::Open(channel)) if succeeds && self.topics.contains_key(&channel) => {
                self.slot.open();
                self.connections.insert(self.slot.generation, channel);
                return;
            }
            Some(Action::Create) => self.slot.slot.created(Err(super::failure(503)), now),
            Some(Action::Open(_)) => {
                let (why, kind) = ("no".to_owned(), ConnectErrorKind::Rejected);
                self.slot.slot.opened(Err(ConnectError { why, kind }), now)
            }
            _ => return,
        };
        self.apply(&effect);
    }

    fn take(&mut self) {
        if let Some(write) = &mut self.write
            && let Some(topics) = self.topics.get_mut(&write.channel)
            && !std::mem::replace(&mut write.is_taken, true)
        {
            if write.replaces {
                topics.clear();
            }
            topics.extend(write.users.iter().cloned());
        }
    }

    fn answer(&mut self, status: u16) {
        if status == 200 {
            self.take();
        }
        let Some(write) = self.write.take() else {
            return;
        };
        self.has_refused |= status == 400;
        let effect = match status {
            200 if write.is_taken => self.slot.permit(&write.users),
            200 => self.slot.reject(404),
            400 if write.is_taken => self.slot.reject(503),
            status => self.slot.reject(status),
        };
        self.apply(&effect);
    }

    fn end(&mut self, generation: Generation) {
        self.connections.remove(&generation);
        let effect = self.slot.end(generation);
        self.apply(&effect);
    }

    fn apply(&mut self, effect: &Effect) {
        if let Some(generation) = effect.replaced {
            self.connections.remove(&generation);
        }
        self.find_live();
        let covered = effect.covered.iter().map(ToString::to_string);
        self.fresh.extend(covered);
    }

    fn find_live(&mut self) {
        let mut open = self.connections.keys().copied();
        let live = open.find(|&generation| self.slot.slot.is_live(generation));
        if self.live != live {
            self.live = live;
            self.fresh.clear();
        }
    }

    /// Nobody counts on notifications that do not come, or has missed some.
    fn check(&mut self) -> Result<(), TestCaseError> {
        let slot = &self.slot.slot;
        self.fresh
            .retain(|user| slot.covers(user) || !self.users.contains(user));
        let covered = self.users.iter().filter(|user| slot.covers(user));
        for user in covered {
            let channel = self.live.and_then(|live| self.connections.get(&live));
            let topics = channel.and_then(|channel| self.topics.get(channel));
            let has_topic = topics.is_some_and(|topics| topics.contains(user));
            prop_assert!(has_topic, "no topic of {}: {:?}", user, slot);
            prop_assert!(self.fresh.contains(user), "{} not read: {:?}", user, slot);
        }
        Ok(())
    }

    /// The vendor answers all from now on: each user gets notifications.
    fn settle(&mut self) -> Result<(), TestCaseError> {
        let end = self.slot.now + Duration::from_mins(30);
        while self.slot.now < end {
            while self.building.is_some() || self.write.is_some() {
                self.play(&Op::Build(true));
                self.play(&Op::Answer(200));
                self.check()?;
            }
            self.slot.now = self.slot.slot.next(self.slot.now).unwrap_or(end).min(end);
            self.act();
        }
        let slot = &self.slot.slot;
        prop_assert_eq!(slot.is_connected(), !self.users.is_empty(), "{:?}", slot);
        for user in &self.users {
            let is_taken = slot.covers(user) || slot.polls(user, self.slot.now);
            prop_assert!(is_taken, "{}: {:?}", user, slot);
        }
        if let Some(live) = self.live.filter(|_| !self.has_refused) {
            let topics = &self.topics[&self.connections[&live]];
            prop_assert!(topics.is_subset(&self.users), "{:?}: {:?}", topics, slot);
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn whatever_the_order_users_with_notifications_have_a_topic_and_were_read(
        seed in any::<u64>(),
        life in prop_oneof![3 => Just(None), 1 => (1..100_u64).prop_map(Some)],
        script in prop::collection::vec(op(), 1..80),
    ) {
        fastrand::seed(seed);
        let mut model = Model::new(life);
        for op in &script {
            model.play(op);
            model.check()?;
        }
        model.slot.life = None;
        model.settle()?;
    }
}
