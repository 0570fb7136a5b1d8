//! What is counted, and told at the end.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::budget::Budgets;
use super::fault::Fault;

/// How many of the tokens that asked most are told.
const TOLD: usize = 20;

/// The counts as they are kept.
#[derive(Debug, Default)]
pub(super) struct Counts {
    requests: AtomicUsize,
    in_flight: AtomicUsize,
    most_in_flight: AtomicUsize,
    faults: [AtomicUsize; Fault::ALL.len()],
    hash: RandomState,
    starts: Mutex<Starts>,
}

#[derive(Debug, Default)]
struct Starts {
    /// By token.
    all: Budgets<u64>,
    /// By sender and token.
    of_sender: Budgets<(u64, u64)>,
}

/// The counts as they are told.
#[derive(Debug, Serialize, Deserialize)]
pub struct Report {
    /// How many requests there were.
    pub requests: usize,
    /// The most that were in flight at once.
    pub most_in_flight: usize,
    /// How many met a fault, by its name.
    pub faults: Vec<(String, usize)>,
    /// The most requests of one token in any minute, largest first.
    pub most_of_token: Vec<usize>,
    /// The same, of what one sender sent.
    pub most_of_sender: Vec<usize>,
}

/// A request that is in flight until this is dropped.
pub(super) struct InFlight<'a>(&'a AtomicUsize);

impl Counts {
    /// Counts a request of this sender with this token.
    pub(super) fn begin(&self, sender: &str, token: &[u8]) -> InFlight<'_> {
        let (sender, token) = (self.hash.hash_one(sender), self.hash.hash_one(token));
        self.requests.fetch_add(1, Relaxed);
        let in_flight = self.in_flight.fetch_add(1, Relaxed) + 1;
        self.most_in_flight.fetch_max(in_flight, Relaxed);
        let mut starts = self.starts.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        starts.all.start(token, now);
        starts.of_sender.start((sender, token), now);
        InFlight(&self.in_flight)
    }

    /// Counts a fault.
    pub(super) fn fault(&self, fault: Fault) {
        self.faults[fault as usize].fetch_add(1, Relaxed);
    }

    pub(super) fn report(&self) -> Report {
        let starts = self.starts.lock().unwrap_or_else(PoisonError::into_inner);
        let told = |mut most: Vec<usize>| {
            most.truncate(TOLD);
            most
        };
        let faults = Fault::ALL.map(|fault| {
            let count = self.faults[fault as usize].load(Relaxed);
            (fault.name().to_owned(), count)
        });
        Report {
            requests: self.requests.load(Relaxed),
            most_in_flight: self.most_in_flight.load(Relaxed),
            faults: faults.into(),
            most_of_token: told(starts.all.most()),
            most_of_sender: told(starts.of_sender.most()),
        }
    }
}

impl Report {
    pub(super) fn to_json(&self) -> String {
        // Numbers and texts, which have a JSON form.
        serde_json::to_string(self).unwrap_or_default()
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}
