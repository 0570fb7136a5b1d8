//! The counts of the simulated vendor, and their report.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Instant;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::connections::Accepted;
use super::fault::Fault;
use super::sliding_count::SlidingCounts;

/// The number of tokens in the report, those with most requests first.
const REPORTED_TOKENS: usize = 20;

/// The counts while requests come in.
#[derive(Debug, Default)]
pub(super) struct Counts {
    requests: AtomicUsize,
    in_flight: AtomicUsize,
    peak_in_flight: AtomicUsize,
    faults: [AtomicUsize; Fault::ALL.len()],
    hash: RandomState,
    starts: Mutex<Starts>,
}

#[derive(Debug, Default)]
struct Starts {
    /// By token.
    all: SlidingCounts<u64>,
    /// By sender and token.
    of_sender: SlidingCounts<(u64, u64)>,
}

/// The counts as they are reported.
#[derive(Debug, Serialize, Deserialize)]
pub struct Report {
    /// The number of requests.
    pub requests: usize,
    /// The peak of concurrent requests.
    pub peak_in_flight: usize,
    /// The number of injected faults, by name.
    pub faults: Vec<(String, usize)>,
    /// The peak of requests of a token in any minute, largest first.
    pub peak_per_token: Vec<usize>,
    /// The same, of a token and a sender.
    pub peak_per_sender: Vec<usize>,
    /// The connections of each protocol that had any.
    pub connections: Vec<Accepted>,
}

/// Guard of a request in flight.
pub(super) struct InFlight<'a>(&'a AtomicUsize);

impl Counts {
    /// Counts a request of this sender with this token, until the guard is dropped.
    pub(super) fn begin(&self, sender: &str, token: &[u8]) -> InFlight<'_> {
        let (sender, token) = (self.hash.hash_one(sender), self.hash.hash_one(token));
        self.requests.fetch_add(1, Relaxed);
        let in_flight = self.in_flight.fetch_add(1, Relaxed) + 1;
        self.peak_in_flight.fetch_max(in_flight, Relaxed);
        let mut starts = self.starts.lock();
        let now = Instant::now();
        starts.all.start(token, now);
        starts.of_sender.start((sender, token), now);
        InFlight(&self.in_flight)
    }

    /// Counts a fault.
    pub(super) fn fault(&self, fault: Fault) {
        self.faults[fault as usize].fetch_add(1, Relaxed);
    }

    /// The counts of requests, with these of connections.
    pub(super) fn report(&self, connections: Vec<Accepted>) -> Report {
        let starts = self.starts.lock();
        let top = |mut most: Vec<usize>| {
            most.truncate(REPORTED_TOKENS);
            most
        };
        let faults = Fault::ALL.map(|fault| {
            let count = self.faults[fault as usize].load(Relaxed);
            (fault.name().to_owned(), count)
        });
        Report {
            requests: self.requests.load(Relaxed),
            peak_in_flight: self.peak_in_flight.load(Relaxed),
            faults: faults.into(),
            peak_per_token: top(starts.all.most()),
            peak_per_sender: top(starts.of_sender.most()),
            connections,
        }
    }
}

impl Report {
    /// The connections in words.
    pub fn connections(&self) -> String {
        let all = self.connections.iter().map(ToString::to_string);
        all.collect::<Vec<_>>().join("; ")
    }

    pub(super) fn to_json(&self) -> String {
        // Numbers and strings always serialize.
        serde_json::to_string(self).unwrap_or_default()
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}
