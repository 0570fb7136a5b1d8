//! Assembles the responses to all batches: each requested id is reported exactly
//! once, and no presence is dropped.
//!
//! Presences are matched to ids as each response arrives, while other batches are
//! in flight; [`assemble`] does the rest.

use std::sync::Arc;

use http::HeaderValue;

use super::collect::Presences;
use crate::bulk::id_key::{IdKey, IdMap};
use crate::bulk::presence::{BulkReadResponse, EncodedPresence};
use crate::error::Failure;
use crate::proto::v1::{BulkReadFailure, UcUserPresence};

/// The result of a bulk read.
#[derive(Debug, Default)]
pub(crate) struct BulkResult {
    /// Each requested id is in exactly one of its three lists: the presences in the
    /// order of the ids, followed by unmatched ones; the ids for which a successful
    /// batch returned no presence; and the ids of batches that failed.
    pub response: BulkReadResponse,
    /// How many presences match no id, or one that has a presence already.
    pub unmatched: usize,
}

/// The result of one batch.
#[derive(Debug)]
pub(in crate::bulk) struct BatchResult {
    ids: Arc<Vec<String>>,
    /// The presence of each id.
    presences: Vec<Option<EncodedPresence>>,
    /// Presences that match no id of this batch, or one that has a presence already.
    unmatched: Vec<EncodedPresence>,
    pub(super) failure: Option<Failure>,
    pub(super) correlation_id: Option<HeaderValue>,
}

impl BatchResult {
    /// Matches the presences of a response to a batch of distinct ids.
    ///
    /// A presence belongs to the id that it names, never to the one at its
    /// position: the vendor promises neither an order nor a presence for each id.
    pub(in crate::bulk) fn new(ids: Arc<Vec<String>>, response: Presences) -> Self {
        let mut batch = Self {
            presences: vec![None; ids.len()],
            ids,
            unmatched: Vec::new(),
            failure: None,
            correlation_id: None,
        };
        match response {
            Ok(response) => {
                batch.correlation_id = response.correlation_id;
                let ids = &batch.ids;
                let (mut next, mut indexes) = (0, None::<IdMap<usize>>);
                for presence in response.body {
                    let index = presence.user_id().and_then(|user| {
                        // In the order of the ids, no map is needed.
                        let is_next = |id: &String| id.eq_ignore_ascii_case(&user);
                        if ids.get(next).is_some_and(is_next) {
                            return Some(next);
                        }
                        let keys = || ids.iter().map(|id| IdKey::of(id)).zip(0..).collect();
                        let indexes = indexes.get_or_insert_with(keys);
                        indexes.get(&IdKey::of(&user)).copied()
                    });
                    match index.filter(|&index| batch.presences[index].is_none()) {
                        Some(index) => {
                            batch.presences[index] = Some(presence);
                            next = index + 1;
                        }
                        None => batch.unmatched.push(presence),
                    }
                }
            }
            Err(failure) => {
                batch.correlation_id.clone_from(&failure.correlation_id);
                batch.failure = Some(failure);
            }
        }
        batch
    }

    /// The presences with their ids, and how many match none.
    ///
    /// # Errors
    ///
    /// If the batch failed.
    pub(super) fn into_presences(self) -> Result<(Vec<(String, UcUserPresence)>, usize), Failure> {
        if let Some(failure) = self.failure {
            return Err(failure);
        }
        let ids = Arc::unwrap_or_clone(self.ids);
        let presences = ids.into_iter().zip(self.presences);
        let presences = presences.filter_map(|(id, presence)| Some((id, presence?.decode())));
        Ok((presences.collect(), self.unmatched.len()))
    }
}

/// Assembles all batches, given in their order.
pub(in crate::bulk) fn assemble(mut batches: Vec<BatchResult>) -> BulkResult {
    let unmatched = match_across(&mut batches);
    let mut result = BulkResult {
        unmatched: unmatched.len(),
        ..BulkResult::default()
    };
    let ids = batches.iter().map(|batch| batch.ids.len()).sum();
    let response = &mut result.response;
    response.presences.reserve_exact(ids);
    for batch in batches {
        let mut unanswered = Vec::new();
        for (id, presence) in batch.ids.iter().zip(batch.presences) {
            match presence {
                Some(presence) => response.presences.push(presence),
                None => unanswered.push(id.clone()),
            }
        }
        match batch.failure {
            Some(failure) if !unanswered.is_empty() => response.failures.push(BulkReadFailure {
                ids: unanswered,
                status: Some(failure.into_rpc_status()),
            }),
            Some(_) => {}
            None => response.missing_ids.extend(unanswered),
        }
    }
    response.presences.extend(unmatched);
    result
}

/// Matches presences to ids of other batches than the one that returned them, if
/// those ids have no presence yet. Returns the presences that match no id.
fn match_across(batches: &mut [BatchResult]) -> Vec<EncodedPresence> {
    let strays = batches.iter_mut().map(|batch| &mut batch.unmatched);
    let mut strays: Vec<_> = strays.flat_map(std::mem::take).collect();
    if strays.is_empty() {
        return strays;
    }
    let mut open = IdMap::default();
    for (number, batch) in batches.iter().enumerate() {
        for (at, id) in batch.ids.iter().enumerate() {
            if batch.presences[at].is_none() {
                open.insert(IdKey::of(id), (number, at));
            }
        }
    }
    strays.retain(|stray| {
        let id = stray.user_key().and_then(|key| open.remove(&key));
        if let Some((number, at)) = id {
            batches[number].presences[at] = Some(stray.clone());
        }
        id.is_none()
    });
    strays
}
