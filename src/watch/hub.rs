//! The hubs of an upstream: one for each token that has watches, or had until a moment
//! ago.

use std::collections::HashMap;
use std::sync::Arc;

use http::HeaderValue;
use parking_lot::Mutex;
use tokio::time::Instant;

use super::shared::Shared;
use super::state::State;
use super::users::{UserSet, user_key};
use super::vendor::Vendor;
use super::{Settings, task};
use crate::memory::MemoryLease;
use crate::telemetry::WatchCounts;
use crate::token_key::TokenKey;

/// How many hubs without watches are kept. Each has a socket.
const MAX_IDLE_HUBS: usize = 100;

/// The token itself, because keys are hashes, and no presence may reach another token.
type Key = (TokenKey, HeaderValue);

/// The hub of each token. Clones share them.
#[derive(Debug, Clone, Default)]
pub(super) struct Hubs(Arc<Mutex<HashMap<Key, Hub>>>);

/// What the watches of one token share.
#[derive(Debug)]
struct Hub {
    shared: Arc<Shared>,
    /// Since when it has no watches.
    idle_since: Option<Instant>,
}

/// Removes a hub when its task ends, also by a panic.
struct Registration {
    hubs: Hubs,
    key: Key,
    shared: Arc<Shared>,
}

impl Drop for Registration {
    fn drop(&mut self) {
        let mut hubs = self.hubs.0.lock();
        // Another one may have taken its place.
        let hub = hubs.get(&self.key);
        if hub.is_some_and(|hub| Arc::ptr_eq(&hub.shared, &self.shared)) {
            hubs.remove(&self.key);
        }
    }
}

/// One watch of a hub, which leaves when this is dropped.
#[derive(Debug)]
pub(super) struct Watch {
    pub shared: Arc<Shared>,
    pub number: u64,
    hubs: Hubs,
    key: Key,
    memory: Reserved,
}

/// What a watch has reserved for its users, on the wire.
#[derive(Debug)]
pub(super) struct Reserved {
    pub lease: MemoryLease,
    pub size: usize,
}

impl Drop for Watch {
    fn drop(&mut self) {
        // Before the hub reserves memory for the users whom it keeps.
        self.memory.lease.release(self.memory.size);
        let mut inner = self.shared.lock();
        inner.state.leave(self.number);
        let is_last = inner.state.watches.is_empty();
        drop(inner);
        self.shared.wake.notify_one();
        if is_last {
            self.hubs.set_idle(&self.key, &self.shared);
        }
    }
}

impl Hubs {
    /// Joins the hub with this key, or begins one.
    pub(super) fn join(
        &self,
        key: Key,
        ids: Vec<String>,
        memory: Reserved,
        settings: Settings,
        counts: &WatchCounts,
        vendor: impl FnOnce() -> Arc<dyn Vendor>,
    ) -> Watch {
        let ids = distinct(ids);
        let mut hubs = self.0.lock();
        // One whose token was rejected serves nobody any more.
        let known = hubs.get_mut(&key).filter(|hub| hub.shared.admit());
        let (shared, is_new) = if let Some(hub) = known {
            hub.idle_since = None;
            (Arc::clone(&hub.shared), false)
        } else {
            let state = State::new(memory.lease.sub_lease(), counts.clone());
            let shared = Shared::new(state);
            shared.admit();
            let hub = Hub {
                shared: Arc::clone(&shared),
                idle_since: None,
            };
            hubs.insert(key.clone(), hub);
            (shared, true)
        };
        drop(hubs);
        let number = shared.lock().join_admitted(ids);
        if is_new {
            self.spawn(key.clone(), &shared, vendor(), settings, counts);
        } else {
            shared.wake.notify_one();
        }
        Watch {
            shared,
            number,
            hubs: self.clone(),
            key,
            memory,
        }
    }

    /// Begins the task of a hub.
    fn spawn(
        &self,
        key: Key,
        shared: &Arc<Shared>,
        vendor: Arc<dyn Vendor>,
        settings: Settings,
        counts: &WatchCounts,
    ) {
        let task = task::run(vendor, Arc::clone(shared), settings, counts.clone());
        let registration = Registration {
            hubs: self.clone(),
            key,
            shared: Arc::clone(shared),
        };
        #[expect(
            clippy::disallowed_methods,
            reason = "ends some time after the last watch of the token"
        )]
        tokio::spawn(async move {
            let _registration = registration;
            task.await;
        });
    }

    /// Records that a hub has no watches, unless one has joined meanwhile. Beyond
    /// [`MAX_IDLE_HUBS`], the one that has had none for the longest time ends.
    fn set_idle(&self, key: &Key, shared: &Arc<Shared>) {
        let mut hubs = self.0.lock();
        let hub = hubs.get_mut(key);
        let hub = hub.filter(|hub| Arc::ptr_eq(&hub.shared, shared) && shared.is_without_watches());
        let Some(hub) = hub else { return };
        hub.idle_since = Some(Instant::now());
        let idle = || hubs.values().filter(|hub| hub.idle_since.is_some());
        if idle().count() > MAX_IDLE_HUBS
            && let Some(oldest) = idle().min_by_key(|hub| hub.idle_since)
        {
            oldest.shared.remove_unwatched();
        }
    }

    /// Removes all users whom nobody watches, which releases their memory.
    pub(super) fn remove_unwatched(&self) {
        let hubs = self.0.lock();
        hubs.values().for_each(|hub| hub.shared.remove_unwatched());
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.lock().len()
    }
}

/// The ids without duplicates, with their keys.
fn distinct(ids: Vec<String>) -> Vec<(Arc<str>, String)> {
    let mut seen = UserSet::with_capacity_and_hasher(ids.len(), <_>::default());
    let ids = ids.into_iter().map(|id| (user_key(&id), id));
    ids.filter(|(key, _)| seen.insert(Arc::clone(key)))
        .collect()
}
