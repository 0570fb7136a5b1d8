//! Bulk writes to an unreliable vendor: what is told of each update is what
//! became of it, and no update overtakes an earlier one of the same user.

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

use crate::support::bulk::write_scenario::{End, Memory, Scene, places, scene, user};
use crate::support::bulk::{WRITE, encoded_size, messages};
use crate::support::in_flight::wait_for;
use crate::support::scenario::{ActiveScenario, ScenarioVendor, check};
use crate::support::{
    Gateway, Limits, NO_RETRIES, ReceivedRequest, assert_well_formed, metadata, report,
};

const CONCURRENCY: [usize; 3] = [1, 3, 8];

/// How long a call in haste has.
const HASTE: Duration = Duration::from_millis(250);

/// What became of an update.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Fate {
    Applied,
    /// Applied, with an answer that cannot be read.
    Unreadable,
    Failed,
    Unknown,
    NotTried,
}

/// The vendor, and gateways for each concurrency.
struct Theatre {
    stage: ScenarioVendor<Scene, Memory>,
    patient: Vec<Gateway>,
    hasty: Vec<Gateway>,
}

impl Theatre {
    async fn new() -> Self {
        let stage =
            ScenarioVendor::new(async |play: Arc<ActiveScenario<Scene, Memory>>, received| {
                play.memory.treat(&play.scene, &received).await
            })
            .await;
        let (mut patient, mut hasty) = (Vec::new(), Vec::new());
        for concurrency in CONCURRENCY {
            let limits = Limits {
                concurrency,
                ..Limits::default()
            };
            patient.push(Gateway::start_with(&stage.vendor, limits).await);
            let limits = Limits {
                default_deadline: HASTE,
                ..limits
            };
            hasty.push(Gateway::start_with(&stage.vendor, limits).await);
        }
        Self {
            stage,
            patient,
            hasty,
        }
    }

    async fn play(&self, scene: Scene) -> TestCaseResult {
        let play = self.stage.begin(scene);
        let ActiveScenario {
            scene,
            token,
            memory,
        } = &*play;

        let list = scene.updates();
        let gateways = if scene.in_haste {
            &self.hasty
        } else {
            &self.patient
        };
        let request = json!({"body": list, "allowPartialResults": scene.partial});
        let metadata = [("authorization", token.as_str()), NO_RETRIES];
        let call = gateways[scene.gateway].call_with_metadata(WRITE, request, &metadata);
        let answer = wait_for("an answer", call).await;

        let mut received = self.stage.received(&play);
        received.sort_by_key(|received| places(received)[0]);
        check_requests(scene, &list, &received)?;
        check_order(&list, memory)?;
        let told = match answer {
            Ok(answer) => {
                prop_assert!(scene.partial || answer.json["failures"].is_null());
                told_in_part(&list, &answer.json)?
            }
            Err(status) => {
                prop_assert!(!scene.partial, "a partial result was asked for: {status:?}");
                let told = told_as_a_whole(list.len(), &status)?;
                check_status(scene, &received, &told, &status)?;
                told
            }
        };
        check_fates(scene, &received, memory, &told)
    }
}

/// Where the list is cut: at 50 updates or 500,000 bytes, and before a user
/// who comes up again.
fn batches(list: &[Value]) -> Vec<Range<usize>> {
    let mut batches: Vec<Range<usize>> = Vec::new();
    let mut users = HashSet::new();
    let mut bytes = 0;
    for (place, update) in list.iter().enumerate() {
        let size = update.to_string().len() + ",".len();
        match batches.last_mut() {
            Some(batch)
                if batch.len() < 50
                    && bytes + size <= 500_000
                    && !users.contains(&user(update)) =>
            {
                batch.end = place + 1;
            }
            _ => {
                batches.push(place..place + 1);
                users.clear();
                bytes = "[]".len() - ",".len();
            }
        }
        users.insert(user(update));
        bytes += size;
    }
    batches
}

/// The requests are the batches of the list in their order, without the
/// updates of users whose earlier update has an unknown outcome; and none is
/// missing that should have been sent.
fn check_requests(scene: &Scene, list: &[Value], received: &[ReceivedRequest]) -> TestCaseResult {
    let mut requests = received.iter().peekable();
    let mut uncertain = HashSet::new();
    let (mut is_stopped, mut is_missing) = (false, None);
    for batch in batches(list) {
        let mut expected: Vec<usize> = batch.clone().collect();
        expected.retain(|&place| !uncertain.contains(&user(&list[place])));
        let Some(request) = requests.next_if(|next| batch.contains(&places(next)[0])) else {
            if !expected.is_empty() {
                is_missing.get_or_insert(batch);
            }
            continue;
        };
        // In haste, one can be given up before it arrives.
        prop_assert!(
            is_missing.is_none() || scene.in_haste,
            "{batch:?} was sent, and {is_missing:?} was not"
        );
        prop_assert_eq!(&places(request), &expected, "of the batch {:?}", batch);
        let updates: Vec<_> = expected.iter().map(|&place| &list[place]).collect();
        prop_assert_eq!(request.json(), json!(updates), "not what was asked");
        match scene.end(expected[0]) {
            End::Applied => {}
            // It outlasts every deadline.
            End::Refused(429) => is_stopped = true,
            End::Refused(_) | End::Garbled => is_stopped |= !scene.partial,
            End::Lost(..) | End::Never(_) => {
                is_stopped |= !scene.partial;
                uncertain.extend(expected.iter().map(|&place| user(&list[place])));
            }
        }
    }
    prop_assert!(requests.next().is_none(), "a request is of no batch");
    prop_assert!(
        is_missing.is_none() || is_stopped || scene.in_haste,
        "{is_missing:?} was not sent, and nothing stopped it"
    );
    Ok(())
}

