//! The batches' answers put together: nothing is dropped, nothing is doubled.
//!
//! Most of it is done as each answer comes, while others are waited for.

use std::collections::HashMap;

use percent_encoding::percent_decode_str;

use super::failure;
use crate::bulk::key;
use crate::error::Failure;
use crate::proto::v1::{BulkReadFailure, UcUserPresence};

/// What came of a bulk read. Each id asked is in exactly one of the three lists.
#[derive(Debug, Default)]
pub(crate) struct BulkResult {
    /// The presences in the order of the ids; behind them what answers no id.
    pub presences: Vec<UcUserPresence>,
    /// The ids that a batch which succeeded did not answer.
    pub missing_ids: Vec<String>,
    /// The ids of batches that failed.
    pub failures: Vec<BulkReadFailure>,
    /// How many answers match no id, or one that was answered before.
    pub unmatched: usize,
}

/// What came of one batch.
#[derive(Debug)]
pub(in crate::bulk) struct BatchResult {
    ids: Vec<String>,
    /// The answer to each of the ids.
    answers: Vec<Option<UcUserPresence>>,
    /// What answers none of them, or one that was answered before.
    rest: Vec<UcUserPresence>,
    /// Why the batch failed, if it did.
    why: Option<Failure>,
}

impl BatchResult {
    /// Puts the answers to a batch of distinct ids into their places.
    ///
    /// An answer belongs to the id that it names, never to the one at its
    /// position: the vendor promises no order, and not one answer for each id.
    pub(in crate::bulk) fn new(
        ids: Vec<String>,
        answer: Result<Vec<UcUserPresence>, Failure>,
    ) -> Self {
        let mut answers: Vec<_> = ids.iter().map(|_| None).collect();
        let (mut rest, mut why) = (Vec::new(), None);
        match answer {
            Ok(presences) => {
                let places = ids.iter().enumerate().map(|(at, id)| (key(id), at));
                let mut empty: HashMap<String, usize> = places.collect();
                for answer in presences {
                    match user(&answer).and_then(|user| empty.remove(&user)) {
                        Some(at) => answers[at] = Some(answer),
                        None => rest.push(answer),
                    }
                }
            }
            Err(failure) => why = Some(failure),
        }
        Self {
            ids,
            answers,
            rest,
            why,
        }
    }
}

/// Puts all batches, given in their order, together.
pub(in crate::bulk) fn glue(mut batches: Vec<BatchResult>) -> BulkResult {
    let rest: Vec<_> = batches
        .iter_mut()
        .flat_map(|batch| std::mem::take(&mut batch.rest))
        .collect();
    let unmatched = serve_others(rest, &mut batches);
    let mut glued = BulkResult {
        unmatched: unmatched.len(),
        ..BulkResult::default()
    };
    let ids = batches.iter().map(|batch| batch.ids.len()).sum();
    glued.presences.reserve_exact(ids);
    for batch in batches {
        let mut unanswered = Vec::new();
        for (id, answer) in batch.ids.into_iter().zip(batch.answers) {
            match answer {
                Some(answer) => glued.presences.push(answer),
                None => unanswered.push(id),
            }
        }
        match batch.why {
            Some(why) if !unanswered.is_empty() => glued.failures.push(failure(unanswered, why)),
            Some(_) => {}
            None => glued.missing_ids.extend(unanswered),
        }
    }
    glued.presences.extend(unmatched);
    glued
}

/// Puts what is in another batch than its id into that id's place where the own
/// batch has no answer; gives what still answers none.
fn serve_others(rest: Vec<UcUserPresence>, batches: &mut [BatchResult]) -> Vec<UcUserPresence> {
    if rest.is_empty() {
        return rest;
    }
    let mut empty = HashMap::new();
    for (number, batch) in batches.iter().enumerate() {
        for (at, id) in batch.ids.iter().enumerate() {
            if batch.answers[at].is_none() {
                empty.insert(key(id), (number, at));
            }
        }
    }
    let is_left = |answer: UcUserPresence| match user(&answer).and_then(|user| empty.remove(&user))
    {
        Some((number, at)) => {
            batches[number].answers[at] = Some(answer);
            None
        }
        None => Some(answer),
    };
    rest.into_iter().filter_map(is_left).collect()
}

/// The user whom an answer is about: its `userId`, else the user in its `selfUri`.
pub(super) fn user(answer: &UcUserPresence) -> Option<String> {
    let id = answer.user_id.as_deref().filter(|id| !id.is_empty());
    id.map(key).or_else(|| {
        let (_, rest) = answer.self_uri.as_deref()?.split_once("/users/")?;
        let id = rest.split(['/', '?', '#']).next()?;
        Some(key(&percent_decode_str(id).decode_utf8().ok()?))
    })
}
