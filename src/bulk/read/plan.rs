//! Plans a bulk read: its batches, and how each of them is sent.

use std::collections::HashSet;

use super::BulkRead;
use super::coalesce::JoinedBatch;
use crate::bulk::{BATCH_SIZE, BulkContext, id_key};
use crate::context::CallContext;
use crate::error::Failure;
use crate::operation::{self, RestRequest};

/// A bulk read whose request is valid.
pub(super) struct Plan<O> {
    /// The request without ids.
    pub template: O,
    /// The first batch, encoded.
    first: RestRequest,
    /// The ids of each batch.
    pub batches: Vec<Vec<String>>,
}

/// A batch: its position in the call, its ids, and how it is sent.
pub(super) type PlannedBatch = (usize, Vec<String>, Dispatch);

/// How a batch is sent.
pub(super) enum Dispatch {
    /// By a request of its own, which is encoded when it is sent unless it is
    /// encoded already.
    Own(Option<RestRequest>),
    /// By one request, together with ids of other calls.
    Coalesced(JoinedBatch),
}

impl<O: BulkRead> Plan<O> {
    /// Cuts a request into batches of distinct ids.
    ///
    /// Everything that can be invalid is checked here, so that an invalid call
    /// sends nothing. Batches after the first are encoded while others are in
    /// flight: to encode the 200 requests of 10,000 ids takes long enough to
    /// delay the first one.
    pub(super) fn new(request: &O) -> Result<Self, Failure> {
        let ids = distinct(request.ids());
        let template = request.with_ids(Vec::new());
        let first = if ids.len() == request.ids().len() && ids.len() <= BATCH_SIZE {
            operation::encode(request)?
        } else {
            // The whole request is checked, so that the error names an invalid id
            // by its index in the request. Most requests are valid, and
            // `wrong_element` costs far less than `check`, which encodes.
            let mut all = request.ids().iter();
            if all.any(|id| operation::wrong_element(id).is_some()) {
                operation::check(request)?;
            }
            let first = ids.iter().take(BATCH_SIZE).cloned();
            operation::encode(&template.with_ids(first.collect()))?
        };
        Ok(Self {
            template,
            first,
            batches: ids.chunks(BATCH_SIZE).map(<[String]>::to_vec).collect(),
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
    ) -> Result<(O, Vec<PlannedBatch>), Failure> {
        let mut planned = Vec::with_capacity(self.batches.len() + 1);
        if let Some(coalescer) = &bulk.coalescer
            && let Some(ids) = self.batches.pop_if(|ids| ids.len() < BATCH_SIZE)
        {
            let joined = coalescer.join(&self.template, context, &bulk.upstream, ids)?;
            let joined = joined.into_iter().zip(self.batches.len()..);
            planned.extend(
                joined.map(|((batch, ids), index)| (index, ids, Dispatch::Coalesced(batch))),
            );
        }
        let mut first = Some(self.first);
        let own = self.batches.into_iter().enumerate();
        planned.extend(own.map(|(index, ids)| (index, ids, Dispatch::Own(first.take()))));
        Ok((self.template, planned))
    }
}

/// The ids without duplicates: each in its first spelling, in the order of their
/// first occurrence.
fn distinct(ids: &[String]) -> Vec<String> {
    let mut seen = HashSet::with_capacity(ids.len());
    ids.iter()
        .filter(|id| seen.insert(id_key(id)))
        .cloned()
        .collect()
}
