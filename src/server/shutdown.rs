//! The end of the server, in its phases: told, lame duck, drain.

use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until, timeout_at};

use super::in_flight::InFlight;
use super::limits::GOAWAY_GRACE;
use super::public::health::Health;
use crate::deadline::Drain;

/// How long the end takes.
#[derive(Debug, Clone, Copy)]
pub struct ShutdownTimeouts {
    /// From the moment at which health says so until no connection is
    /// accepted any more: the time in which callers learn of it.
    pub lame_duck: Duration,
    /// The longest that calls in flight have after that.
    pub drain_timeout: Duration,
}

/// Leads through the phases when `told` is done; the drain has then begun.
pub(super) async fn run_phases(
    told: impl Future<Output = ()>,
    timeouts: ShutdownTimeouts,
    health: &Health,
    drain: &Drain,
) {
    told.await;
    health.ends().await;
    tracing::info!(
        lame_duck = ?timeouts.lame_duck,
        drain_timeout = ?timeouts.drain_timeout,
        "ending; a second signal ends it at once"
    );
    sleep(timeouts.lame_duck).await;
    drain.begin(Instant::now() + timeouts.drain_timeout);
}

/// Waits as long as connections are worth waiting for: until all calls have
/// ended, or their time has, and a moment more.
pub(super) async fn drained(calls: &InFlight, drain: &Drain) {
    let end = drain.begun().await;
    loop {
        // Where time runs out, the calls are answered just now.
        let _ = timeout_at(end, calls.none()).await;
        let now = Instant::now();
        let is_over = now >= end;
        tokio::select! {
            // Not longer for one that came after the end.
            () = sleep_until(now.min(end) + GOAWAY_GRACE) => return,
            // One that was on its way when its client was told to go away.
            () = calls.some(), if !is_over => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::pause;

    use super::*;

    #[tokio::test]
    async fn a_late_call_is_waited_for_until_a_second_after_the_end_and_no_longer() {
        pause();
        // The call before it ends half a second before the end.
        for late in [100, 490, 700, 900] {
            let (calls, drain) = (InFlight::default(), Drain::default());
            let begun = Instant::now();
            drain.begin(begun + Duration::from_secs(10));
            let before = calls.clone().enter();
            let coming = async {
                sleep(Duration::from_millis(9500)).await;
                drop(before);
                sleep(Duration::from_millis(late)).await;
                calls.clone().enter()
            };
            tokio::join!(drained(&calls, &drain), coming);
            let waited = begun.elapsed().as_millis();
            assert!((11_000..11_010).contains(&waited), "{waited} ms for {late}");
        }
    }
}
