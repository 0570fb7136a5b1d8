//! What an unreliable vendor makes of a bulk write.

use std::collections::HashSet;
use std::future::pending;

use axum::response::Response;
use parking_lot::Mutex;
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};
use tokio::task::yield_now;

use crate::support::bulk::update;
use crate::support::{ReceivedRequest, disconnect, reply};

/// How the vendor treats a batch.
#[derive(Debug, Clone, Copy)]
pub enum End {
    Applied,
    /// Refused, before anything was applied; with 429 for longer than any call.
    Refused(u16),
    /// Applied, and answered with what is no answer.
    Garbled,
    /// Answered by something in between (none: not at all), having been
    /// applied or not.
    Lost(Option<u16>, bool),
    /// Never answered, having been applied or not.
    Never(bool),
}

/// One call, and what the vendor makes of it.
#[derive(Debug, Clone)]
pub struct Scene {
    /// Which of the gateways is called.
    pub gateway: usize,
    pub partial: bool,
    /// Whether time can run out; else every batch is answered.
    pub in_haste: bool,
    /// The user of each update; the same user's id is spelt in two ways.
    pub users: Vec<usize>,
    /// How long the message of each of the first updates is made.
    pub padding: Vec<usize>,
    /// How batches end, and how often others get their turn before and after
    /// they are applied. Which one is whose follows from where it begins.
    pub batches: Vec<(End, usize, usize)>,
}

pub fn scene() -> impl Strategy<Value = Scene> {
    let users = prop_oneof![
        vec(0..3_usize, 1..25),
        vec(0..40_usize, 1..120),
        vec(0..10_000_usize, 1..260),
    ];
    let padding = prop_oneof![
        24 => Just(Vec::new()),
        // Enough for a few batches; much takes long.
        1 => vec(100_000..300_000_usize, 2..7),
    ];
    let batches = prop::sample::select(vec![0.001, 0.05, 0.4]).prop_flat_map(|failing| {
        let end = prop::option::weighted(failing, failed());
        let end = end.prop_map(|failed| failed.unwrap_or(End::Applied));
        vec((end, 0..20_usize, 0..20_usize), 1..40)
    });
    (
        0..3_usize,
        any::<bool>(),
        prop::bool::weighted(0.05),
        users,
        padding,
        batches,
    )
        .prop_map(
            |(gateway, partial, in_haste, users, padding, batches)| Scene {
                gateway,
                partial,
                in_haste,
                users,
                padding,
                batches,
            },
        )
}

fn failed() -> impl Strategy<Value = End> {
    let refused = prop::sample::select(vec![400, 403, 409, 413, 429, 500, 503]);
    let lost = prop::sample::select(vec![None, Some(502), Some(504)]);
    prop_oneof![
        3 => refused.prop_map(End::Refused),
        2 => (lost, any::<bool>()).prop_map(|(how, applied)| End::Lost(how, applied)),
        1 => Just(End::Garbled),
        2 => any::<bool>().prop_map(End::Never),
    ]
}

impl Scene {
    /// The updates, each with its place in its message.
    pub fn updates(&self) -> Vec<Value> {
        let padding = self.padding.iter().copied().chain(std::iter::repeat(0));
        let places = self.users.iter().zip(padding).enumerate();
        places
            .map(|(place, (user, padding))| {
                let user = if place % 3 == 0 {
                    format!("USER-{user}")
                } else {
                    format!("user-{user}")
                };
                update(&user, &format!("{place} {}", "x".repeat(padding)))
            })
            .collect()
    }

    fn batch(&self, first: usize) -> (End, usize, usize) {
        self.batches[first % self.batches.len()]
    }

    /// How the batch ends that begins with the update at this place.
    pub fn end(&self, first: usize) -> End {
        match self.batch(first).0 {
            End::Never(_) if !self.in_haste => End::Applied,
            end => end,
        }
    }
}

/// The place of an update or a presence in the request.
pub fn place(message: &Value) -> usize {
    let message = message["message"].as_str().unwrap();
    message.split(' ').next().unwrap().parse().unwrap()
}

/// The places of a request's updates.
pub fn places(received: &ReceivedRequest) -> Vec<usize> {
    received
        .json()
        .as_array()
        .unwrap()
        .iter()
        .map(place)
        .collect()
}

/// The user whom an update is of, however spelt.
pub fn user(update: &Value) -> String {
    update["id"].as_str().unwrap().to_ascii_lowercase()
}

/// What the vendor remembers of one scene.
#[derive(Debug, Default)]
pub struct Memory {
    /// The places of the updates that were applied, one after the other.
    pub applied: Mutex<Vec<usize>>,
    /// Users of whom two updates were under way at once.
    pub crossed: Mutex<Vec<String>>,
    under_way: Mutex<HashSet<String>>,
}

/// The users whose updates are under way in one request.
struct UnderWay<'a>(&'a Memory, Vec<String>);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        let mut under_way = self.0.under_way.lock();
        for user in &self.1 {
            under_way.remove(user);
        }
    }
}

impl Memory {
    /// Treats a request as the scene says.
    pub async fn treat(&self, scene: &Scene, received: &ReceivedRequest) -> Response {
        let places = places(received);
        let (_, before, after) = scene.batch(places[0]);
        let end = scene.end(places[0]);
        let under_way = self.begin(received);
        for _ in 0..before {
            yield_now().await;
        }
        if matches!(
            end,
            End::Applied | End::Garbled | End::Lost(_, true) | End::Never(true)
        ) {
            self.applied.lock().extend(&places);
        }
        for _ in 0..after {
            yield_now().await;
        }
        if matches!(end, End::Never(_)) {
            return pending().await;
        }
        // Before the answer, after which the next batch may come at any time.
        drop(under_way);
        match end {
            End::Refused(status) => {
                let body = json!({"code": format!("c.{status}")}).to_string();
                let mut response = reply(status, body);
                if status == 429 {
                    response.headers_mut().insert("Retry-After", 3600.into());
                }
                response
            }
            End::Lost(Some(status), _) => reply(status, ""),
            End::Lost(None, _) => disconnect(),
            End::Garbled => reply(200, "{}"),
            End::Applied | End::Never(_) => {
                let presences = places
                    .iter()
                    .map(|place| json!({"message": place.to_string()}));
                reply(200, Value::Array(presences.collect()).to_string())
            }
        }
    }

    fn begin(&self, received: &ReceivedRequest) -> UnderWay<'_> {
        let mut under_way = self.under_way.lock();
        let mut users = Vec::new();
        for update in received.json().as_array().unwrap() {
            let user = user(update);
            if under_way.insert(user.clone()) {
                users.push(user);
            } else {
                self.crossed.lock().push(user);
            }
        }
        UnderWay(self, users)
    }
}
