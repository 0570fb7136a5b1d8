//! What the watches of one token, their task and its sockets share.

use std::collections::BTreeSet;
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::Notify;

use super::channel::Generation;
use super::state::State;
use crate::error::Failure;

/// What a socket reports to the task, besides presences.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Notice {
    /// The vendor will close it.
    Closing,
    /// Its channel gets no notifications any more.
    Unsubscribed,
    /// The token is revoked.
    Revoked,
    /// It received what is no text of the vendor's, or a heartbeat that was late: a
    /// notification may be lost.
    Gap,
}

/// The state, and what the task has not seen of it.
#[derive(Debug)]
pub(super) struct Shared {
    inner: Mutex<Inner>,
    /// Something is there for the task.
    pub wake: Notify,
}

#[derive(Debug)]
pub(super) struct Inner {
    pub state: State,
    pub notices: BTreeSet<(usize, Generation, Notice)>,
    /// Why all watches have ended: no further one may join.
    pub ended: Option<Failure>,
}

impl Shared {
    pub(super) fn new(state: State) -> Arc<Self> {
        Arc::new(Self {
            inner: Mutex::new(Inner {
                state,
                notices: BTreeSet::new(),
                ended: None,
            }),
            wake: Notify::new(),
        })
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock()
    }

    /// Reports something about a socket to the task.
    pub(super) fn notice(&self, slot: usize, generation: Generation, notice: Notice) {
        self.lock().notices.insert((slot, generation, notice));
        self.wake.notify_one();
    }
}

impl Inner {
    /// Adds a watch of these users, and returns its number. It ends at once if all have
    /// ended.
    pub(super) fn join(&mut self, ids: Vec<(Arc<str>, String)>) -> u64 {
        let number = self.state.join(ids);
        if let Some(failure) = &self.ended {
            self.state.end_all(failure);
        }
        number
    }

    /// Ends all watches.
    pub(super) fn end(&mut self, failure: &Failure) {
        self.ended.get_or_insert_with(|| failure.clone());
        self.state.end_all(failure);
    }
}
