//! What the vendor has under way, and what becomes of it.

use std::sync::Arc;
use std::time::Duration;

use axum::response::Response;
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;

use crate::support::{ReceivedRequest, Vendor};

/// How long an event is waited for that must come: much longer than it takes,
/// so that a test which hangs says what it waits for.
const PATIENCE: Duration = Duration::from_secs(20);

/// Counts the vendor's requests; a test can wait for what it counts.
#[derive(Debug, Clone, Default)]
pub struct InFlight(watch::Sender<Counts>);

/// What was counted.
#[derive(Debug, Clone, Copy, Default)]
pub struct Counts {
    /// Requests that arrived.
    pub started: usize,
    /// Requests that wait for their answer.
    pub pending: usize,
    /// The most that ever waited for their answer at once.
    pub peak: usize,
    /// Requests that were answered.
    pub answered: usize,
    /// Requests whose client went away before the answer.
    pub abandoned: usize,
}

/// A request under way. Dropped unanswered, it counts as abandoned.
#[derive(Debug)]
pub struct PendingRequest {
    flight: InFlight,
    is_answered: bool,
}

impl InFlight {
    /// Counts a request that has arrived.
    pub fn start_request(&self) -> PendingRequest {
        self.0.send_modify(|counts| {
            counts.started += 1;
            counts.pending += 1;
            counts.peak = counts.peak.max(counts.pending);
        });
        PendingRequest {
            flight: self.clone(),
            is_answered: false,
        }
    }

    /// What was counted up to now.
    pub fn counts(&self) -> Counts {
        *self.0.borrow()
    }

    /// Waits until the counts are so.
    pub async fn wait_until(&self, what: &str, are_so: impl Fn(Counts) -> bool) {
        let mut counts = self.0.subscribe();
        let waited = timeout(PATIENCE, counts.wait_for(|counts| are_so(*counts))).await;
        assert!(
            waited.is_ok(),
            "waited in vain until {what}: {:?}",
            self.counts()
        );
    }
}

impl PendingRequest {
    /// Counts the request as answered.
    pub fn respond<T>(mut self, answer: T) -> T {
        self.is_answered = true;
        answer
    }
}

impl Drop for PendingRequest {
    fn drop(&mut self) {
        self.flight.0.send_modify(|counts| {
            counts.pending -= 1;
            if self.is_answered {
                counts.answered += 1;
            } else {
                counts.abandoned += 1;
            }
        });
    }
}

/// A vendor that answers one request for each permit of the gate.
pub async fn gated_vendor(
    flight: &InFlight,
    gate: &Arc<Semaphore>,
    answer: fn(&ReceivedRequest) -> Response,
) -> Vendor {
    let (flight, gate) = (flight.clone(), Arc::clone(gate));
    Vendor::start(move |received| {
        let (held, gate) = (flight.start_request(), Arc::clone(&gate));
        async move {
            gate.acquire().await.unwrap().forget();
            held.respond(answer(&received))
        }
    })
    .await
}

/// Waits for what must come soon.
pub async fn wait_for<F: Future>(what: &str, future: F) -> F::Output {
    let waited = timeout(PATIENCE, future).await;
    waited.unwrap_or_else(|_| panic!("waited in vain for {what}"))
}
