//! Generated bulk writes, and the responses of an unreliable vendor.

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

/// How the vendor responds to a batch.
#[derive(Debug, Clone, Copy)]
pub enum BatchEnd {
    Applied,
    /// Rejected without being applied; a 429 has a delay longer than any call.
    Rejected(u16),
    /// Applied, with a response that is not of the contract.
    Unreadable,
    /// Answered with this status by an intermediary (none: disconnected);
    /// whether it was applied.
    Lost(Option<u16>, bool),
    /// Without a response; whether it was applied.
    Unanswered(bool),
}

/// One call, and the vendor's responses to its batches.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// The index of the gateway to call.
    pub gateway: usize,
    pub partial: bool,
    /// Whether the deadline can expire; otherwise every batch gets a response.
    pub has_short_deadline: bool,
    /// The user of each update; ids differ in case.
    pub users: Vec<usize>,
    /// Bytes added to the message of each of the first updates.
    pub padding: Vec<usize>,
    /// How batches end, and how often each yields to other tasks before and
    /// after it is applied. The position of its first update selects one.
    pub batches: Vec<(BatchEnd, usize, usize)>,
}

pub fn scenario() -> impl Strategy<Value = Scenario> {
    let users = prop_oneof![
        vec(0..3_usize, 1..25),
        vec(0..40_usize, 1..120),
        vec(0..10_000_usize, 1..260),
    ];
    let padding = prop_oneof![
        24 => Just(Vec::new()),
        // Enough bytes for a few batches; more would be slow.
        1 => vec(100_000..300_000_usize, 2..7),
    ];
    let batches = prop::sample::select(vec![0.001, 0.05, 0.4]).prop_flat_map(|failing| {
        let end = prop::option::weighted(failing, failed());
        let end = end.prop_map(|failed| failed.unwrap_or(BatchEnd::Applied));
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
            |(gateway, partial, has_short_deadline, users, padding, batches)| Scenario {
                gateway,
                partial,
                has_short_deadline,
                users,
                padding,
                batches,
            },
        )
}

fn failed() -> impl Strategy<Value = BatchEnd> {
    let refused = prop::sample::select(vec![400, 403, 409, 413, 429, 500, 503]);
    let lost = prop::sample::select(vec![None, Some(502), Some(504)]);
    prop_oneof![
        3 => refused.prop_map(BatchEnd::Rejected),
        2 => (lost, any::<bool>()).prop_map(|(how, applied)| BatchEnd::Lost(how, applied)),
        1 => Just(BatchEnd::Unreadable),
        2 => any::<bool>().prop_map(BatchEnd::Unanswered),
    ]
}

impl Scenario {
    /// The updates; the message of each holds its position.
    pub fn updates(&self) -> Vec<Value> {
        let padding = self.padding.iter().copied().chain(std::iter::repeat(0));
        let positions = self.users.iter().zip(padding).enumerate();
        positions
            .map(|(position, (user, padding))| {
                let user = if position % 3 == 0 {
                    format!("USER-{user}")
                } else {
                    format!("user-{user}")
                };
                update(&user, &format!("{position} {}", "x".repeat(padding)))
            })
            .collect()
    }

    fn batch(&self, first: usize) -> (BatchEnd, usize, usize) {
        self.batches[first % self.batches.len()]
    }

    /// How the batch whose first update has this position ends.
    pub fn end(&self, first: usize) -> BatchEnd {
        match self.batch(first).0 {
            BatchEnd::Unanswered(_) if !self.has_short_deadline => BatchEnd::Applied,
            end => end,
        }
    }
}

/// The position of an update or a presence in the request.
pub fn position(message: &Value) -> usize {
    let message = message["message"].as_str().unwrap();
    message.split(' ').next().unwrap().parse().unwrap()
}

/// The positions of a request's updates.
pub fn positions(received: &ReceivedRequest) -> Vec<usize> {
    received
        .json()
        .as_array()
        .unwrap()
        .iter()
        .map(position)
        .collect()
}

/// The user of an update, in lower case.
pub fn user(update: &Value) -> String {
    update["id"].as_str().unwrap().to_ascii_lowercase()
}

/// The vendor's state in one scenario.
#[derive(Debug, Default)]
pub struct VendorState {
    /// The positions of the applied updates, in the order of application.
    pub applied: Mutex<Vec<usize>>,
    /// Users with two updates in flight at the same time.
    pub overlapping: Mutex<Vec<String>>,
    in_flight: Mutex<HashSet<String>>,
}

/// Guard of the users with updates in one request.
struct UpdatesInFlight<'a>(&'a VendorState, Vec<String>);

impl Drop for UpdatesInFlight<'_> {
    fn drop(&mut self) {
        let mut in_flight = self.0.in_flight.lock();
        for user in &self.1 {
            in_flight.remove(user);
        }
    }
}

impl VendorState {
    /// Responds to a request as the scenario defines.
    pub async fn respond(&self, scenario: &Scenario, received: &ReceivedRequest) -> Response {
        let positions = positions(received);
        let (_, before, after) = scenario.batch(positions[0]);
        let end = scenario.end(positions[0]);
        let in_flight = self.start(received);
        for _ in 0..before {
            yield_now().await;
        }
        if matches!(
            end,
            BatchEnd::Applied
                | BatchEnd::Unreadable
                | BatchEnd::Lost(_, true)
                | BatchEnd::Unanswered(true)
        ) {
            self.applied.lock().extend(&positions);
        }
        for _ in 0..after {
            yield_now().await;
        }
        if matches!(end, BatchEnd::Unanswered(_)) {
            return pending().await;
        }
        // Before the response: the next batch may arrive at any time after it.
        drop(in_flight);
        match end {
            BatchEnd::Rejected(status) => {
                let body = json!({"code": format!("c.{status}")}).to_string();
                let mut response = reply(status, body);
                if status == 429 {
                    response.headers_mut().insert("Retry-After", 3600.into());
                }
                response
            }
            BatchEnd::Lost(Some(status), _) => reply(status, ""),
            BatchEnd::Lost(None, _) => disconnect(),
            BatchEnd::Unreadable => reply(200, "{}"),
            BatchEnd::Applied | BatchEnd::Unanswered(_) => {
                let presences = positions
                    .iter()
                    .map(|position| json!({"message": position.to_string()}));
                reply(200, Value::Array(presences.collect()).to_string())
            }
        }
    }

    fn start(&self, received: &ReceivedRequest) -> UpdatesInFlight<'_> {
        let mut in_flight = self.in_flight.lock();
        let mut users = Vec::new();
        for update in received.json().as_array().unwrap() {
            let user = user(update);
            if in_flight.insert(user.clone()) {
                users.push(user);
            } else {
                self.overlapping.lock().push(user);
            }
        }
        UpdatesInFlight(self, users)
    }
}
