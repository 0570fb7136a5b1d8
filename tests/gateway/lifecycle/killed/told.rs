//! What a caller may conclude about its write from how the call ended.

use presence_gateway::proto::v1::{IndexRange, PutUsersPresencesBulkResponse, UserPresence};
use prost::Message;
use tonic::Status;
use tonic_types::StatusExt;
use tonic_types::pb::{ErrorInfo, Status as RpcStatus};

use super::caller::End;
use super::write::Write;
use crate::support::{assert_well_formed, report, rpc_status};

/// What is certain about a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Claim {
    Applied,
    NotApplied,
    /// The gateway said that it may or may not have been applied.
    Unknown,
    /// The connection broke.
    Nothing,
}

/// What was told of a change, and by which word.
pub type Told = (Claim, String);

/// What was told of each change of a write.
pub fn told(write: &Write, end: &End) -> Vec<Told> {
    let all = |claim, word: &str| vec![(claim, word.to_owned()); write.marks.len()];
    let is_bulk = write.rpc == "PutUsersPresencesBulk";
    match end {
        End::TurnedAway => all(Claim::NotApplied, "turned away"),
        End::NotLetIn => all(Claim::NotApplied, "not let in"),
        End::Lost(_) => all(Claim::Nothing, "connection lost"),
        End::Answered(answer) if is_bulk => partial(
            write,
            &PutUsersPresencesBulkResponse::decode(answer.clone()).unwrap(),
        ),
        End::Answered(_) => all(Claim::Applied, "OK"),
        End::Failed(status) => {
            assert_well_formed(status);
            let (claim, word) = of_status(status);
            let has_report = rpc_status(status)
                .details
                .iter()
                .any(|detail| detail.type_url.ends_with("BulkWriteReport"));
            if has_report {
                return reported(write, status, &word);
            }
            assert!(
                !is_bulk || claim == Claim::NotApplied,
                "a report should be in {status:?}"
            );
            all(claim, &word)
        }
    }
}

fn of_status(status: &Status) -> Told {
    of_info(&info_of(status))
}

/// What the gateway says of a failure.
pub fn info_of(status: &Status) -> ErrorInfo {
    let info = status.get_details_error_info();
    let info = info.unwrap_or_else(|| panic!("an error without ErrorInfo: {status:?}"));
    info.into()
}

fn of_info(info: &ErrorInfo) -> Told {
    let claim = match (info.reason.as_str(), info.metadata.get("outcome")) {
        ("OUTCOME_UNKNOWN", _) => Claim::Unknown,
        (_, Some(outcome)) if outcome == "applied" => Claim::Applied,
        _ => Claim::NotApplied,
    };
    (claim, info.reason.clone())
}

/// Of each update of a bulk write that failed as a whole.
fn reported(write: &Write, status: &Status, word: &str) -> Vec<Told> {
    let report = report(status);
    let mut told: Vec<Option<Told>> = vec![None; write.marks.len()];
    let lists: [(&[IndexRange], Claim, &str); 4] = [
        (&report.applied, Claim::Applied, "applied"),
        (&report.failed, Claim::NotApplied, "failed"),
        (&report.unknown, Claim::Unknown, "unknown"),
        (&report.not_tried, Claim::NotApplied, "not_tried"),
    ];
    for (ranges, claim, list) in lists {
        for place in ranges.iter().flat_map(|range| range.first..=range.last) {
            let before =
                told[usize::try_from(place).unwrap()].replace((claim, format!("report, {list}")));
            assert_eq!(before, None, "update {place} is told of twice: {report:?}");
        }
    }
    // What speaks for the call must not say more than its parts.
    let has_unknown = !report.unknown.is_empty();
    assert_eq!(word == "OUTCOME_UNKNOWN", has_unknown, "{status:?}");
    let told: Option<Vec<Told>> = told.into_iter().collect();
    told.unwrap_or_else(|| panic!("an update is not told of: {report:?}"))
}

/// Of each update of a bulk write with partial results.
fn partial(write: &Write, answer: &PutUsersPresencesBulkResponse) -> Vec<Told> {
    let mut told = vec![None; write.marks.len()];
    for failure in &answer.failures {
        let (claim, reason) = of_rpc_status(failure.status.as_ref().unwrap());
        for &place in &failure.indexes {
            let before = told[usize::try_from(place).unwrap()]
                .replace((claim, format!("partial, {reason}")));
            assert_eq!(before, None, "update {place} is told of twice: {answer:?}");
        }
    }
    let told: Vec<Told> = told
        .into_iter()
        .map(|told| told.unwrap_or((Claim::Applied, "OK".to_owned())))
        .collect();
    let messages = answer.presences.iter().map(UserPresence::message);
    let named = { write.marks.iter().zip(&told) }.filter(|(_, (_, word))| word == "OK");
    assert!(
        messages.eq(named.map(|(mark, _)| mark)),
        "the presences should be those of the updates that did not fail: {answer:?}"
    );
    told
}

fn of_rpc_status(status: &RpcStatus) -> Told {
    let mut infos = { status.details.iter() }.filter(|any| any.type_url.ends_with("ErrorInfo"));
    let info = infos.next().expect("a failure without ErrorInfo");
    of_info(&ErrorInfo::decode(info.value.as_slice()).unwrap())
}
