//! The calls in flight, counted so that the end can wait for the last one.

use std::sync::Arc;

use tokio::sync::watch;

/// How many calls are in flight, from their headers until their callers have
/// taken the last of their answers. A clone is the same count.
#[derive(Debug, Clone, Default)]
pub(super) struct InFlight(Arc<watch::Sender<usize>>);

impl InFlight {
    /// Waits until there is no call.
    pub(super) async fn none(&self) {
        // `self` holds the sender, so the count cannot go away.
        let _ = self.0.subscribe().wait_for(|count| *count == 0).await;
    }

    /// How many calls there are.
    pub(super) fn count(&self) -> usize {
        *self.0.borrow()
    }

    /// Waits until there is a call.
    pub(super) async fn some(&self) {
        let _ = self.0.subscribe().wait_for(|count| *count > 0).await;
    }

    /// Counts a call.
    pub(super) fn enter(self) -> Entered {
        self.0.send_modify(|count| *count += 1);
        Entered(self)
    }
}

/// One call that is counted, until this is dropped.
pub(super) struct Entered(InFlight);

impl Drop for Entered {
    fn drop(&mut self) {
        self.0.0.send_modify(|count| *count -= 1);
    }
}
