//! The end of the gateway, which no call outlives.

use std::sync::Arc;

use tokio::sync::watch;
use tokio::time::Instant;

/// Whether the gateway is letting its last calls end, and until when. A clone
/// is the same drain.
#[derive(Debug, Clone, Default)]
pub struct Drain(Arc<watch::Sender<Option<Instant>>>);

impl Drain {
    /// Begins it: at `end`, every call must have been answered. The first
    /// word counts.
    pub fn begin(&self, end: Instant) {
        self.0.send_if_modified(|known| {
            let is_first = known.is_none();
            known.get_or_insert(end);
            is_first
        });
    }

    /// When it ends, once it has begun.
    #[must_use]
    pub fn end(&self) -> Option<Instant> {
        *self.0.borrow()
    }

    /// Waits until it has begun; gives its end.
    pub async fn begun(&self) -> Instant {
        let mut changes = self.0.subscribe();
        loop {
            let known = *changes.borrow_and_update();
            match known {
                Some(end) => return end,
                // `self` holds the sender, so there is always a next word to wait for.
                None => drop(changes.changed().await),
            }
        }
    }
}
