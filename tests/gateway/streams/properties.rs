//! A property of all streams: the results name and count every id.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use parking_lot::Mutex;
use proptest::collection::vec;
use proptest::prelude::*;
use tokio::runtime::Runtime;
use tokio::task::yield_now;

use super::some_presences;
use crate::support::stream_caller::{STREAMS, StreamCall, count as length};
use crate::support::{Gateway, Limits, Vendor, disconnect, reply};

/// One stream, and the vendor's responses.
#[derive(Debug, Clone)]
struct Scenario {
    stream: usize,
    unordered: bool,
    /// The ids of each message; some are repeated, unknown, or invalid.
    messages: Vec<Vec<u16>>,
    /// For each batch, by its first id: whether it fails, and its delay.
    fates: Vec<(bool, usize)>,
}

fn scenario() -> impl Strategy<Value = Scenario> {
    let ids = vec(0..600_u16, 0..300);
    (
        0..2_usize,
        any::<bool>(),
        vec(ids, 0..6),
        vec((prop::bool::weighted(0.2), 0..40_usize), 1..20),
    )
        .prop_map(|(stream, unordered, messages, fates)| Scenario {
            stream,
            unordered,
            messages,
            fates,
        })
}

fn spelt(id: u16) -> String {
    match id % 20 {
        3 => format!("none-{id}"),
        7 => String::new(),
        11 => format!("USER-{id}"),
        _ => format!("user-{id}"),
    }
}

async fn play(gateway: &Gateway, fates: &Mutex<Vec<(bool, usize)>>, scenario: Scenario) {
    fates.lock().clone_from(&scenario.fates);
    let mut call = StreamCall::open(gateway, STREAMS[scenario.stream]).await;
    let mut sent = Vec::new();
    for message in &scenario.messages {
        let ids: Vec<String> = message.iter().copied().map(spelt).collect();
        sent.extend(ids.clone());
        call.send_first(ids, scenario.unordered).await;
    }
    call.close_send();
    let outcome = call.collect().await;
    outcome.status.clone().unwrap();
    let progress = outcome.progress;
    assert_eq!(progress.received, length(&sent));
    let named = outcome.ids();
    assert_eq!(
        progress.done + progress.missing + progress.failed,
        length(&named),
        "{progress:?}"
    );
    assert_eq!(
        progress.received,
        progress.duplicates + length(&named),
        "{progress:?}"
    );
    // At least once, and no more often than it was sent.
    let count = |ids: &[String]| {
        let mut counts = BTreeMap::new();
        for id in ids {
            *counts.entry(id.clone()).or_insert(0) += 1;
        }
        counts
    };
    let (sent_counts, named_counts) = (count(&sent), count(&named));
    let all: BTreeSet<_> = sent_counts.keys().collect();
    assert_eq!(all, named_counts.keys().collect());
    for (id, named) in named_counts {
        assert!(named <= sent_counts[&id], "{id} is reported {named} times");
    }
    if !scenario.unordered {
        let mut place = sent.iter();
        for user in &outcome.users {
            assert!(place.any(|id| id == user), "{user} is out of order");
        }
    }
}

#[test]
fn every_id_is_reported_and_counted() {
    let runtime = Runtime::new().unwrap();
    let fates: Arc<Mutex<Vec<(bool, usize)>>> = Arc::default();
    let shared_fates = Arc::clone(&fates);
    let gateway = runtime.block_on(async {
        let vendor = Vendor::start(move |received| {
            let first = received.ids()[0].bytes().map(usize::from).sum::<usize>();
            let fates = shared_fates.lock();
            let (fails, late) = fates[first % fates.len()];
            drop(fates);
            async move {
                for _ in 0..late {
                    yield_now().await;
                }
                match (fails, first % 3) {
                    (false, _) => some_presences(&received),
                    (true, 0) => reply(404, r#"{"code": "not.found"}"#),
                    (true, 1) => reply(200, "{}"),
                    (true, _) => disconnect(),
                }
            }
        })
        .await;
        let limits = Limits {
            concurrency: 3,
            ..Limits::default()
        };
        Gateway::start_with(&vendor, limits).await
    });
    let config = ProptestConfig {
        cases: 60,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    proptest!(config, |(scenario in scenario())| {
        runtime.block_on(play(&gateway, &fates, scenario));
    });
}
