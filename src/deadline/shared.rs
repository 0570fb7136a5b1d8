//! The deadline of several calls that wait for one request.

use std::sync::Arc;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::Deadline;

/// The latest deadline of several calls. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct SharedDeadline(Arc<watch::Sender<Instant>>);

impl SharedDeadline {
    pub(super) fn new(first: Instant) -> Self {
        Self(Arc::new(watch::Sender::new(first)))
    }

    /// Extends it to the deadline of one more call.
    pub(crate) fn extend(&self, deadline: &Deadline) {
        let end = deadline.own.instant();
        self.0.send_if_modified(|latest| {
            let is_later = end > *latest;
            *latest = end.max(*latest);
            is_later
        });
    }

    pub(super) fn instant(&self) -> Instant {
        *self.0.borrow()
    }

    pub(super) async fn expired(&self) {
        let mut changes = self.0.subscribe();
        loop {
            let end = *changes.borrow_and_update();
            tokio::select! {
                // `self` holds the sender, so that this never fails.
                _ = changes.changed() => {}
                () = sleep_until(end) => return,
            }
        }
    }
}
