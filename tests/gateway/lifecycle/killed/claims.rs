//! What a caller can conclude about its write from how the call ended.

use presence_gateway::proto::v1::{IndexRange, PutUsersPresencesBulkResponse, UserPresence};
use prost::Message;
use tonic::Status;
use tonic_types::StatusExt;
use tonic_types::pb::{ErrorInfo, Status as RpcStatus};

use super::caller::CallEnd;
use super::write::Write;
use crate::support::{assert_well_formed, report, rpc_status};

/// What is certain about a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Claim {
    Applied,
    NotApplied,
    /// The gateway reported an unknown outcome.
    Unknown,
    /// The connection broke before a status.
    NoStatus,
}

/// The claim about one change, and its source: a reason, a list or an event.
pub type Statement = (Claim, String);

/// Returns the statement about each change of a write.
pub fn statements(write: &Write, end: &CallEnd) -> Vec<Statement> {
    let all = |claim, source: &str| vec![(claim, source.to_owned()); write.marks.len()];
    let is_bulk = write.rpc == "PutUsersPresencesBulk";
    match end {
        CallEnd::NotProcessed => all(Claim::NotApplied, "not processed"),
        CallEnd::NotAccepted => all(Claim::NotApplied, "not accepted"),
        CallEnd::ConnectionLost(_) => all(Claim::NoStatus, "connection lost"),
        CallEnd::Response(response) if is_bulk => from_partial_results(
            write,
            &PutUsersPresencesBulkResponse::decode(response.clone()).unwrap(),
        ),
        CallEnd::Response(_) => all(Claim::Applied, "OK"),
        CallEnd::Failed(status) => {
            assert_well_formed(status);
            let (claim, reason) = from_info(&error_info(status));
            let has_report = rpc_status(status)
                .details
                .iter()
                .any(|detail| detail.type_url.ends_with("BulkWriteReport"));
            if has_report {
                return from_report(write, status, &reason);
            }
            assert!(
                !is_bulk || claim == Claim::NotApplied,
                "no BulkWriteReport in {status:?}"
            );
            all(claim, &reason)
        }
    }
}

/// Returns the `ErrorInfo` of a status.
pub fn error_info(status: &Status) -> ErrorInfo {
    let info = status.get_details_error_info();
    let info = info.unwrap_or_else(|| panic!("an error without ErrorInfo: {status:?}"));
    info.into()
}

fn from_info(info: &ErrorInfo) -> Statement {
    let claim = match (info.reason.as_str(), info.metadata.get("outcome")) {
        ("OUTCOME_UNKNOWN", _) => Claim::Unknown,
        (_, Some(outcome)) if outcome == "applied" => Claim::Applied,
        _ => Claim::NotApplied,
    };
    (claim, info.reason.clone())
}

/// Returns the statements about a bulk write that failed as a whole.
fn from_report(write: &Write, status: &Status, reason: &str) -> Vec<Statement> {
    let report = report(status);
    let mut statements: Vec<Option<Statement>> = vec![None; write.marks.len()];
    let lists: [(&[IndexRange], Claim, &str); 4] = [
        (&report.applied, Claim::Applied, "applied"),
        (&report.failed, Claim::NotApplied, "failed"),
        (&report.unknown, Claim::Unknown, "unknown"),
        (&report.not_tried, Claim::NotApplied, "not_tried"),
    ];
    for (ranges, claim, list) in lists {
        for index in ranges.iter().flat_map(|range| range.first..=range.last) {
            let before = statements[usize::try_from(index).unwrap()]
                .replace((claim, format!("report, {list}")));
            assert_eq!(before, None, "update {index} is listed twice: {report:?}");
        }
    }
    // The reason of the call must not claim more than its report.
    let has_unknown = !report.unknown.is_empty();
    assert_eq!(reason == "OUTCOME_UNKNOWN", has_unknown, "{status:?}");
    let statements: Option<Vec<Statement>> = statements.into_iter().collect();
    statements.unwrap_or_else(|| panic!("an update is in no list: {report:?}"))
}

/// Returns the statements about a bulk write with partial results.
fn from_partial_results(write: &Write, response: &PutUsersPresencesBulkResponse) -> Vec<Statement> {
    let mut statements = vec![None; write.marks.len()];
    for failure in &response.failures {
        let (claim, reason) = from_rpc_status(failure.status.as_ref().unwrap());
        for &index in &failure.indexes {
            let before = statements[usize::try_from(index).unwrap()]
                .replace((claim, format!("partial, {reason}")));
            assert_eq!(before, None, "update {index} fails twice: {response:?}");
        }
    }
    let statements: Vec<Statement> = statements
        .into_iter()
        .map(|statement| statement.unwrap_or((Claim::Applied, "OK".to_owned())))
        .collect();
    let messages = response.presences.iter().map(UserPresence::message);
    let applied = { write.marks.iter().zip(&statements) }.filter(|(_, (_, source))| source == "OK");
    assert!(
        messages.eq(applied.map(|(mark, _)| mark)),
        "the presences should be those of the updates that did not fail: {response:?}"
    );
    statements
}

fn from_rpc_status(status: &RpcStatus) -> Statement {
    let mut infos = { status.details.iter() }.filter(|any| any.type_url.ends_with("ErrorInfo"));
    let info = infos.next().expect("a failure without ErrorInfo");
    from_info(&ErrorInfo::decode(info.value.as_slice()).unwrap())
}
