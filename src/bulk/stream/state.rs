//! The state of one stream: ids that wait for a batch, batches in flight, and
//! completed batches that the caller has not received yet.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::StreamRequest;
use crate::bulk::id_key::{IdKey, IdSet};
use crate::bulk::{BATCH_SIZE, BulkReadResponse, to_i64};
use crate::error::{Error, Failure, Violation};
use crate::memory::MemoryLease;
use crate::operation;
use crate::proto::v1::{BulkReadFailure, StreamProgress};

/// How long the first id of a batch waits for more ids. A request to the vendor
/// usually takes longer than that, and requests are the scarcest resource: one
/// for each id would spend the token's minute on 300 ids.
const LINGER: Duration = Duration::from_millis(20);

/// Which ids are being read, and the progress on all others.
#[derive(Debug, Default)]
pub(super) struct StreamState {
    /// The ids of the last message that do not fit into the next batch, with
    /// their indexes in that message.
    backlog: VecDeque<(usize, String)>,
    /// The memory that this message occupies.
    backlog_lease: Option<MemoryLease>,
    next: Batch,
    /// When the next batch got its first id.
    next_since: Option<Instant>,
    /// The ids of each batch in flight.
    in_flight: BTreeMap<usize, Arc<Vec<String>>>,
    /// Completed batches with their ids, until they are delivered.
    completed: BTreeMap<usize, (Arc<Vec<String>>, CompletedBatch)>,
    /// The keys of all ids from the next batch to the completed ones: a message
    /// that repeats one of these has a duplicate.
    keys: IdSet,
    /// The number of the batch that an ordered stream delivers next.
    next_delivery: usize,
    is_unordered: bool,
    progress: StreamProgress,
    /// The progress that the caller received last.
    last_progress: Option<StreamProgress>,
}

/// A batch that is ready to be sent.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// Its position among the batches of the stream, from 0.
    pub number: usize,
    /// The ids to read; no more than one request takes.
    pub ids: Arc<Vec<String>>,
    /// The ids that cannot be sent, one failure for each.
    pub invalid: Vec<BulkReadFailure>,
}

/// A batch whose results are known.
#[derive(Debug)]
pub(super) struct CompletedBatch {
    pub number: usize,
    /// How many of its ids were found.
    pub found: usize,
    pub results: BulkReadResponse,
    /// The memory that the results occupy.
    pub _lease: MemoryLease,
}

impl Batch {
    fn len(&self) -> usize {
        self.ids.len() + self.invalid.len()
    }

    fn is_full(&self) -> bool {
        self.len() >= BATCH_SIZE
    }
}

impl StreamState {
    /// Adds the ids of a message.
    pub(super) fn add(&mut self, message: StreamRequest, lease: Option<MemoryLease>) {
        self.backlog_lease = lease;
        self.is_unordered |= message.unordered;
        self.progress.received += to_i64(message.ids.len());
        self.backlog.extend(message.ids.into_iter().enumerate());
        self.fill_next();
    }

    /// Whether there is room for another message.
    pub(super) fn has_room(&self) -> bool {
        self.backlog.is_empty() && !self.next.is_full()
    }

    /// Whether no id waits for a batch.
    pub(super) fn is_drained(&self) -> bool {
        self.backlog.is_empty() && self.next.len() == 0
    }

    /// When the next batch is sent even if it is not full.
    pub(super) fn linger_end(&self) -> Option<Instant> {
        self.next_since.map(|since| since + LINGER)
    }

    /// How many batches are in flight or wait for their delivery.
    pub(super) fn undelivered(&self) -> usize {
        self.in_flight.len() + self.completed.len()
    }

    /// How many batches were started.
    pub(super) fn batches(&self) -> usize {
        self.next.number
    }

    /// How many ids were received.
    pub(super) fn received(&self) -> usize {
        usize::try_from(self.progress.received).unwrap_or(usize::MAX)
    }

