//! Plans a bulk read: its batches, and how each of them is sent.

use super::BulkRead;
use super::coalesce::JoinedBatch;
use crate::bulk::id_key::{IdKey, IdSet};
use crate::bulk::{BATCH_SIZE, BulkContext};
use crate::context::CallContext;
use crate::error::Failure;
use crate::operation::{self, RequestTemplate};

/// A bulk read whose request is valid.
pub(super) struct Plan {
    /// The request without ids.
    pub template: RequestTemplate,
    /// The ids of each batch.
    pub batches: Vec<Vec<String>>,
}

/// A batch: its position in the call, its ids, and how it is sent.
pub(super) type PlannedBatch = (usize, Vec<String>, Dispatch);

/// How a batch is sent.
pub(super) enum Dispatch {
    /// By a request of its own.
    Own,
    /// By one request, together with ids of other calls.
    Coalesced(JoinedBatch),
}

impl Plan {
    /// Cuts a request into batches of distinct ids.
    ///
    /// Everything that can be invalid is checked here, so that an invalid call
    /// sends nothing.
    pub(super) fn new<O: BulkRead>(mut request: O) -> Result<Self, Failure> {
        // The whole request is checked, so that the error names an invalid id by
        // its index in the request. Most requests are valid, and `invalid_element_reason`
        // costs far less than `check`, which encodes.
        let mut all = request.ids().iter();
        if all.any(|id| operation::invalid_element_reason(id).is_some()) {
            operation::check(&request)?;
        }
        let mut ids = distinct(request.take_ids()).into_iter();
        let mut batches = Vec::with_capacity(ids.len().div_ceil(BATCH_SIZE));
        while ids.len() > 0 {
            batches.push(ids.by_ref().take(BATCH_SIZE).collect());
        }
        Ok(Self {
            template: RequestTemplate::new(&request)?,
            batches,
        })
    }

    /// How many distinct ids there are.
    pub(super) fn ids(&self) -> usize {
        self.batches.iter().map(Vec::len).sum()
    }

    /// Decides how each batch is sent, in the order in which they are started.
    ///
    /// Only a batch that is not full is coalesced: a full one saves no request.
    /// Coalesced ones are started first, because other calls wait for them.
    pub(super) fn dispatch(
        mut self,
        context: &CallContext,
        bulk: &BulkContext,
    ) -> (RequestTemplate, Vec<PlannedBatch>) {
        let mut planned = Vec::with_capacity(self.batches.len() + 1);
        if let Some(coalescer) = &bulk.coalescer
            && let Some(ids) = self.batches.pop_if(|ids| ids.len() < BATCH_SIZE)
        {
            let joined = coalescer.join(&self.template, context, &bulk.upstream, ids);
            let joined = joined.into_iter().zip(self.batches.len()..);
            planned.extend(
                joined.map(|((batch, ids), index)| (index, ids, Dispatch::Coalesced(batch))),
            );
        }
        let own = self.batches.into_iter().enumerate();
        planned.extend(own.map(|(index, ids)| (index, ids, Dispatch::Own)));
        (self.template, planned)
    }
}

/// The ids without duplicates: each in its first spelling, in the order of their
/// first occurrence.
fn distinct(mut ids: Vec<String>) -> Vec<String> {
    // Requests rarely have duplicates. Ids with different ends are different, and to sort
    // the ends is cheaper than to hash the ids.
    let mut ends: Vec<[u8; 16]> = ids.iter().map(|id| lowercase_end(id)).collect();
    ends.sort_unstable();
    if ends.windows(2).any(|pair| pair[0] == pair[1]) {
        let mut seen = IdSet::with_capacity_and_hasher(ids.len(), <_>::default());
        ids.retain(|id| seen.insert(IdKey::of(id)));
    }
    ids
}

/// The last bytes of an id in lower case, after zeros if it is shorter.
fn lowercase_end(id: &str) -> [u8; 16] {
    let mut end = [0; 16];
    let length = id.len().min(end.len());
    end[16 - length..].copy_from_slice(&id.as_bytes()[id.len() - length..]);
    end.make_ascii_lowercase();
    end
}
