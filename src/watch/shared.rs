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
    /// Watches that are about to join.
    joining: usize,
    /// Whether the task has ended because there was nothing to do.
    is_closed: bool,
}

impl Shared {
    pub(super) fn new(state: State) -> Arc<Self> {
        Arc::new(Self {
            inner: Mutex::new(Inner {
                state,
                notices: BTreeSet::new(),
                ended: None,
                joining: 0,
                is_closed: false,
            }),
            wake: Notify::new(),
        })
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock()
    }

    /// Announces a watch, which joins next. Returns whether it may.
    pub(super) fn admit(&self) -> bool {
        let mut inner = self.lock();
        let is_open = inner.ended.is_none() && !inner.is_closed;
        inner.joining += usize::from(is_open);
        is_open
    }

    /// Whether no watch has joined, and none is about to.
    pub(super) fn is_without_watches(&self) -> bool {
        let inner = self.lock();
        inner.joining == 0 && inner.state.watches.is_empty()
    }

    /// Removes all users whom nobody watches.
    pub(super) fn remove_unwatched(&self) {
        self.lock().state.remove_unwatched();
        self.wake.notify_one();
    }

    /// Reports something about a socket to the task.
    pub(super) fn notice(&self, slot: usize, generation: Generation, notice: Notice) {
        self.lock().notices.insert((slot, generation, notice));
        self.wake.notify_one();
    }
}

impl Inner {
    /// Adds a watch of these users that was admitted, and returns its number. It ends at
    /// once if all have ended.
    pub(super) fn join_admitted(&mut self, ids: Vec<(Arc<str>, String)>) -> u64 {
        self.joining -= 1;
        let number = self.state.join(ids);
        if let Some(failure) = &self.ended {
            self.state.end_all(failure);
        }
        number
    }

    /// Lets no watch join any more, if there is nothing to do. Returns whether that is so.
    pub(super) fn close_if_idle(&mut self) -> bool {
        self.is_closed = self.joining == 0 && self.state.is_idle();
        self.is_closed
    }

    /// Ends all watches.
    pub(super) fn end(&mut self, failure: &Failure) {
        self.ended.get_or_insert_with(|| failure.clone());
        self.state.end_all(failure);
    }
}
