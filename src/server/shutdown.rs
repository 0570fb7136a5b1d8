//! Shutdown in phases: `NOT_SERVING`, lame duck, drain.
//!
//! Decision: docs/decisions/0012-shutdown-phases.md.

use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until, timeout_at};
use tonic_health::ServingStatus;

use super::in_flight::InFlight;
use super::limits::GOAWAY_GRACE;
use super::public::health::Health;
use crate::deadline::Drain;

/// The timeouts of shutdown.
#[derive(Debug, Clone, Copy)]
pub struct ShutdownTimeouts {
    /// How long connections are still accepted after health has become
    /// `NOT_SERVING`, while callers learn of it.
    pub lame_duck: Duration,
    /// How long calls in flight may take after that.
    pub drain_timeout: Duration,
}

impl Default for ShutdownTimeouts {
    fn default() -> Self {
        Self {
            lame_duck: Duration::from_secs(5),
            drain_timeout: Duration::from_secs(30),
        }
    }
}

/// Runs the phases up to the start of the drain, once `signalled` is done.
pub(super) async fn run_phases(
    signalled: impl Future<Output = ShutdownTimeouts>,
    health: &Health,
    drain: &Drain,
) {
    let timeouts = signalled.await;
    // Load balancers choose other replicas from now on.
    health.set_for_calls(ServingStatus::NotServing).await;
    tracing::info!(
        lame_duck = ?timeouts.lame_duck,
        drain_timeout = ?timeouts.drain_timeout,
        "ending; a second signal ends it at once"
    );
    sleep(timeouts.lame_duck).await;
    drain.begin(Instant::now() + timeouts.drain_timeout);
}

/// Waits until all calls have ended or the drain has timed out, and then for
/// [`GOAWAY_GRACE`].
pub(super) async fn wait_drained(calls: &InFlight, drain: &Drain) {
    let end = drain.begun().await;
    loop {
        // At the timeout, all calls end with a status, which takes a moment to
        // be sent.
        let _ = timeout_at(end, calls.wait_idle()).await;
        let now = Instant::now();
        let is_over = now >= end;
        tokio::select! {
            // A call that came after the timeout does not prolong this.
            () = sleep_until(now.min(end) + GOAWAY_GRACE) => return,
            // The client sent this call before GOAWAY reached it: wait for its
            // end, too.
            () = calls.wait_busy(), if !is_over => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::pause;

    use super::*;

    #[tokio::test]
    async fn the_drain_waits_for_late_calls_until_a_second_after_its_end() {
        pause();
        // The call before the late one ends half a second before the drain does.
        for late in [100, 490, 700, 900] {
            let (calls, drain) = (InFlight::default(), Drain::default());
            let start = Instant::now();
            drain.begin(start + Duration::from_secs(10));
            let before = calls.clone().enter();
            let late_call = async {
                sleep(Duration::from_millis(9500)).await;
                drop(before);
                sleep(Duration::from_millis(late)).await;
                calls.clone().enter()
            };
            tokio::join!(wait_drained(&calls, &drain), late_call);
            let waited = start.elapsed().as_millis();
            assert!((11_000..11_010).contains(&waited), "{waited} ms for {late}");
        }
    }
}
