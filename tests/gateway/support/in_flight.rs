//! Counts of the vendor's requests in flight, and how each ended.

use std::sync::Arc;
use std::time::Duration;

use axum::response::Response;
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;

use crate::support::{ReceivedRequest, Vendor};

/// Timeout for an event that must come. Much longer than any event takes: it
/// only makes a hanging test fail with the name of the event.
const TIMEOUT: Duration = Duration::from_secs(20);

/// Counts the vendor's requests; a test can wait for a count. A clone shares
/// the counts.
#[derive(Debug, Clone, Default)]
pub struct InFlight(watch::Sender<Counts>);

/// Counts of requests.
#[derive(Debug, Clone, Copy, Default)]
pub struct Counts {
    /// Received requests.
    pub started: usize,
    /// Requests without a response yet.
    pub pending: usize,
    /// The largest value of `pending` so far.
    pub peak: usize,
    /// Requests with a response.
    pub answered: usize,
    /// Requests whose client disconnected before the response.
    pub abandoned: usize,
}

/// Guard of a request in flight. Dropped without a response, it counts as
/// abandoned.
#[derive(Debug)]
pub struct PendingRequest {
    in_flight: InFlight,
    is_answered: bool,
}

impl InFlight {
    /// Counts a received request.
    pub fn start_request(&self) -> PendingRequest {
        self.0.send_modify(|counts| {
            counts.started += 1;
            counts.pending += 1;
            counts.peak = counts.peak.max(counts.pending);
        });
        PendingRequest {
            in_flight: self.clone(),
            is_answered: false,
        }
    }

    /// The counts so far.
    pub fn counts(&self) -> Counts {
        *self.0.borrow()
    }

    /// Waits until `condition` holds for the counts; panics with `what` after the
    /// timeout.
    pub async fn wait_until(&self, what: &str, condition: impl Fn(Counts) -> bool) {
        let mut counts = self.0.subscribe();
        let waited = timeout(TIMEOUT, counts.wait_for(|counts| condition(*counts))).await;
        assert!(
            waited.is_ok(),
            "timed out waiting until {what}: {:?}",
            self.counts()
        );
    }
}

impl PendingRequest {
    /// Counts the request as answered; returns the response.
    pub fn respond<T>(mut self, response: T) -> T {
        self.is_answered = true;
        response
    }
}

impl Drop for PendingRequest {
    fn drop(&mut self) {
        self.in_flight.0.send_modify(|counts| {
            counts.pending -= 1;
            if self.is_answered {
                counts.answered += 1;
            } else {
                counts.abandoned += 1;
            }
        });
    }
}

/// Starts a vendor that responds to one request for each permit of the gate.
pub async fn gated_vendor(
    in_flight: &InFlight,
    gate: &Arc<Semaphore>,
    respond: fn(&ReceivedRequest) -> Response,
) -> Vendor {
    let (in_flight, gate) = (in_flight.clone(), Arc::clone(gate));
    Vendor::start(move |received| {
        let (pending, gate) = (in_flight.start_request(), Arc::clone(&gate));
        async move {
            gate.acquire().await.unwrap().forget();
            pending.respond(respond(&received))
        }
    })
    .await
}

/// Waits for `future`; panics with `what` after the timeout.
pub async fn wait_for<F: Future>(what: &str, future: F) -> F::Output {
    let waited = timeout(TIMEOUT, future).await;
    waited.unwrap_or_else(|_| panic!("timed out waiting for {what}"))
}
