//! Properties of bulk writes to an unreliable vendor: the reported outcome of
//! each update is the true one, and no update overtakes an earlier one of the
//! same user.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use presence_gateway::error::MAX_STATUS_BYTES;
use presence_gateway::proto::v1::IndexRange;
use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::support::bulk::write_scenario::{
    BatchEnd, Scenario, VendorState, positions, scenario, user,
};
use crate::support::bulk::{WRITE, encoded_size, messages};
use crate::support::in_flight::wait_for;
use crate::support::scenario::{ActiveScenario, ScenarioVendor, check_property};
use crate::support::{
    Gateway, Limits, NO_RETRIES, ReceivedRequest, assert_well_formed, metadata, report,
};

const CONCURRENCY: [usize; 3] = [1, 3, 8];

/// Short enough that batches without a response expire.
const SHORT_DEADLINE: Duration = Duration::from_millis(250);

/// The outcome of an update.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Fate {
    Applied,
    /// Applied, with an unreadable response.
    Unreadable,
    Failed,
    Unknown,
    NotTried,
}

/// The vendor, and gateways for each concurrency.
struct Harness {
    vendor: ScenarioVendor<Scenario, VendorState>,
    default_deadline: Vec<Gateway>,
    short_deadline: Vec<Gateway>,
}

impl Harness {
    async fn new() -> Self {
        let vendor = ScenarioVendor::new(
            async |active: Arc<ActiveScenario<Scenario, VendorState>>, received| {
                active.state.respond(&active.scenario, &received).await
            },
        )
        .await;
        let (mut default_deadline, mut short_deadline) = (Vec::new(), Vec::new());
        for concurrency in CONCURRENCY {
            let limits = Limits {
                concurrency,
                ..Limits::default()
            };
            default_deadline.push(Gateway::start_with(&vendor.server, limits).await);
            let limits = Limits {
                default_deadline: SHORT_DEADLINE,
                ..limits
            };
            short_deadline.push(Gateway::start_with(&vendor.server, limits).await);
        }
        Self {
            vendor,
            default_deadline,
            short_deadline,
        }
    }

    async fn run(&self, scenario: Scenario) -> TestCaseResult {
        let active = self.vendor.start(scenario);
        let ActiveScenario {
            scenario,
            token,
            state,
        } = &*active;

        let list = scenario.updates();
        let gateways = if scenario.has_short_deadline {
            &self.short_deadline
        } else {
            &self.default_deadline
        };
        let request = json!({"body": list, "allowPartialResults": scenario.partial});
        let metadata = [("authorization", token.as_str()), NO_RETRIES];
        let call = gateways[scenario.gateway].call_with_metadata(WRITE, request, &metadata);
        let result = wait_for("the response", call).await;

        let mut received = self.vendor.received(&active);
        received.sort_by_key(|received| positions(received)[0]);
        check_requests(scenario, &list, &received)?;
        check_order(&list, state)?;
        let reported = match result {
            Ok(response) => {
                prop_assert!(scenario.partial || response.json["failures"].is_null());
                from_response(&list, &response.json)?
            }
            Err(status) => {
                prop_assert!(!scenario.partial, "partial results are allowed: {status:?}");
                let reported = from_status(list.len(), &status)?;
                check_status(scenario, &received, &reported, &status)?;
                reported
            }
        };
        check_fates(scenario, &received, state, &reported)
    }
}

/// Cuts the list into batches: at 50 updates, at 500,000 bytes, and before the
/// second update of a user.
fn batches(list: &[Value]) -> Vec<Range<usize>> {
    let mut batches: Vec<Range<usize>> = Vec::new();
    let mut users = HashSet::new();
    let mut bytes = 0;
    for (position, update) in list.iter().enumerate() {
        let size = update.to_string().len() + ",".len();
        match batches.last_mut() {
            Some(batch)
                if batch.len() < 50
                    && bytes + size <= 500_000
                    && !users.contains(&user(update)) =>
            {
                batch.end = position + 1;
            }
            _ => {
                batches.push(position..position + 1);
                users.clear();
                bytes = "[]".len() - ",".len();
            }
        }
        users.insert(user(update));
        bytes += size;
    }
    batches
}

