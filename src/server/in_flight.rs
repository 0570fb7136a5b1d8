//! Counts calls in flight, so that the shutdown, and a connection that drains, can
//! wait for the last one.

use std::sync::Arc;

use tokio::sync::watch;

/// The number of calls in flight. Clones share it. Only the first call
/// and the last one notify those that wait, because each call pays for a notification.
#[derive(Debug, Clone, Default)]
pub(super) struct InFlight(Arc<watch::Sender<usize>>);

impl InFlight {
    /// Waits until no call is in flight.
    pub(super) async fn wait_idle(&self) {
        // `self` holds the sender, so the channel cannot close.
        let _ = self.0.subscribe().wait_for(|count| *count == 0).await;
    }

    /// Waits until a call is in flight.
    pub(super) async fn wait_busy(&self) {
        let _ = self.0.subscribe().wait_for(|count| *count > 0).await;
    }

    /// Counts a call until the guard is dropped.
    pub(super) fn enter(self) -> InFlightGuard {
        self.0.send_if_modified(|count| {
            *count += 1;
            *count == 1
        });
        InFlightGuard(self)
    }
}

/// One call in flight.
pub(super) struct InFlightGuard(InFlight);

impl Drop for InFlightGuard {
    fn drop(&mut self) {
        self.0.0.send_if_modified(|count| {
            *count -= 1;
            *count == 0
        });
    }
}