/// The updates of one user are applied in the order of the request.
fn check_order(list: &[Value], memory: &Memory) -> TestCaseResult {
    let crossed = memory.crossed.lock();
    prop_assert!(crossed.is_empty(), "several updates at once of {crossed:?}");
    let mut applied = HashMap::new();
    for &place in &*memory.applied.lock() {
        let before = applied.insert(user(&list[place]), place);
        prop_assert!(
            before.is_none_or(|before| before < place),
            "{place} after {before:?}"
        );
    }
    Ok(())
}

/// What a failed call tells of each update.
fn told_as_a_whole(count: usize, status: &Status) -> Result<Vec<Fate>, TestCaseError> {
    assert_well_formed(status);
    let size = encoded_size(status);
    prop_assert!(size <= MAX_STATUS_BYTES, "{size} bytes of status");
    let report = report(status);
    let mut told = vec![None; count];
    for (ranges, fate) in [
        (&report.applied, Fate::Applied),
        (&report.failed, Fate::Failed),
        (&report.unknown, Fate::Unknown),
        (&report.not_tried, Fate::NotTried),
    ] {
        for &IndexRange { first, last } in ranges {
            prop_assert!(first <= last, "{report:?}");
            for place in first..=last {
                let place = usize::try_from(place).unwrap();
                let before = told[place].replace(fate);
                prop_assert_eq!(before, None, "{} is told twice: {:?}", place, report);
            }
        }
    }
    let told: Option<Vec<Fate>> = told.into_iter().collect();
    told.ok_or_else(|| TestCaseError::fail(format!("not all are told of: {report:?}")))
}

/// What a partial result tells of each update.
fn told_in_part(list: &[Value], answer: &Value) -> Result<Vec<Fate>, TestCaseError> {
    let mut told = vec![Fate::Applied; list.len()];
    for failure in answer["failures"]
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
            let place = usize::try_from(index.as_u64().unwrap()).unwrap();
            prop_assert_eq!(told[place], Fate::Applied, "{} is told twice", place);
            told[place] = fate;
            expected.push(&list[place]["id"]);
        }
        prop_assert_eq!(ids, expected);
    }
    let applied = told
        .iter()
        .enumerate()
        .filter(|(_, fate)| **fate == Fate::Applied);
    let applied: Vec<_> = applied.map(|(place, _)| place.to_string()).collect();
    prop_assert_eq!(
        messages(answer),
        applied,
        "the presences are not those applied, in order"
    );
    Ok(told)
}

/// What is told of each update is what became of it.
fn check_fates(
    scene: &Scene,
    received: &[ReceivedRequest],
    memory: &Memory,
    told: &[Fate],
) -> TestCaseResult {
    let mut true_fates = vec![Fate::NotTried; told.len()];
    for request in received {
        let places = places(request);
        let fate = match scene.end(places[0]) {
            End::Garbled if scene.partial => Fate::Unreadable,
            End::Applied | End::Garbled => Fate::Applied,
            End::Refused(_) => Fate::Failed,
            End::Lost(..) | End::Never(_) => Fate::Unknown,
        };
        for place in places {
            true_fates[place] = fate;
        }
    }
    let applied = memory.applied.lock();
    for (place, (&told, &true_fate)) in told.iter().zip(&true_fates).enumerate() {
        // In haste, an answer can come too late, or the request not arrive.
        let is_late = scene.in_haste && told == Fate::Unknown;
        prop_assert!(
            told == true_fate || is_late,
            "{place}: {told:?}, but {true_fate:?}"
        );
        let may_be_applied = !matches!(told, Fate::Failed | Fate::NotTried);
        let must_be_applied = matches!(told, Fate::Applied | Fate::Unreadable);
        let was_applied = applied.contains(&place);
        prop_assert!(
            may_be_applied || !was_applied,
            "{place} was applied: {told:?}"
        );
        prop_assert!(
            was_applied || !must_be_applied,
            "{place} was not applied: {told:?}"
        );
    }
    Ok(())
}

/// The status is that of the gravest failure, and of the first of these.
fn check_status(
    scene: &Scene,
    received: &[ReceivedRequest],
    told: &[Fate],
    status: &Status,
) -> TestCaseResult {
    let reason = status.get_details_error_info().unwrap().reason;
    let ends = || received.iter().map(|request| scene.end(places(request)[0]));
    let refused = ends().find_map(|end| match end {
        End::Refused(status) => Some(format!("C_{status}")),
        _ => None,
    });
    let is_garbled = ends().any(|end| matches!(end, End::Garbled));
    let expected = match refused {
        _ if told.contains(&Fate::Unknown) => "OUTCOME_UNKNOWN",
        Some(_) if scene.in_haste => &reason,
        Some(ref refused) => refused,
        None if is_garbled => "UNREADABLE_ANSWER",
        None => "NOT_TRIED",
    };
    prop_assert_eq!(&reason, expected, "{:?}", status);
    if expected == "NOT_TRIED" {
        prop_assert!(
            scene.in_haste && status.code() == Code::DeadlineExceeded,
            "{status:?}"
        );
    }
    if told.contains(&Fate::Unknown) || told.contains(&Fate::Applied) {
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
fn what_is_told_of_each_update_is_what_became_of_it() {
    let runtime = Runtime::new().unwrap();
    let theatre = runtime.block_on(Theatre::new());
    check(&runtime, (250, 300), &scene(), async |scene| {
        theatre.play(scene).await
    });
}