/// The requests are the batches of the list in order, without updates of users
/// whose earlier update has an unknown outcome. A batch is missing only after a
/// failure that stops the call.
fn check_requests(
    scenario: &Scenario,
    list: &[Value],
    received: &[ReceivedRequest],
) -> TestCaseResult {
    let mut requests = received.iter().peekable();
    let mut uncertain = HashSet::new();
    let (mut is_stopped, mut is_missing) = (false, None);
    for batch in batches(list) {
        let mut expected: Vec<usize> = batch.clone().collect();
        expected.retain(|&position| !uncertain.contains(&user(&list[position])));
        let Some(request) = requests.next_if(|next| batch.contains(&positions(next)[0])) else {
            if !expected.is_empty() {
                is_missing.get_or_insert(batch);
            }
            continue;
        };
        // At a short deadline, a request can be abandoned before it arrives.
        prop_assert!(
            is_missing.is_none() || scenario.has_short_deadline,
            "{batch:?} was sent, {is_missing:?} was not"
        );
        prop_assert_eq!(&positions(request), &expected, "of the batch {:?}", batch);
        let updates: Vec<_> = expected.iter().map(|&position| &list[position]).collect();
        prop_assert_eq!(
            request.json(),
            json!(updates),
            "the vendor received other updates"
        );
        match scenario.end(expected[0]) {
            BatchEnd::Applied => {}
            // Its delay is longer than every deadline.
            BatchEnd::Rejected(429) => is_stopped = true,
            BatchEnd::Rejected(_) | BatchEnd::Unreadable => is_stopped |= !scenario.partial,
            BatchEnd::Lost(..) | BatchEnd::Unanswered(_) => {
                is_stopped |= !scenario.partial;
                uncertain.extend(expected.iter().map(|&position| user(&list[position])));
            }
        }
    }
    prop_assert!(requests.next().is_none(), "a request matches no batch");
    prop_assert!(
        is_missing.is_none() || is_stopped || scenario.has_short_deadline,
        "{is_missing:?} was not sent, and nothing stopped it"
    );
    Ok(())
}

/// The updates of one user are applied in the order of the request.
fn check_order(list: &[Value], state: &VendorState) -> TestCaseResult {
    let overlapping = state.overlapping.lock();
    prop_assert!(
        overlapping.is_empty(),
        "several updates at once of {overlapping:?}"
    );
    let mut applied = HashMap::new();
    for &position in &*state.applied.lock() {
        let before = applied.insert(user(&list[position]), position);
        prop_assert!(
            before.is_none_or(|before| before < position),
            "{position} after {before:?}"
        );
    }
    Ok(())
}

/// Reads the outcome of each update from the status of a failed call.
fn from_status(count: usize, status: &Status) -> Result<Vec<Fate>, TestCaseError> {
    assert_well_formed(status);
    let size = encoded_size(status);
    prop_assert!(size <= MAX_STATUS_BYTES, "{size} bytes of status");
    let report = report(status);
    let mut fates = vec![None; count];
    for (ranges, fate) in [
        (&report.applied, Fate::Applied),
        (&report.failed, Fate::Failed),
        (&report.unknown, Fate::Unknown),
        (&report.not_tried, Fate::NotTried),
    ] {
        for &IndexRange { first, last } in ranges {
            prop_assert!(first <= last, "{report:?}");
            for position in first..=last {
                let position = usize::try_from(position).unwrap();
                let before = fates[position].replace(fate);
                prop_assert_eq!(before, None, "{} is reported twice: {:?}", position, report);
            }
        }
    }
    let fates: Option<Vec<Fate>> = fates.into_iter().collect();
    fates.ok_or_else(|| TestCaseError::fail(format!("an update is not reported: {report:?}")))
}

