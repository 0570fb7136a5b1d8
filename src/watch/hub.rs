//! The hubs of an upstream: one for each token that has watches.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Weak};

use http::HeaderValue;
use parking_lot::Mutex;
use tokio::task::AbortHandle;

use super::shared::Shared;
use super::state::State;
use super::vendor::Vendor;
use super::{Settings, task, user_key};
use crate::memory::MemoryLease;
use crate::telemetry::WatchCounts;
use crate::token_key::TokenKey;

/// The hub of each token: the token itself, because keys are hashes, and no presence may
/// reach another token.
pub(super) type Hubs = Arc<Mutex<HashMap<(TokenKey, HeaderValue), Weak<Hub>>>>;

/// What the watches of one token share, as long as there is one.
#[derive(Debug)]
pub(super) struct Hub {
    pub shared: Arc<Shared>,
    task: AbortHandle,
    hubs: Hubs,
    key: (TokenKey, HeaderValue),
}

impl Drop for Hub {
    fn drop(&mut self) {
        self.task.abort();
        let mut hubs = self.hubs.lock();
        // Another one may have taken its place.
        if hubs
            .get(&self.key)
            .is_some_and(|hub| hub.strong_count() == 0)
        {
            hubs.remove(&self.key);
        }
    }
}

/// One watch of a hub, which leaves when this is dropped.
#[derive(Debug)]
pub(super) struct Watch {
    pub hub: Arc<Hub>,
    pub number: u64,
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.hub.shared.lock().state.leave(self.number);
        self.hub.shared.wake.notify_one();
    }
}

/// Joins the hub with this key, or begins one.
pub(super) fn join(
    hubs: &Hubs,
    key: (TokenKey, HeaderValue),
    ids: Vec<String>,
    memory: MemoryLease,
    settings: Settings,
    counts: &WatchCounts,
    vendor: impl FnOnce() -> Arc<dyn Vendor>,
) -> Watch {
    let ids = distinct(ids);
    // Before the lock, so that it is dropped after it: the drop of a hub takes the lock.
    let known;
    let mut registered = hubs.lock();
    known = registered.get(&key).and_then(Weak::upgrade);
    // One whose token was rejected serves nobody any more.
    let hub = match &known {
        Some(hub) if hub.shared.lock().ended.is_none() => Arc::clone(hub),
        _ => {
            let hub = begin_hub(hubs, key.clone(), memory, settings, counts, vendor);
            registered.insert(key, Arc::downgrade(&hub));
            hub
        }
    };
    drop(registered);
    let number = hub.shared.lock().join(ids);
    hub.shared.wake.notify_one();
    Watch { hub, number }
}

/// Begins the hub of a token.
fn begin_hub(
    hubs: &Hubs,
    key: (TokenKey, HeaderValue),
    memory: MemoryLease,
    settings: Settings,
    counts: &WatchCounts,
    vendor: impl FnOnce() -> Arc<dyn Vendor>,
) -> Arc<Hub> {
    let shared = Shared::new(State::new(memory, counts.clone()));
    let task = task::run(vendor(), Arc::clone(&shared), settings, counts.clone());
    #[expect(
        clippy::disallowed_methods,
        reason = "ends with the last watch of the token"
    )]
    let task = tokio::spawn(task).abort_handle();
    Arc::new(Hub {
        shared,
        task,
        hubs: Arc::clone(hubs),
        key,
    })
}

/// The ids without duplicates, with their keys.
fn distinct(ids: Vec<String>) -> Vec<(Arc<str>, String)> {
    let mut seen = HashSet::with_capacity(ids.len());
    let ids = ids.into_iter().map(|id| (user_key(&id), id));
    ids.filter(|(key, _)| seen.insert(Arc::clone(key)))
        .collect()
}
