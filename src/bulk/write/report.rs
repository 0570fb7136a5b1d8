//! What a bulk write tells of its batches.

use super::{Answer, Outcome, presences};
use crate::error::{Error, Failure};
use crate::proto::v1::{
    BulkWriteFailure, BulkWriteReport, IndexRange, PutUsersPresencesBulkResponse,
};
use crate::upstream::Reply;

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
        None => Ok(reply(answers, Vec::new(), None)),
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
        |error: &&Error| is_refusal(error) || matches!(error, Error::NotTried(_));
    if errors.len() == outcomes.len()
        && errors.iter().any(is_refusal)
        && errors.iter().all(is_refusal_or_its_effect)
    {
        return whole(outcomes);
    }
    let mut answers = Vec::new();
    let mut failures: Vec<BulkWriteFailure> = Vec::new();
    let mut correlation_id = None;
    for Outcome { positions, answer } in outcomes {
        match answer {
            Ok(served) => answers.push(served),
            Err(failure) => {
                correlation_id = correlation_id.or_else(|| failure.correlation_id.clone());
                failures.push(entry(&positions, ids, failure));
            }
        }
    }
    Ok(reply(answers, failures, correlation_id))
}

/// Which failure speaks for the call: one of unknown outcome before any
/// other, one that left something undone before an answer that cannot be read,
/// and a cause before what was not sent because of it.
fn weight(failure: &Failure) -> u8 {
    match &failure.error {
        error if error.is_outcome_unknown() => 3,
        error if error.is_applied() => 1,
        Error::NotTried(_) => 0,
        _ => 2,
    }
}

fn note(report: &mut BulkWriteReport, outcome: &Outcome) {
    let list = match &outcome.answer {
        Ok(_) => &mut report.applied,
        Err(failure) if failure.error.is_applied() => &mut report.applied,
        Err(failure) if failure.error.is_outcome_unknown() => &mut report.unknown,
        Err(Failure {
            error: Error::NotTried(_),
            ..
        }) => &mut report.not_tried,
        Err(_) => &mut report.failed,
    };
    for index in outcome.positions.iter().copied().map(position) {
        match list.last_mut() {
            Some(before) if before.last + 1 == index => before.last = index,
            _ => list.push(IndexRange {
                first: index,
                last: index,
            }),
        }
    }
}

fn entry(positions: &[usize], ids: &[String], failure: Failure) -> BulkWriteFailure {
    let ids = positions.iter().map(|&at| ids[at].clone());
    BulkWriteFailure {
        ids: ids.collect(),
        status: Some(failure.into_rpc_status()),
        indexes: positions.iter().copied().map(position).collect(),
    }
}

fn reply(
    answers: Vec<Reply<PutUsersPresencesBulkResponse>>,
    failures: Vec<BulkWriteFailure>,
    correlation_id: Option<http::HeaderValue>,
) -> Reply<PutUsersPresencesBulkResponse> {
    let correlation_id = correlation_id.or_else(|| {
        answers
            .iter()
            .rev()
            .find_map(|answer| answer.correlation_id.clone())
    });
    let presences = presences(answers.into_iter().map(|reply| reply.body));
    Reply {
        body: PutUsersPresencesBulkResponse {
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
    use crate::error::NotTried;

    #[test]
    fn a_report_tells_each_update_in_runs_of_neighbours() {
        let not_tried = |positions: &[usize]| Outcome {
            positions: positions.to_vec(),
            answer: Err(Error::NotTried(NotTried::CallFailed).into()),
        };
        let refused = |positions: &[usize]| Outcome {
            positions: positions.to_vec(),
            answer: Err(Error::Draining.into()),
        };
        let outcomes = vec![refused(&[0, 1]), refused(&[3]), not_tried(&[2, 4, 5, 6])];
        let report = whole(outcomes).unwrap_err().report.unwrap();
        let runs = |list: &[IndexRange]| -> Vec<(i64, i64)> {
            list.iter().map(|range| (range.first, range.last)).collect()
        };
        assert_eq!(runs(&report.failed), [(0, 1), (3, 3)]);
        assert_eq!(runs(&report.not_tried), [(2, 2), (4, 6)]);
        assert!(report.applied.is_empty() && report.unknown.is_empty());
    }
}