/// Reads the outcome of each update from a response.
fn from_response(list: &[Value], response: &Value) -> Result<Vec<Fate>, TestCaseError> {
    let mut fates = vec![Fate::Applied; list.len()];
    for failure in response["failures"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default()
    {
        let info = &failure["status"]["details"][0];
        let fate = match info["reason"].as_str().unwrap() {
            "NOT_TRIED" => Fate::NotTried,
            "OUTCOME_UNKNOWN" => Fate::Unknown,
            "UNREADABLE_ANSWER" => Fate::Unreadable,
            _ => Fate::Failed,
        };
        let is_applied = info["metadata"]["outcome"] == "applied";
        prop_assert_eq!(is_applied, fate == Fate::Unreadable, "{:?}", info);
        let indexes = failure["indexes"].as_array().unwrap();
        let ids: Vec<_> = failure["ids"].as_array().unwrap().iter().collect();
        let mut expected = Vec::new();
        for index in indexes {
            let position = usize::try_from(index.as_u64().unwrap()).unwrap();
            prop_assert_eq!(
                fates[position],
                Fate::Applied,
                "{} is reported twice",
                position
            );
            fates[position] = fate;
            expected.push(&list[position]["id"]);
        }
        prop_assert_eq!(ids, expected);
    }
    let applied = fates
        .iter()
        .enumerate()
        .filter(|(_, fate)| **fate == Fate::Applied);
    let applied: Vec<_> = applied.map(|(position, _)| position.to_string()).collect();
    prop_assert_eq!(
        messages(response),
        applied,
        "the presences differ from the applied updates"
    );
    Ok(fates)
}

/// The reported outcome of each update is the true one.
fn check_fates(
    scenario: &Scenario,
    received: &[ReceivedRequest],
    state: &VendorState,
    reported: &[Fate],
) -> TestCaseResult {
    let mut true_fates = vec![Fate::NotTried; reported.len()];
    for request in received {
        let positions = positions(request);
        let fate = match scenario.end(positions[0]) {
            BatchEnd::Unreadable if scenario.partial => Fate::Unreadable,
            BatchEnd::Applied | BatchEnd::Unreadable => Fate::Applied,
            BatchEnd::Rejected(_) => Fate::Failed,
            BatchEnd::Lost(..) | BatchEnd::Unanswered(_) => Fate::Unknown,
        };
        for position in positions {
            true_fates[position] = fate;
        }
    }
    let applied = state.applied.lock();
    for (position, (&reported, &true_fate)) in reported.iter().zip(&true_fates).enumerate() {
        // At a short deadline, the response can be late, or the request not arrive.
        let is_late = scenario.has_short_deadline && reported == Fate::Unknown;
        prop_assert!(
            reported == true_fate || is_late,
            "{position}: reported {reported:?}, but is {true_fate:?}"
        );
        let may_be_applied = !matches!(reported, Fate::Failed | Fate::NotTried);
        let must_be_applied = matches!(reported, Fate::Applied | Fate::Unreadable);
        let was_applied = applied.contains(&position);
        prop_assert!(
            may_be_applied || !was_applied,
            "{position} was applied: {reported:?}"
        );
        prop_assert!(
            was_applied || !must_be_applied,
            "{position} was not applied: {reported:?}"
        );
    }
    Ok(())
}

/// The status is that of the first failure of the highest severity.
fn check_status(
    scenario: &Scenario,
    received: &[ReceivedRequest],
    reported: &[Fate],
    status: &Status,
) -> TestCaseResult {
    let reason = status.get_details_error_info().unwrap().reason;
    let ends = || {
        received
            .iter()
            .map(|request| scenario.end(positions(request)[0]))
    };
    let rejected = ends().find_map(|end| match end {
        BatchEnd::Rejected(status) => Some(format!("C_{status}")),
        _ => None,
    });
    let is_unreadable = ends().any(|end| matches!(end, BatchEnd::Unreadable));
    let expected = match rejected {
        _ if reported.contains(&Fate::Unknown) => "OUTCOME_UNKNOWN",
        Some(_) if scenario.has_short_deadline => &reason,
        Some(ref reason) => reason,
        None if is_unreadable => "UNREADABLE_ANSWER",
        None => "NOT_TRIED",
    };
    prop_assert_eq!(&reason, expected, "{:?}", status);
    if expected == "NOT_TRIED" {
        prop_assert!(
            scenario.has_short_deadline && status.code() == Code::DeadlineExceeded,
            "{status:?}"
        );
    }
    if reported.contains(&Fate::Unknown) || reported.contains(&Fate::Applied) {
        prop_assert_eq!(
            metadata(status, "grpc-retry-pushback-ms"),
            Some("-1"),
            "{:?}",
            status
        );
    }
    Ok(())
}

#[test]
fn a_bulk_write_reports_the_true_outcome_of_each_update() {
    let runtime = Runtime::new().unwrap();
    let harness = runtime.block_on(Harness::new());
    check_property(&runtime, (250, 300), &scenario(), async |scenario| {
        harness.run(scenario).await
    });
}
