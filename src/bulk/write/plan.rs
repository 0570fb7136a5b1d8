//! Cuts a bulk write into batches.

use std::ops::Range;

use super::user_key;
use crate::bulk::BATCH_SIZE;
use crate::bulk::id_key::IdSet;
use crate::error::{Error, Violation};
use crate::operation::MAX_ID_BYTES;
use crate::proto::v1::MutableUserPresence;

/// The largest body of a batch, in bytes: somewhat below the vendor's limit.
const BATCH_BYTES: usize = 500_000;

/// The largest update that the vendor accepts, in bytes: its `request.bytes.max`
/// for a body, without the brackets. An update larger than [`BATCH_BYTES`] is a
/// batch by itself.
const MAX_UPDATE_BYTES: usize = 512_000 - 2;

/// A batch of a bulk write, which contains each user at most once.
#[derive(Debug)]
pub(super) struct Batch {
    /// The positions of its updates in the request.
    pub positions: Range<usize>,
    /// The keys of its users.
    pub users: IdSet,
}

/// Cuts the updates into batches of 50 updates or 500,000 bytes, earlier if a
/// user occurs again.
pub(super) fn batches(updates: &[MutableUserPresence]) -> Result<Vec<Batch>, Error> {
    let mut batches: Vec<Batch> = Vec::new();
    let mut bytes = 0;
    for (index, (update, size)) in updates.iter().zip(check(updates)?).enumerate() {
        let user = user_key(update);
        match batches.last_mut() {
            Some(batch)
                if batch.positions.len() < BATCH_SIZE
                    && bytes + size <= BATCH_BYTES
                    && !batch.users.contains(&user) =>
            {
                batch.positions.end += 1;
                batch.users.insert(user);
            }
            _ => {
                bytes = "[]".len();
                batches.push(Batch {
                    positions: index..index + 1,
                    users: IdSet::from_iter([user]),
                });
            }
        }
        // Each update is followed by a comma.
        bytes += size + ",".len();
    }
    Ok(batches)
}

/// Checks each update. Returns their sizes as JSON.
fn check(updates: &[MutableUserPresence]) -> Result<Vec<usize>, Error> {
    let mut violations = Vec::new();
    let mut sizes = Vec::with_capacity(updates.len());
    for (index, update) in updates.iter().enumerate() {
        // Cannot fail: the whole request was encoded before.
        let size = serde_json::to_vec(update).map_or(0, |json| json.len());
        match update.id.as_deref() {
            None | Some("") => violations.push(Violation::new(
                format!("body[{index}].id"),
                "is required: the id of the user whose presence is updated",
            )),
            Some(id) if id.len() > MAX_ID_BYTES => violations.push(Violation::new(
                format!("body[{index}].id"),
                format!(
                    "must be at most {MAX_ID_BYTES} bytes long; it has {}",
                    id.len()
                ),
            )),
            Some(_) if size > MAX_UPDATE_BYTES => violations.push(Violation::new(
                format!("body[{index}]"),
                format!("is {size} bytes of JSON; the vendor accepts at most {MAX_UPDATE_BYTES}"),
            )),
            Some(_) => {}
        }
        sizes.push(size);
    }
    if violations.is_empty() {
        Ok(sizes)
    } else {
        Err(Error::Invalid(violations))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn update(id: &str, message: usize) -> MutableUserPresence {
        MutableUserPresence {
            id: Some(id.to_owned()),
            message: Some("x".repeat(message)),
            ..MutableUserPresence::default()
        }
    }

    fn split(updates: &[MutableUserPresence]) -> Vec<Range<usize>> {
        let batches = batches(updates).unwrap();
        batches.into_iter().map(|batch| batch.positions).collect()
    }

    #[test]
    fn a_batch_has_at_most_fifty_updates() {
        let updates: Vec<_> = (0..120).map(|n| update(&n.to_string(), 1)).collect();
        assert_eq!(split(&updates), [0..50, 50..100, 100..120]);
        assert_eq!(split(&updates[..100]), [0..50, 50..100]);
        assert!(split(&[]).is_empty());
    }

    #[test]
    fn a_batch_stays_within_the_vendors_size_limit() {
        let updates: Vec<_> = (0..10).map(|n| update(&n.to_string(), 100_000)).collect();
        assert_eq!(split(&updates), [0..4, 4..8, 8..10]);
        for batch in split(&updates) {
            assert!(serde_json::to_vec(&updates[batch]).unwrap().len() <= BATCH_BYTES);
        }
    }

    #[test]
    fn an_update_above_the_batch_size_is_sent_alone_up_to_the_vendors_limit() {
        let updates = [update("a", 1), update("b", 505_000), update("c", 1)];
        assert_eq!(split(&updates), [0..1, 1..2, 2..3]);
        let error = batches(&[update("a", 1), update("b", 512_000)]).unwrap_err();
        let Error::Invalid(violations) = error else {
            panic!("{error:?}")
        };
        assert_eq!(violations[0].field, "body[1]");
    }

    #[test]
    fn a_repeated_user_starts_a_new_batch() {
        let updates = ["a", "b", "A", "c", "b", "a"].map(|id| update(id, 1));
        assert_eq!(split(&updates), [0..2, 2..5, 5..6]);
        let batches = batches(&updates).unwrap();
        assert!(
            batches
                .windows(2)
                .all(|two| !two[0].users.is_disjoint(&two[1].users))
        );
    }

    #[test]
    fn an_update_without_a_user_is_rejected_by_index() {
        let long = "x".repeat(257);
        let updates = [
            update("a", 1),
            MutableUserPresence::default(),
            update("", 1),
            update(&long, 1),
        ];
        let error = batches(&updates).unwrap_err();
        let Error::Invalid(violations) = error else {
            panic!("{error:?}")
        };
        let fields: Vec<_> = violations
            .iter()
            .map(|violation| violation.field.as_str())
            .collect();
        assert_eq!(fields, ["body[1].id", "body[2].id", "body[3].id"]);
    }
}
