//! Bulk reads from a vendor that keeps to nothing: whatever it does, each id
//! is accounted for once, and no presence is lost or invented.

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

use crate::support::bulk::read_scenario::{CONCURRENCY, End, Scene, failure, scene};
use crate::support::bulk::{READS, failures, read_request, strings};
use crate::support::in_flight::{InFlight, wait_for};
use crate::support::scenario::{ActiveScenario, ScenarioVendor, check};
use crate::support::{Gateway, Limits, NO_RETRIES, ReceivedRequest, assert_well_formed};

/// The vendor, and a gateway for each concurrency.
struct Theatre {
    stage: ScenarioVendor<Scene, InFlight>,
    gateways: Vec<Gateway>,
}

fn batch_of(received: &ReceivedRequest, scene: &Scene) -> usize {
    let first = received.ids().swap_remove(0);
    let place = scene.distinct().iter().position(|id| *id == first);
    place.unwrap_or_else(|| panic!("{first} was not asked so")) / 50
}

impl Theatre {
    async fn new() -> Self {
        let stage = ScenarioVendor::new(
            async |play: Arc<ActiveScenario<Scene, InFlight>>, received| {
                let held = play.memory.start_request();
                let batch = batch_of(&received, &play.scene);
                for _ in 0..play.scene.batches[batch].1 {
                    yield_now().await;
                }
                held.respond(play.scene.answer(batch))
            },
        )
        .await;
        let mut gateways = Vec::new();
        for concurrency in CONCURRENCY {
            let limits = Limits {
                concurrency,
                ..Limits::default()
            };
            gateways.push(Gateway::start_with(&stage.vendor, limits).await);
        }
        Self { stage, gateways }
    }

    async fn play(&self, scene: Scene) -> TestCaseResult {
        let play = self.stage.begin(scene);
        let ActiveScenario {
            scene,
            token,
            memory: flight,
        } = &*play;

        let rpc = READS[scene.rpc].0;
        let request = json!({"id": scene.asked(), "allowPartialResults": scene.partial});
        let metadata = [("authorization", token.as_str()), NO_RETRIES];
        let call = self.gateways[scene.gateway].call_with_metadata(
            rpc,
            read_request(rpc, request),
            &metadata,
        );
        let answer = wait_for("an answer", call).await;

        let received = self.stage.received(&play);
        check_requests(scene, &received)?;
        let counts = flight.counts();
        prop_assert!(counts.peak <= CONCURRENCY[scene.gateway], "{counts:?}");
        let batches: BTreeSet<usize> = received.iter().map(|r| batch_of(r, scene)).collect();
        match answer {
            Ok(answer) => check_answer(scene, &batches, &answer.json),
            Err(status) => {
                assert_well_formed(&status);
                let reason = status.get_details_error_info().unwrap().reason;
                check_failure(scene, &batches, &(status.code(), reason))
            }
        }
    }
}

/// No request has too many ids, and no id is in two.
fn check_requests(scene: &Scene, received: &[ReceivedRequest]) -> TestCaseResult {
    let distinct = scene.distinct();
    for received in received {
        prop_assert!(
            received.ids().len() <= 50,
            "{} ids in one request",
            received.ids().len()
        );
    }
    let mut asked: Vec<String> = received.iter().flat_map(ReceivedRequest::ids).collect();
    asked.sort();
    let count = asked.len();
    asked.dedup();
    prop_assert_eq!(asked.len(), count, "an id was asked twice");
    let strange = asked.iter().find(|id| !distinct.contains(id));
    prop_assert_eq!(strange, None, "never asked so by the caller");
    Ok(())
}

