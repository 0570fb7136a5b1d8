//! What holds for any stream: every id that was asked is named, and counted.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use parking_lot::Mutex;
use proptest::collection::vec;
use proptest::prelude::*;
use tokio::runtime::Runtime;
use tokio::task::yield_now;

use super::some;
use crate::support::stream_caller::{STREAMS, StreamCall, count as length};
use crate::support::{Gateway, Limits, Vendor, disconnect, reply};

/// One stream, and what the vendor makes of it.
#[derive(Debug, Clone)]
struct Scene {
    stream: usize,
    unordered: bool,
    /// The ids of each message; some are repeated, unknown, or cannot be asked.
    messages: Vec<Vec<u16>>,
    /// For each batch, by its first id: whether it fails, and how late it is.
    fates: Vec<(bool, usize)>,
}

fn scene() -> impl Strategy<Value = Scene> {
    let ids = vec(0..600_u16, 0..300);
    (
        0..2_usize,
        any::<bool>(),
        vec(ids, 0..6),
        vec((prop::bool::weighted(0.2), 0..40_usize), 1..20),
    )
        .prop_map(|(stream, unordered, messages, fates)| Scene {
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

async fn play(gateway: &Gateway, fates: &Mutex<Vec<(bool, usize)>>, scene: Scene) {
    fates.lock().clone_from(&scene.fates);
    let mut call = StreamCall::open(gateway, STREAMS[scene.stream]).await;
    let mut asked = Vec::new();
    for message in &scene.messages {
        let ids: Vec<String> = message.iter().copied().map(spelt).collect();
        asked.extend(ids.clone());
        call.send_first(ids, scene.unordered).await;
    }
    call.close_send();
    let told = call.collect().await;
    told.status.clone().unwrap();
    let progress = told.progress;
    assert_eq!(progress.received, length(&asked));
    let named = told.ids();
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
    // No more often than it was asked, and at least once.
    let count = |ids: &[String]| {
        let mut counts = BTreeMap::new();
        for id in ids {
            *counts.entry(id.clone()).or_insert(0) += 1;
        }
        counts
    };
    let (asked_counts, named_counts) = (count(&asked), count(&named));
    let all: BTreeSet<_> = asked_counts.keys().collect();
    assert_eq!(all, named_counts.keys().collect());
    for (id, named) in named_counts {
        assert!(named <= asked_counts[&id], "{id} is named {named} times");
    }
    if !scene.unordered {
        let mut place = asked.iter();
        for user in &told.users {
            assert!(
                place.any(|id| id == user),
                "{user} is not in the order of asking"
            );
        }
    }
}

#[test]
fn every_id_is_named_and_counted_whatever_is_asked_and_answered() {
    let runtime = Runtime::new().unwrap();
    let fates: Arc<Mutex<Vec<(bool, usize)>>> = Arc::default();
    let told = Arc::clone(&fates);
    let gateway = runtime.block_on(async {
        let vendor = Vendor::start(move |received| {
            let first = received.ids()[0].bytes().map(usize::from).sum::<usize>();
            let fates = told.lock();
            let (fails, late) = fates[first % fates.len()];
            drop(fates);
            async move {
                for _ in 0..late {
                    yield_now().await;
                }
                match (fails, first % 3) {
                    (false, _) => some(&received),
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
    proptest!(config, |(scene in scene())| {
        runtime.block_on(play(&gateway, &fates, scene));
    });
}
