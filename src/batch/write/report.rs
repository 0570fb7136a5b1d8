//! What a bulk write tells of its batches.

use std::ops::Range;

use super::{Answer, Outcome, presences};
use crate::error::{Error, Failure};
use crate::proto::v1::{
    BulkWriteFailure, BulkWriteReport, IndexRange, PutUsersPresencesBulkResponse,
};
use crate::session::Served;

/// All or nothing: the presences, or one failure with what became of each update.
pub(super) fn whole(outcomes: Vec<Outcome>) -> Answer {
    let mut report = BulkWriteReport::default();
    for outcome in &outcomes {
        note(&mut report, outcome);
    }
    let mut answers = Vec::with_capacity(outcomes.len());
    let mut worst: Option<Failure> = None;
    for outcome in outcomes {
        match outcome.answer {
            Ok(served) => answers.push(served),
            Err(failure) => {
                if worst
                    .as_ref()
                    .is_none_or(|worst| weight(&failure) > weight(worst))
                {
                    worst = Some(failure);
                }
            }
        }
    }
    match worst {
        None => Ok(served(answers, Vec::new(), None)),
        Some(failure) => Err(Failure {
            report: Some(Box::new(report)),
            ..failure
        }),
    }
}

/// What worked and what did not, side by side.
///
/// Only a token that is refused before anything was changed is a failure of
/// the whole call.
pub(super) fn partial(outcomes: Vec<Outcome>, ids: &[String]) -> Answer {
    let errors: Vec<&Error> = outcomes
        .iter()
        .filter_map(|outcome| outcome.answer.as_ref().err().map(|failure| &failure.error))
        .collect();
    let is_refusal = |error: &&Error| error.is_unauthenticated();
    let is_refusal_or_its_effect =
        |error: &&Error| is_refusal(error) || matches!(error, Error::NotTried { .. });
    if errors.len() == outcomes.len()
        && errors.iter().any(is_refusal)
        && errors.iter().all(is_refusal_or_its_effect)
    {
        return whole(outcomes);
    }
    let mut answers = Vec::new();
    let mut failures: Vec<BulkWriteFailure> = Vec::new();
    let mut correlation_id = None;
    let mut not_tried: Vec<(Range<usize>, Failure)> = Vec::new();
    for Outcome { updates, answer } in outcomes {
        match answer {
            Ok(served) => answers.push(served),
            // Neighbours are told as one. Not all are: a batch that waited
            // for its connection until time ran out may stand before one that
            // was answered.
            Err(failure) if matches!(failure.error, Error::NotTried { .. }) => {
                match not_tried.last_mut() {
                    Some((before, _)) if before.end == updates.start => before.end = updates.end,
                    _ => not_tried.push((updates, failure)),
                }
            }
            Err(failure) => {
                correlation_id = correlation_id.or_else(|| failure.correlation_id.clone());
                failures.push(entry(updates, ids, failure));
            }
        }
    }
    let not_tried = not_tried.into_iter();
    failures.extend(not_tried.map(|(updates, failure)| entry(updates, ids, failure)));
    Ok(served(answers, failures, correlation_id))
}

/// Which failure speaks for the call: one of unknown outcome before any
/// other, one that left something undone before an answer that cannot be read,
/// and a cause before what was not sent because of it.
fn weight(failure: &Failure) -> u8 {
    match &failure.error {
        error if error.is_outcome_unknown() => 3,
        error if error.is_applied() => 1,
        Error::NotTried { .. } => 0,
        _ => 2,
    }
}

fn note(report: &mut BulkWriteReport, outcome: &Outcome) {
    let list = match &outcome.answer {
        Ok(_) => &mut report.applied,
        Err(failure) if failure.error.is_applied() => &mut report.applied,
        Err(failure) if failure.error.is_outcome_unknown() => &mut report.unknown,
        Err(Failure {
            error: Error::NotTried { .. },
            ..
        }) => &mut report.not_tried,
        Err(_) => &mut report.failed,
    };
    let first = position(outcome.updates.start);
    let last = position(outcome.updates.end) - 1;
    match list.last_mut() {
        Some(before) if before.last + 1 == first => before.last = last,
        _ => list.push(IndexRange { first, last }),
    }
}

fn entry(updates: Range<usize>, ids: &[String], failure: Failure) -> BulkWriteFailure {
    BulkWriteFailure {
        ids: ids[updates.clone()].to_vec(),
        status: Some(failure.into_rpc_status()),
        indexes: updates.map(position).collect(),
    }
}

fn served(
    answers: Vec<Served<PutUsersPresencesBulkResponse>>,
    failures: Vec<BulkWriteFailure>,
    correlation_id: Option<http::HeaderValue>,
) -> Served<PutUsersPresencesBulkResponse> {
    let correlation_id = correlation_id.or_else(|| {
        answers
            .iter()
            .rev()
            .find_map(|answer| answer.correlation_id.clone())
    });
    let presences = presences(answers.into_iter().map(|served| served.response));
    Served {
        response: PutUsersPresencesBulkResponse {
            presences,
            failures,
        },
        correlation_id,
    }
}

/// A position as it is told. A request has far fewer than 2^63 updates.
fn position(index: usize) -> i64 {
    i64::try_from(index).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn not_tried(updates: Range<usize>) -> Outcome {
        Outcome {
            updates,
            answer: Err(Error::NotTried { expired: true }.into()),
        }
    }

    fn answered(updates: Range<usize>) -> Outcome {
        let answer = Ok(Served {
            response: PutUsersPresencesBulkResponse::default(),
            correlation_id: None,
        });
        Outcome { updates, answer }
    }

    #[test]
    fn what_was_not_tried_does_not_swallow_what_was_answered_behind_it() {
        let ids: Vec<String> = (0..7).map(|n| n.to_string()).collect();
        let outcomes = vec![
            answered(0..1),
            not_tried(1..2),
            not_tried(2..3),
            answered(3..5),
            not_tried(5..7),
        ];
        let response = partial(outcomes, &ids).unwrap().response;
        let told: Vec<_> = response
            .failures
            .into_iter()
            .map(|failure| (failure.indexes, failure.ids))
            .collect();
        let ids = |range: Range<usize>| ids[range].to_vec();
        assert_eq!(told, [(vec![1, 2], ids(1..3)), (vec![5, 6], ids(5..7))]);
    }
}