    /// Starts the next batch if it is full, has lingered, or is the last one.
    pub(super) fn start_batch(&mut self, is_last: bool) -> Option<Batch> {
        let has_lingered = self.linger_end().is_some_and(|end| end <= Instant::now());
        if self.is_drained() || !(self.next.is_full() || has_lingered || is_last) {
            return None;
        }
        let following = Batch {
            number: self.next.number + 1,
            ..Batch::default()
        };
        let batch = std::mem::replace(&mut self.next, following);
        self.next_since = None;
        self.in_flight.insert(batch.number, Arc::clone(&batch.ids));
        self.fill_next();
        Some(batch)
    }

    /// Keeps the results of a batch for delivery.
    pub(super) fn complete(&mut self, batch: CompletedBatch) {
        let ids = self.in_flight.remove(&batch.number).unwrap_or_default();
        self.completed.insert(batch.number, (ids, batch));
    }

    /// Whether results can be delivered now.
    pub(super) fn has_results(&self) -> bool {
        let first = self.completed.first_key_value();
        first.is_some_and(|(&first, _)| self.is_unordered || first == self.next_delivery)
    }

    /// Takes the content of the last message: the results that were not delivered,
    /// and if the stream failed with `failure`, the ids that were not read. `None`
    /// if the caller has received everything.
    pub(super) fn final_response(&mut self, failure: Option<&Failure>) -> Option<BulkReadResponse> {
        let mut last = BulkReadResponse::default();
        while let Some(results) = self.deliver_first() {
            last.append(results);
        }
        if let Some(failure) = failure {
            let in_flight = std::mem::take(&mut self.in_flight);
            let in_flight = in_flight.into_values().map(Arc::unwrap_or_clone);
            let mut ids: Vec<String> = in_flight.flatten().collect();
            // Invalid ids keep their own error in place of the stream's.
            while !self.is_drained() {
                ids.append(Arc::make_mut(&mut self.next.ids));
                self.progress.failed += to_i64(self.next.invalid.len());
                last.failures.append(&mut self.next.invalid);
                self.fill_next();
            }
            if !ids.is_empty() {
                self.progress.failed += to_i64(ids.len());
                last.failures.push(BulkReadFailure {
                    ids,
                    status: Some(failure.clone().into_rpc_status()),
                });
            }
        }
        last.progress = Some(self.progress);
        let is_known = self.last_progress.replace(self.progress) == Some(self.progress);
        (!is_known).then_some(last)
    }

    /// Takes the results of the first completed batch, and counts them as
    /// delivered. Its ids may be read again from now on.
    pub(super) fn deliver_first(&mut self) -> Option<BulkReadResponse> {
        let (number, (ids, batch)) = self.completed.pop_first()?;
        self.next_delivery = number + 1;
        for id in ids.iter() {
            self.keys.remove(&IdKey::of(id));
        }
        let mut results = batch.results;
        let failed = results.failures.iter().map(|failure| failure.ids.len());
        self.progress.failed += to_i64(failed.sum());
        self.progress.done += to_i64(batch.found);
        self.progress.missing += to_i64(results.missing_ids.len());
        results.progress = Some(self.progress);
        self.last_progress = results.progress;
        Some(results)
    }

    /// Moves ids from the backlog into the next batch.
    fn fill_next(&mut self) {
        while !self.next.is_full()
            && let Some((index, id)) = self.backlog.pop_front()
        {
            if let Some(description) = operation::invalid_element_reason(&id) {
                let failure = invalid_id(index, id, description);
                self.next.invalid.push(failure);
            } else if self.keys.insert(IdKey::of(&id)) {
                Arc::make_mut(&mut self.next.ids).push(id);
            } else {
                self.progress.duplicates += 1;
                continue;
            }
            self.next_since.get_or_insert_with(Instant::now);
        }
        if self.backlog.is_empty() {
            self.backlog_lease = None;
        }
    }
}

/// The failure of an id that cannot be sent, at this index of its message.
fn invalid_id(index: usize, id: String, description: String) -> BulkReadFailure {
    let violation = Violation::new(format!("ids[{index}]"), description);
    let failure = Failure::from(Error::Invalid(vec![violation]));
    BulkReadFailure {
        ids: vec![id],
        status: Some(failure.into_rpc_status()),
    }
}
