//! The batches' answers put together: nothing is dropped, nothing is doubled.

use std::collections::HashMap;

use percent_encoding::percent_decode_str;

use super::{Answered, failure};
use crate::batch::key;
use crate::proto::v1::{BulkReadFailure, UcUserPresence};

/// What came of a bulk read. Each id asked is in exactly one of the three lists.
#[derive(Debug, Default)]
pub(crate) struct Glued {
    /// The presences in the order of the ids; behind them what answers no id.
    pub presences: Vec<UcUserPresence>,
    /// The ids that a batch which succeeded did not answer.
    pub missing_ids: Vec<String>,
    /// The ids of batches that failed.
    pub failures: Vec<BulkReadFailure>,
    /// How many answers match no id, or one that was answered before.
    pub unmatched: usize,
}

/// Puts the answers of all batches, given in their order, together.
///
/// An answer belongs to the id that it names, never to the one at its
/// position: the vendor promises no order, and not one answer for each id.
pub(in crate::batch) fn glue(batches: Vec<Answered>) -> Glued {
    let mut slots = Slots::default();
    let mut rest = Vec::new();
    let mut asked = Vec::with_capacity(batches.len());
    for batch in &batches {
        slots.open(&batch.ids);
    }
    for (number, batch) in batches.into_iter().enumerate() {
        match batch.answer {
            Ok(presences) => {
                let own = |slot: &Slot| slot.batch == number;
                rest.extend(
                    presences
                        .into_iter()
                        .filter_map(|answer| slots.fill(answer, own)),
                );
                asked.push((batch.ids, None));
            }
            Err(why) => asked.push((batch.ids, Some(why))),
        }
    }
    // An answer in another batch than its id's serves where the own one lacks it.
    rest = rest
        .into_iter()
        .filter_map(|answer| slots.fill(answer, |_| true))
        .collect();

    let mut glued = Glued {
        unmatched: rest.len(),
        ..Glued::default()
    };
    let mut answers = slots.slots.into_iter().map(|slot| slot.answer);
    for (ids, why) in asked {
        let unanswered: Vec<String> = ids
            .into_iter()
            .filter(|_| {
                let answer = answers.next().flatten();
                let is_none = answer.is_none();
                glued.presences.extend(answer);
                is_none
            })
            .collect();
        match why {
            Some(why) if !unanswered.is_empty() => glued.failures.push(failure(unanswered, why)),
            Some(_) => {}
            None => glued.missing_ids.extend(unanswered),
        }
    }
    glued.presences.extend(rest);
    glued
}

/// One place for the answer to each id, in the order of the ids.
#[derive(Default)]
struct Slots {
    slots: Vec<Slot>,
    by_user: HashMap<String, usize>,
    batches: usize,
}

struct Slot {
    batch: usize,
    answer: Option<UcUserPresence>,
}

impl Slots {
    fn open(&mut self, ids: &[String]) {
        for id in ids {
            self.by_user.insert(key(id), self.slots.len());
            self.slots.push(Slot {
                batch: self.batches,
                answer: None,
            });
        }
        self.batches += 1;
    }

    /// Puts an answer into its user's place if that is empty and may be
    /// filled; else gives it back.
    fn fill(
        &mut self,
        answer: UcUserPresence,
        may: impl Fn(&Slot) -> bool,
    ) -> Option<UcUserPresence> {
        let place = user(&answer).and_then(|user| self.by_user.get(&user));
        match place.map(|&place| &mut self.slots[place]) {
            Some(slot) if slot.answer.is_none() && may(slot) => {
                slot.answer = Some(answer);
                None
            }
            _ => Some(answer),
        }
    }
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
