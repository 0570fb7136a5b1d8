//! Reports the outcome of a bulk write.

use super::{UpdateOutcome, WriteResult};
use crate::bulk::to_i64;
use crate::error::{Error, Failure};
use crate::proto::v1::{
    BulkWriteFailure, BulkWriteReport, IndexRange, PutUsersPresencesBulkResponse,
};
use crate::upstream::{ResponseHead, UpstreamResponse};

/// All presences, or one failure with the outcome of each update.
pub(super) fn all_or_nothing(outcomes: Vec<UpdateOutcome>) -> WriteResult {
    let mut report = BulkWriteReport::default();
    let (mut responses, mut failures) = (Vec::new(), Vec::new());
    for outcome in outcomes {
        add(&mut report, &outcome);
        match outcome.result {
            Ok(response) => responses.push(response),
            Err(failure) => failures.push(failure),
        }
    }
    // Reversed, so that of several failures of the same severity the first is
    // returned: `max_by_key` returns the last maximum.
    match failures.into_iter().rev().max_by_key(severity) {
        None => Ok(merge(responses, Vec::new(), None)),
        Some(failure) => Err(Failure {
            report: Some(Box::new(report)),
            ..failure
        }),
    }
}

/// The presences and the failures. The call fails as a whole only if the token
/// was rejected before anything was changed.
pub(super) fn partial(outcomes: Vec<UpdateOutcome>, ids: &[String]) -> WriteResult {
    let errors: Vec<&Error> = outcomes
        .iter()
        .filter_map(|outcome| outcome.result.as_ref().err().map(|failure| &failure.error))
        .collect();
    let is_rejection = |error: &&Error| error.is_unauthenticated();
    let is_consequence = |error: &&Error| matches!(error, Error::NotTried(_));
    if errors.len() == outcomes.len()
        && errors.iter().any(is_rejection)
        && errors
            .iter()
            .all(|error| is_rejection(error) || is_consequence(error))
    {
        return all_or_nothing(outcomes);
    }
    let (mut responses, mut failures) = (Vec::new(), Vec::new());
    let mut correlation_id = None;
    for UpdateOutcome { positions, result } in outcomes {
        match result {
            Ok(response) => responses.push(response),
            Err(failure) => {
                correlation_id = correlation_id.or_else(|| failure.correlation_id.clone());
                failures.push(BulkWriteFailure {
                    ids: positions.iter().map(|&at| ids[at].clone()).collect(),
                    status: Some(failure.into_rpc_status()),
                    indexes: positions.into_iter().map(to_i64).collect(),
                });
            }
        }
    }
    Ok(merge(responses, failures, correlation_id))
}

/// The failure of the highest severity becomes the status of the call: first an
/// unknown outcome, then an update that was not applied, then one that was
/// applied but whose response is unreadable, and last the updates that were not
/// sent because of another failure.
fn severity(failure: &Failure) -> u8 {
    match &failure.error {
        error if error.is_outcome_unknown() => 3,
        error if error.is_applied() => 1,
        Error::NotTried(_) => 0,
        _ => 2,
    }
}

/// Adds updates to a report, which has ranges of adjacent positions.
fn add(report: &mut BulkWriteReport, outcome: &UpdateOutcome) {
    let list = match outcome.result.as_ref().map_err(|failure| &failure.error) {
        Ok(_) => &mut report.applied,
        Err(error) if error.is_applied() => &mut report.applied,
        Err(error) if error.is_outcome_unknown() => &mut report.unknown,
        Err(Error::NotTried(_)) => &mut report.not_tried,
        Err(_) => &mut report.failed,
    };
    for index in outcome.positions.iter().copied().map(to_i64) {
        match list.last_mut() {
            Some(range) if range.last + 1 == index => range.last = index,
            _ => list.push(IndexRange {
                first: index,
                last: index,
            }),
        }
    }
}

/// Merges the responses to all batches. Without a `correlation_id` of a failure,
/// the last response's is used.
fn merge(
    responses: Vec<UpstreamResponse<PutUsersPresencesBulkResponse>>,
    failures: Vec<BulkWriteFailure>,
    correlation_id: Option<http::HeaderValue>,
) -> UpstreamResponse<PutUsersPresencesBulkResponse> {
    let last = || {
        let mut ids = responses
            .iter()
            .rev()
            .map(|response| &response.correlation_id);
        ids.find_map(Clone::clone)
    };
    let correlation_id = correlation_id.or_else(last);
    let bodies = responses.into_iter().map(|response| response.body);
    UpstreamResponse {
        body: PutUsersPresencesBulkResponse {
            presences: bodies.flat_map(|body| body.presences).collect(),
            failures,
        },
        correlation_id,
        head: ResponseHead::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::NotTried;

    #[test]
    fn a_report_merges_adjacent_updates_into_ranges() {
        let not_tried = |positions: &[usize]| UpdateOutcome {
            positions: positions.to_vec(),
            result: Err(Error::NotTried(NotTried::CallFailed).into()),
        };
        let failed = |positions: &[usize]| UpdateOutcome {
            positions: positions.to_vec(),
            result: Err(Error::Draining.into()),
        };
        let outcomes = vec![failed(&[0, 1]), failed(&[3]), not_tried(&[2, 4, 5, 6])];
        let report = all_or_nothing(outcomes).unwrap_err().report.unwrap();
        let ranges = |list: &[IndexRange]| -> Vec<(i64, i64)> {
            list.iter().map(|range| (range.first, range.last)).collect()
        };
        assert_eq!(ranges(&report.failed), [(0, 1), (3, 3)]);
        assert_eq!(ranges(&report.not_tried), [(2, 2), (4, 6)]);
        assert!(report.applied.is_empty() && report.unknown.is_empty());
    }
}