/// A call that failed had to.
fn check_failure(
    scene: &Scene,
    asked: &BTreeSet<usize>,
    actual: &(Code, String),
) -> TestCaseResult {
    let possible: Vec<_> = asked
        .iter()
        .filter_map(|&batch| failure(scene.batches[batch].0))
        .collect();
    prop_assert!(
        possible.contains(actual),
        "{actual:?} is none of {possible:?}"
    );
    if scene.partial {
        prop_assert_eq!(actual.0, Code::Unauthenticated, "{:?}", actual);
        prop_assert_eq!(possible.len(), asked.len(), "one batch was answered");
    }
    Ok(())
}

/// An answer accounts for every id and for every presence.
fn check_answer(scene: &Scene, asked: &BTreeSet<usize>, answer: &Value) -> TestCaseResult {
    let distinct = scene.distinct();
    let end = |batch: usize| scene.batches[batch].0;
    let was_refused = asked.iter().any(|&batch| end(batch) == End::Refused(401));
    let failed_with = |batch| {
        let end = if asked.contains(&batch) {
            end(batch)
        } else {
            End::Refused(401)
        };
        failure(end)
    };
    let succeeded = |batch| failed_with(batch).is_none();
    prop_assert!(
        was_refused || asked.len() == scene.batch_count(),
        "not asked: {asked:?}"
    );
    prop_assert!(
        scene.partial || (0..scene.batch_count()).all(succeeded),
        "it failed in part"
    );

    // Who is answered for, in the batches that came.
    let sent: Vec<Value> = (0..scene.batch_count())
        .filter(|&batch| succeeded(batch))
        .flat_map(|batch| scene.presences(batch))
        .collect();
    let place: HashMap<String, usize> = distinct
        .iter()
        .enumerate()
        .map(|(n, id)| (id.to_ascii_lowercase(), n))
        .collect();
    let user = |presence: &Value| place.get(&named(presence)).copied();
    let answered: BTreeSet<usize> = sent.iter().filter_map(user).collect();

    let presences = answer["presences"].as_array().cloned().unwrap_or_default();
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
        marks(&sent),
        "a presence was lost or invented"
    );
    let order: Vec<_> = presences.iter().take(answered.len()).map(user).collect();
    let expected: Vec<_> = answered.iter().copied().map(Some).collect();
    prop_assert_eq!(
        order,
        expected,
        "the presences are not in the order of the ids"
    );

    let open = |batch: usize| {
        let places = batch * 50..distinct.len().min(batch * 50 + 50);
        places
            .filter(|n| !answered.contains(n))
            .map(|n| distinct[n].clone())
            .collect::<Vec<_>>()
    };
    let missing = (0..scene.batch_count())
        .filter(|&batch| succeeded(batch))
        .flat_map(open);
    prop_assert_eq!(strings(&answer["missingIds"]), missing.collect::<Vec<_>>());
    let failed = (0..scene.batch_count()).filter_map(|batch| {
        let (code, reason) = failed_with(batch)?;
        Some((code as i64, reason, open(batch))).filter(|(_, _, ids)| !ids.is_empty())
    });
    prop_assert_eq!(failures(answer), failed.collect::<Vec<_>>());
    let all_failed = (0..scene.batch_count()).all(|batch| !succeeded(batch));
    prop_assert!(
        !(all_failed && was_refused),
        "a refused token holds for the call"
    );
    Ok(())
}

/// The user whom a presence names, in lower case.
fn named(presence: &Value) -> String {
    let id = presence["userId"].as_str().map(str::to_owned).or_else(|| {
        let uri = presence["selfUri"].as_str()?;
        let id = uri.strip_prefix("/api/v2/users/")?.split('/').next()?;
        let id = percent_decode_str(id);
        Some(id.decode_utf8().unwrap().into_owned())
    });
    id.unwrap_or_default().to_ascii_lowercase()
}

#[test]
fn every_id_and_every_presence_is_accounted_for_whatever_the_vendor_does() {
    let runtime = Runtime::new().unwrap();
    let theatre = runtime.block_on(Theatre::new());
    check(&runtime, (300, 500), &scene(), async |scene| {
        theatre.play(scene).await
    });
}
