//! Properties of bulk reads from a vendor that breaks its contract: the
//! response accounts for each id once, and loses or invents no presence.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use percent_encoding::percent_decode_str;
use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tokio::task::yield_now;
use tonic::Code;
use tonic_types::StatusExt;

use crate::support::bulk::read_scenario::{BatchEnd, CONCURRENCY, Scenario, failure, scenario};
use crate::support::bulk::{READS, failures, read_request, strings};
use crate::support::in_flight::{InFlight, wait_for};
use crate::support::scenario::{ActiveScenario, ScenarioVendor, check_property};
use crate::support::{Gateway, Limits, NO_RETRIES, ReceivedRequest, assert_well_formed};

/// The vendor, and a gateway for each concurrency.
struct Harness {
    vendor: ScenarioVendor<Scenario, InFlight>,
    gateways: Vec<Gateway>,
}

fn batch_of(received: &ReceivedRequest, scenario: &Scenario) -> usize {
    let first = received.ids().swap_remove(0);
    let position = scenario.distinct().iter().position(|id| *id == first);
    position.unwrap_or_else(|| panic!("no request has the id {first}")) / 50
}

impl Harness {
    async fn new() -> Self {
        let vendor = ScenarioVendor::new(
            async |active: Arc<ActiveScenario<Scenario, InFlight>>, received| {
                let held = active.state.start_request();
                let batch = batch_of(&received, &active.scenario);
                for _ in 0..active.scenario.batches[batch].1 {
                    yield_now().await;
                }
                held.respond(active.scenario.response(batch))
            },
        )
        .await;
        let mut gateways = Vec::new();
        for concurrency in CONCURRENCY {
            let limits = Limits {
                concurrency,
                ..Limits::default()
            };
            gateways.push(Gateway::start_with(&vendor.server, limits).await);
        }
        Self { vendor, gateways }
    }

    async fn run(&self, scenario: Scenario) -> TestCaseResult {
        let active = self.vendor.start(scenario);
        let ActiveScenario {
            scenario,
            token,
            state: in_flight,
        } = &*active;

        let rpc = READS[scenario.rpc].0;
        let request = json!({"id": scenario.requested(), "allowPartialResults": scenario.partial});
        let metadata = [("authorization", token.as_str()), NO_RETRIES];
        let call = self.gateways[scenario.gateway].call_with_metadata(
            rpc,
            read_request(rpc, request),
            &metadata,
        );
        let result = wait_for("the response", call).await;

        let received = self.vendor.received(&active);
        check_requests(scenario, &received)?;
        let counts = in_flight.counts();
        prop_assert!(counts.peak <= CONCURRENCY[scenario.gateway], "{counts:?}");
        let batches: BTreeSet<usize> = received.iter().map(|r| batch_of(r, scenario)).collect();
        match result {
            Ok(response) => check_response(scenario, &batches, &response.json),
            Err(status) => {
                assert_well_formed(&status);
                let reason = status.get_details_error_info().unwrap().reason;
                check_failure(scenario, &batches, &(status.code(), reason))
            }
        }
    }
}

/// No request has more than 50 ids, and no id is in two requests.
fn check_requests(scenario: &Scenario, received: &[ReceivedRequest]) -> TestCaseResult {
    let distinct = scenario.distinct();
    for received in received {
        prop_assert!(
            received.ids().len() <= 50,
            "{} ids in one request",
            received.ids().len()
        );
    }
    let mut sent: Vec<String> = received.iter().flat_map(ReceivedRequest::ids).collect();
    sent.sort();
    let count = sent.len();
    sent.dedup();
    prop_assert_eq!(sent.len(), count, "an id was sent twice");
    let unrequested = sent.iter().find(|id| !distinct.contains(id));
    prop_assert_eq!(unrequested, None, "the caller did not send this id");
    Ok(())
}

/// A failed call has the failure of one of its batches.
fn check_failure(
    scenario: &Scenario,
    sent: &BTreeSet<usize>,
    actual: &(Code, String),
) -> TestCaseResult {
    let possible: Vec<_> = sent
        .iter()
        .filter_map(|&batch| failure(scenario.batches[batch].0))
        .collect();
    prop_assert!(
        possible.contains(actual),
        "{actual:?} is none of {possible:?}"
    );
    if scenario.partial {
        prop_assert_eq!(actual.0, Code::Unauthenticated, "{:?}", actual);
        prop_assert_eq!(possible.len(), sent.len(), "one batch succeeded");
    }
    Ok(())
}

