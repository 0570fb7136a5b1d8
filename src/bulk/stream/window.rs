//! The ids of a stream that are being asked: those that wait for their batch,
//! those of batches under way, and results that wait to be taken.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

use super::{Done, StreamRequest, StreamResponse};
use crate::bulk::{BATCH, key};
use crate::error::{Error, Failure, Violation};
use crate::memory::MemoryLease;
use crate::operation;
use crate::proto::v1::{BulkReadFailure, StreamProgress};

/// How long the first id of a batch waits for others. A vendor's request takes
/// longer as a rule, and is what there is least of.
const LINGER: Duration = Duration::from_millis(20);

/// The ids that are being asked, and what has become of the others.
#[derive(Debug, Default)]
pub(super) struct Window {
    /// What the last message has more than a batch, with the places there.
    backlog: VecDeque<(usize, String)>,
    /// What of the memory for messages that message holds.
    held: Option<MemoryLease>,
    /// The next batch.
    gathered: Vec<String>,
    /// What of the next batch cannot be asked.
    wrong: Vec<BulkReadFailure>,
    /// When the next batch got its first id.
    since: Option<Instant>,
    /// The ids of batches under way.
    flying: BTreeMap<u64, Vec<String>>,
    /// Batches that have ended, whose results have not been taken.
    settled: BTreeMap<u64, Done>,
    /// How all of these are compared.
    keys: HashSet<String>,
    /// How many batches have begun, and of how many the results were taken.
    begun: u64,
    taken: u64,
    is_unordered: bool,
    progress: StreamProgress,
    /// What the caller was told of it last.
    told: Option<StreamProgress>,
}

/// A batch that is to be sent.
#[derive(Debug)]
pub(super) struct Batch {
    /// Its place among the batches of the stream, from 0.
    pub number: u64,
    /// What is asked; not more than the vendor takes.
    pub ids: Vec<String>,
    /// The ids among them that cannot be asked.
    pub wrong: Vec<BulkReadFailure>,
}

impl Window {
    /// Takes the ids of a message.
    pub(super) fn take(&mut self, message: StreamRequest, held: Option<MemoryLease>) {
        self.held = held;
        self.is_unordered |= message.unordered;
        self.progress.received += count(message.ids.len());
        self.backlog.extend(message.ids.into_iter().enumerate());
        self.gather();
    }

    /// Whether there is room for another message.
    pub(super) fn wants_more(&self) -> bool {
        self.backlog.is_empty() && !self.is_full()
    }

    /// Whether no id waits for its batch.
    pub(super) fn is_empty(&self) -> bool {
        self.backlog.is_empty() && self.gathered.is_empty() && self.wrong.is_empty()
    }

    /// When the next batch leaves although it is not full.
    pub(super) fn leaves(&self) -> Option<Instant> {
        self.since.map(|since| since + LINGER)
    }

    /// How many batches are under way, or have results that were not taken.
    pub(super) fn unsettled(&self) -> usize {
        self.flying.len() + self.settled.len()
    }

    /// How many batches have begun.
    pub(super) fn batches(&self) -> usize {
        usize::try_from(self.begun).unwrap_or(usize::MAX)
    }

    /// How many ids were taken.
    pub(super) fn received(&self) -> usize {
        usize::try_from(self.progress.received).unwrap_or(usize::MAX)
    }

    /// The next batch, if it is full, has waited for long enough, or is the last.
    pub(super) fn next_batch(&mut self, is_last: bool) -> Option<Batch> {
        let is_due = self.leaves().is_some_and(|due| due <= Instant::now());
        if self.is_empty() || !(self.is_full() || is_due || is_last) {
            return None;
        }
        let batch = Batch {
            number: self.begun,
            ids: std::mem::take(&mut self.gathered),
            wrong: std::mem::take(&mut self.wrong),
        };
        self.since = None;
        self.begun += 1;
        self.flying.insert(batch.number, batch.ids.clone());
        self.gather();
        Some(batch)
    }

    /// Takes what came of a batch.
    pub(super) fn settle(&mut self, done: Done) {
        self.flying.remove(&done.number);
        self.settled.insert(done.number, done);
    }

    /// Whether there are results that can be handed out now.
    pub(super) fn has_results(&self) -> bool {
        match self.settled.first_key_value() {
            Some((&first, _)) => self.is_unordered || first == self.taken,
            None => false,
        }
    }

    /// The results that are to be handed out next.
    pub(super) fn next_results(&mut self) -> Option<StreamResponse> {
        let (_, done) = self.has_results().then(|| self.settled.pop_first())??;
        Some(self.hand_out(done))
    }

    /// What is left to be told at the end: results that were not taken, and
    /// with why the stream failed, the ids that were not read.
    pub(super) fn last(&mut self, why: Option<&Failure>) -> Option<StreamResponse> {
        let mut last = StreamResponse::default();
        while let Some((_, done)) = self.settled.pop_first() {
            let results = self.hand_out(done);
            last.presences.extend(results.presences);
            last.missing_ids.extend(results.missing_ids);
            last.failures.extend(results.failures);
        }
        if let Some(why) = why {
            let mut ids: Vec<String> = std::mem::take(&mut self.flying)
                .into_values()
                .flatten()
                .collect();
            // What cannot be asked is told so, and not that it was not.
            loop {
                ids.append(&mut self.gathered);
                self.progress.failed += count(self.wrong.len());
                last.failures.append(&mut self.wrong);
                if self.backlog.is_empty() {
                    break;
                }
                self.gather();
            }
            if !ids.is_empty() {
                self.progress.failed += count(ids.len());
                last.failures.push(BulkReadFailure {
                    ids,
                    status: Some(why.clone().into_rpc_status()),
                });
            }
        }
        last.progress = self.progress;
        let is_told = self.told == Some(self.progress);
        self.told = Some(self.progress);
        (!is_told).then_some(last)
    }

    /// Counts results, and lets their ids be asked again.
    fn hand_out(&mut self, done: Done) -> StreamResponse {
        let mut results = done.results;
        self.taken = done.number + 1;
        for id in done.ids {
            self.keys.remove(&key(&id));
        }
        self.progress.done += count(done.found);
        self.progress.missing += count(results.missing_ids.len());
        let failed: usize = results
            .failures
            .iter()
            .map(|failure| failure.ids.len())
            .sum();
        self.progress.failed += count(failed);
        results.progress = self.progress;
        self.told = Some(self.progress);
        results
    }

    /// Moves ids from the message into the next batch.
    fn gather(&mut self) {
        while !self.is_full()
            && let Some((place, id)) = self.backlog.pop_front()
        {
            if let Some(what) = operation::wrong_element(&id) {
                self.wrong.push(wrong(place, id, what));
            } else if self.keys.insert(key(&id)) {
                self.gathered.push(id);
            } else {
                self.progress.duplicates += 1;
                continue;
            }
            self.since.get_or_insert_with(Instant::now);
        }
        if self.backlog.is_empty() {
            self.held = None;
        }
    }

    fn is_full(&self) -> bool {
        self.gathered.len() + self.wrong.len() >= BATCH
    }
}

/// An id that cannot be asked, with its place in its message.
fn wrong(place: usize, id: String, what: String) -> BulkReadFailure {
    let violation = Violation::new(format!("ids[{place}]"), what);
    let failure = Failure::from(Error::Invalid(vec![violation]));
    BulkReadFailure {
        ids: vec![id],
        status: Some(failure.into_rpc_status()),
    }
}

fn count(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
