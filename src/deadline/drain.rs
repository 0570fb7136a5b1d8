//! A drain: the time in which the calls of the gateway, or of one connection,
//! must end.

use std::future::pending;
use std::sync::Arc;

use tokio::sync::watch;
use tokio::time::Instant;

/// Whether the gateway or a connection drains, and when the drain times out.
/// Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Drain(Arc<watch::Sender<Option<Instant>>>);

impl Drain {
    /// Begins the drain: every call must have ended at `end`. Only the first
    /// `end` counts.
    pub fn begin(&self, end: Instant) {
        self.0.send_if_modified(|known| {
            let is_first = known.is_none();
            known.get_or_insert(end);
            is_first
        });
    }

    /// When the drain times out, once it has begun.
    #[must_use]
    pub fn end(&self) -> Option<Instant> {
        *self.0.borrow()
    }

    /// Waits until the drain has begun, and returns its end.
    pub async fn begun(&self) -> Instant {
        let mut changes = self.0.subscribe();
        let known = changes.wait_for(Option::is_some).await.map(|end| *end);
        match known {
            Ok(Some(end)) => end,
            // `self` holds the sender, so the channel cannot close.
            _ => pending().await,
        }
    }
}
