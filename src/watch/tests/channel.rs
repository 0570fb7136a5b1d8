//! One channel, by what happens to it in an order that the vendor chooses.

mod ends;
mod model;
mod pace;
mod races;
mod refusals;

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::vendor::failure;
use crate::watch::channel::{Action, ChannelSlot, Effect, Generation, POLL_AFTER};
use crate::watch::vendor::{Channel, Subscribed};

/// A channel, and its time.
struct Slot {
    slot: ChannelSlot,
    begin: Instant,
    now: Instant,
    generation: Generation,
    channels: usize,
    /// The life of new channels.
    life: Option<Duration>,
}

impl Slot {
    fn new() -> Self {
        let now = Instant::now();
        Self {
            slot: ChannelSlot::new(POLL_AFTER),
            begin: now,
            now,
            generation: 0,
            channels: 0,
            life: None,
        }
    }

    /// One with these users, whose first connection is live.
    fn live(users: &[&str]) -> Self {
        let mut slot = Self::new();
        slot.add(users);
        slot.connect();
        slot
    }

    fn add(&mut self, users: &[&str]) {
        for user in users {
            assert!(self.slot.add(&Arc::from(*user), self.now));
        }
    }

    fn remove(&mut self, user: &str) {
        self.slot.remove(user, self.now);
    }

    fn wait(&mut self, time: Duration) {
        self.now += time;
    }

    /// What is to be done at this time.
    fn act(&mut self) -> Option<Action> {
        self.slot.act(self.now)
    }

    /// What is to be done next, at its time.
    fn next(&mut self) -> Action {
        for _ in 0..100 {
            if let Some(action) = self.act() {
                return action;
            }
            let next = self.slot.next(self.now);
            self.now = next.expect("something to do");
        }
        panic!("wakes without anything to do: {:?}", self.slot);
    }

    fn create(&mut self) {
        let id = self.channels.to_string();
        self.channels += 1;
        let channel = Channel {
            id: id.clone(),
            address: id,
            life: self.life,
        };
        let effect = self.slot.created(Ok(channel), self.now);
        assert!(effect.unauthenticated.is_none());
    }

    fn open(&mut self) {
        self.generation += 1;
        let effect = self.slot.opened(Ok(self.generation), self.now);
        assert_eq!(effect.replaced, None);
    }

    /// Builds a connection up to its first subscription, which is on its way then.
    /// Returns the channel and the users.
    fn connect_until_subscription(&mut self) -> (String, Vec<String>) {
        loop {
            match self.next() {
                Action::Create => self.create(),
                Action::Open(_) => self.open(),
                write @ Action::Subscribe { replaces: true, .. } => return written(write),
                write @ Action::Subscribe { .. } => {
                    let (_, users) = written(write);
                    self.permit(&users);
                }
            }
        }
    }

    /// Builds a connection, and has it subscribed.
    fn connect(&mut self) -> Effect {
        let (_, users) = self.connect_until_subscription();
        self.permit(&users)
    }

    /// The vendor permits these topics in its answer.
    fn permit(&mut self, users: &[impl AsRef<str>]) -> Effect {
        let permitted = users.iter().map(|user| Arc::from(user.as_ref()));
        let subscribed = Subscribed {
            permitted: permitted.collect(),
            ..Subscribed::default()
        };
        self.slot.subscribed(Ok(subscribed), self.now)
    }

    /// The vendor answers a subscription with this status.
    fn reject(&mut self, status: u16) -> Effect {
        self.slot.subscribed(Err(failure(status)), self.now)
    }

    fn end(&mut self, generation: Generation) -> Effect {
        self.slot.ended(generation, "lost", self.now)
    }

    /// Checks of whom notifications come.
    fn assert_covers(&self, covered: &[&str], others: &[&str]) {
        for user in covered {
            assert!(self.slot.covers(user), "{user}: {:?}", self.slot);
        }
        for user in others {
            assert!(!self.slot.covers(user), "{user}: {:?}", self.slot);
        }
    }

    fn polls(&self, user: &str) -> bool {
        self.slot.polls(user, self.now)
    }
}

/// The channel and the users of a subscription.
fn written(action: Action) -> (String, Vec<String>) {
    let Action::Subscribe { channel, users, .. } = action else {
        panic!("not a subscription: {action:?}");
    };
    let mut users: Vec<String> = users.iter().map(ToString::to_string).collect();
    users.sort();
    (channel, users)
}

/// A subscription of these users besides the others.
fn addition(channel: &str, users: &[&str]) -> Action {
    Action::Subscribe {
        channel: channel.to_owned(),
        users: users.iter().map(|user| Arc::from(*user)).collect(),
        replaces: false,
    }
}

fn sorted(users: &[Arc<str>]) -> Vec<&str> {
    let mut users: Vec<&str> = users.iter().map(AsRef::as_ref).collect();
    users.sort_unstable();
    users
}