/// A response accounts for every id and for every presence.
fn check_response(scenario: &Scenario, sent: &BTreeSet<usize>, response: &Value) -> TestCaseResult {
    let distinct = scenario.distinct();
    let end = |batch: usize| scenario.batches[batch].0;
    let is_unauthenticated = sent
        .iter()
        .any(|&batch| end(batch) == BatchEnd::Rejected(401));
    let failed_with = |batch| {
        let end = if sent.contains(&batch) {
            end(batch)
        } else {
            BatchEnd::Rejected(401)
        };
        failure(end)
    };
    let succeeded = |batch| failed_with(batch).is_none();
    prop_assert!(
        is_unauthenticated || sent.len() == scenario.batch_count(),
        "only these batches were sent: {sent:?}"
    );
    prop_assert!(
        scenario.partial || (0..scenario.batch_count()).all(succeeded),
        "a batch failed, and the call succeeded"
    );

    // The users with a presence in the batches that succeeded.
    let returned: Vec<Value> = (0..scenario.batch_count())
        .filter(|&batch| succeeded(batch))
        .flat_map(|batch| scenario.presences(batch))
        .collect();
    let position: HashMap<String, usize> = distinct
        .iter()
        .enumerate()
        .map(|(n, id)| (id.to_ascii_lowercase(), n))
        .collect();
    let user = |presence: &Value| position.get(&user_id(presence)).copied();
    let answered: BTreeSet<usize> = returned.iter().filter_map(user).collect();

    let presences = response["presences"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let marks = |presences: &[Value]| {
        let marks = presences
            .iter()
            .map(|presence| presence["message"].to_string());
        let mut marks: Vec<_> = marks.collect();
        marks.sort();
        marks
    };
    prop_assert_eq!(
        marks(&presences),
        marks(&returned),
        "a presence was lost or invented"
    );
    let order: Vec<_> = presences.iter().take(answered.len()).map(user).collect();
    let expected: Vec<_> = answered.iter().copied().map(Some).collect();
    prop_assert_eq!(
        order,
        expected,
        "the presences are not in the order of the ids"
    );

    let unanswered = |batch: usize| {
        let positions = batch * 50..distinct.len().min(batch * 50 + 50);
        positions
            .filter(|n| !answered.contains(n))
            .map(|n| distinct[n].clone())
            .collect::<Vec<_>>()
    };
    let missing = (0..scenario.batch_count())
        .filter(|&batch| succeeded(batch))
        .flat_map(unanswered);
    prop_assert_eq!(
        strings(&response["missingIds"]),
        missing.collect::<Vec<_>>()
    );
    let failed = (0..scenario.batch_count()).filter_map(|batch| {
        let (code, reason) = failed_with(batch)?;
        Some((code as i64, reason, unanswered(batch))).filter(|(_, _, ids)| !ids.is_empty())
    });
    prop_assert_eq!(failures(response), failed.collect::<Vec<_>>());
    let all_failed = (0..scenario.batch_count()).all(|batch| !succeeded(batch));
    prop_assert!(
        !(all_failed && is_unauthenticated),
        "a rejected token fails the call"
    );
    Ok(())
}

/// The user id of a presence, in lower case.
fn user_id(presence: &Value) -> String {
    let id = presence["userId"].as_str().map(str::to_owned).or_else(|| {
        let uri = presence["selfUri"].as_str()?;
        let id = uri.strip_prefix("/api/v2/users/")?.split('/').next()?;
        let id = percent_decode_str(id);
        Some(id.decode_utf8().unwrap().into_owned())
    });
    id.unwrap_or_default().to_ascii_lowercase()
}

#[test]
fn a_response_accounts_for_every_id_and_every_presence() {
    let runtime = Runtime::new().unwrap();
    let harness = runtime.block_on(Harness::new());
    check_property(&runtime, (300, 500), &scenario(), async |scenario| {
        harness.run(scenario).await
    });
}
