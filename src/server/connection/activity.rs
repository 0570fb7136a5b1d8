//! The activity of a connection: counts its calls, and decides when it gets
//! GOAWAY.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::deadline::Drain;
use crate::server::in_flight::InFlight;
use crate::server::limits::{HANDSHAKE_TIMEOUT, PEAK_STREAMS, RECYCLE_DIVISOR};

/// The activity of one connection. Clones share it.
#[derive(Debug, Clone)]
pub(in crate::server) struct ConnectionActivity(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    calls: Mutex<Calls>,
    goaway: Notify,
    /// The bulk streams, which may outlast any deadline.
    long_streams: InFlight,
    /// The drain of this connection, not of the gateway.
    drain: Drain,
}

#[derive(Debug)]
struct Calls {
    open: usize,
    /// The most that were open at once.
    peak: usize,
    /// When the connection was accepted, or its last call ended.
    idle_since: Instant,
    is_goaway_requested: bool,
}

impl ConnectionActivity {
    /// The activity of a new connection.
    pub(in crate::server) fn new() -> Self {
        let calls = Calls {
            open: 0,
            peak: 0,
            idle_since: Instant::now(),
            is_goaway_requested: false,
        };
        Self(Arc::new(Shared {
            calls: Mutex::new(calls),
            goaway: Notify::new(),
            long_streams: InFlight::default(),
            drain: Drain::default(),
        }))
    }

    /// Counts a call until the guard is dropped.
    pub(in crate::server) fn track_stream(&self) -> StreamGuard {
        let mut calls = self.0.calls.lock();
        calls.open += 1;
        calls.peak = calls.peak.max(calls.open);
        StreamGuard(self.clone())
    }

    /// The bulk streams, which may outlast any deadline.
    pub(in crate::server) fn long_streams(&self) -> &InFlight {
        &self.0.long_streams
    }

    /// The drain of the connection, which ends health watches and reflection
    /// streams: they have no deadline.
    pub(in crate::server) fn drain(&self) -> &Drain {
        &self.0.drain
    }

    /// When the connection became idle. None if it has calls, if GOAWAY is
    /// requested already, or if it is new and may be about to make its first call.
    pub(in crate::server) fn idle_since(&self) -> Option<Instant> {
        let calls = self.0.calls.lock();
        let is_new = calls.peak == 0 && calls.idle_since.elapsed() < HANDSHAKE_TIMEOUT;
        let is_idle = calls.open == 0 && !calls.is_goaway_requested && !is_new;
        is_idle.then_some(calls.idle_since)
    }

    pub(in crate::server) fn has_calls(&self) -> bool {
        self.0.calls.lock().open > 0
    }

    /// Requests that the connection sends GOAWAY.
    pub(in crate::server) fn request_goaway(&self) {
        self.0.calls.lock().is_goaway_requested = true;
        self.0.goaway.notify_one();
    }

    /// Waits for [`Self::request_goaway`].
    pub(in crate::server) async fn goaway_requested(&self) {
        self.0.goaway.notified().await;
    }
}

/// One open call of a connection.
#[derive(Debug)]
pub(in crate::server) struct StreamGuard(ConnectionActivity);

impl Drop for StreamGuard {
    fn drop(&mut self) {
        let mut calls = self.0.0.calls.lock();
        calls.open -= 1;
        if calls.open == 0 {
            calls.idle_since = Instant::now();
        }
        let should_recycle =
            calls.peak > PEAK_STREAMS && calls.open <= calls.peak / RECYCLE_DIVISOR;
        if should_recycle && !calls.is_goaway_requested {
            drop(calls);
            self.0.request_goaway();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::FutureExt;
    use tokio::time::{advance, pause};

    use super::*;

    #[tokio::test]
    async fn a_connection_is_idle_since_the_end_of_its_last_call() {
        pause();
        let (activity, accepted) = (ConnectionActivity::new(), Instant::now());
        assert_eq!(activity.idle_since(), None, "within the handshake timeout");
        advance(HANDSHAKE_TIMEOUT).await;
        assert_eq!(activity.idle_since(), Some(accepted));
        let calls = [activity.track_stream(), activity.track_stream()];
        assert_eq!(activity.idle_since(), None);
        advance(Duration::from_secs(9)).await;
        drop(calls);
        let ended = accepted + HANDSHAKE_TIMEOUT + Duration::from_secs(9);
        assert_eq!(activity.idle_since(), Some(ended));
        activity.request_goaway();
        assert_eq!(activity.idle_since(), None, "GOAWAY is already requested");
    }

    #[tokio::test]
    async fn a_connection_is_drained_when_few_calls_remain_of_many() {
        let activity = ConnectionActivity::new();
        let few: Vec<_> = (0..16).map(|_| activity.track_stream()).collect();
        let mut many: Vec<_> = (16..=PEAK_STREAMS)
            .map(|_| activity.track_stream())
            .collect();
        let one = many.pop();
        drop(many);
        assert!(activity.goaway_requested().now_or_never().is_none());
        drop(one);
        assert!(activity.goaway_requested().now_or_never().is_some());
        drop(few);
        assert!(
            activity.goaway_requested().now_or_never().is_none(),
            "requested twice"
        );
    }

    #[tokio::test]
    async fn a_connection_below_the_peak_is_not_drained() {
        let activity = ConnectionActivity::new();
        let calls: Vec<_> = (0..PEAK_STREAMS).map(|_| activity.track_stream()).collect();
        drop(calls);
        assert!(activity.goaway_requested().now_or_never().is_none());
    }
}
