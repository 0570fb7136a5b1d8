//! How a connection is used: how many calls it has, and when it is to go.

use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use crate::server::limits::{HANDSHAKE_TIMEOUT, PEAK_STREAMS, RECYCLE_DIVISOR};

/// How a connection is used. Clones are of the same connection.
#[derive(Debug, Clone)]
pub(in crate::server) struct ConnectionActivity(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    calls: Mutex<Calls>,
    go: Notify,
    /// How many of the calls may last for longer than any deadline.
    lasting: watch::Sender<usize>,
    /// Whether it drains, and so ends the streams that have no end of their own.
    is_draining: watch::Sender<bool>,
}

#[derive(Debug)]
struct Calls {
    now: usize,
    most: usize,
    /// When it came, or the last one ended.
    idle_since: Instant,
    had_any: bool,
    is_goaway_requested: bool,
}

impl ConnectionActivity {
    /// A connection that has just come.
    pub(in crate::server) fn new() -> Self {
        let calls = Calls {
            now: 0,
            most: 0,
            idle_since: Instant::now(),
            had_any: false,
            is_goaway_requested: false,
        };
        Self(Arc::new(Shared {
            calls: Mutex::new(calls),
            go: Notify::new(),
            lasting: watch::Sender::new(0),
            is_draining: watch::Sender::new(false),
        }))
    }

    /// Counts a call, until what is given is dropped.
    pub(in crate::server) fn track_stream(&self) -> StreamGuard {
        let mut calls = self.calls();
        calls.now += 1;
        calls.had_any = true;
        calls.most = calls.most.max(calls.now);
        StreamGuard(self.clone())
    }

    /// Counts a call that may last for longer than any deadline, until what is
    /// given is dropped.
    pub(in crate::server) fn track_long_stream(&self) -> LongStreamGuard {
        self.0.lasting.send_modify(|count| *count += 1);
        LongStreamGuard(self.clone())
    }

    /// Waits until there is no call of those.
    pub(in crate::server) async fn long_streams_ended(&self) {
        // `self` holds the sender, so the count cannot go away.
        let _ = self
            .0
            .lasting
            .subscribe()
            .wait_for(|count| *count == 0)
            .await;
    }

    /// Ends the streams that have no end of their own.
    pub(in crate::server) fn drain(&self) {
        self.0.is_draining.send_replace(true);
    }

    /// Waits until streams that have no end of their own are to end.
    pub(in crate::server) async fn draining(&self) {
        // `self` holds the sender, so the word cannot fail to come.
        let _ = self.0.is_draining.subscribe().wait_for(|&is| is).await;
    }

    /// Since when it has no calls; nothing if it has some, or is to go already,
    /// or has just come and may be about to make its first.
    pub(in crate::server) fn idle_since(&self) -> Option<Instant> {
        let calls = self.calls();
        let is_new = !calls.had_any && calls.idle_since.elapsed() < HANDSHAKE_TIMEOUT;
        let is_idle = calls.now == 0 && !calls.is_goaway_requested && !is_new;
        is_idle.then_some(calls.idle_since)
    }

    pub(in crate::server) fn has_calls(&self) -> bool {
        self.calls().now > 0
    }

    /// Says that it is to go.
    pub(in crate::server) fn request_goaway(&self) {
        self.calls().is_goaway_requested = true;
        self.0.go.notify_one();
    }

    /// Waits until it is to go.
    pub(in crate::server) async fn goaway_requested(&self) {
        self.0.go.notified().await;
    }

    fn calls(&self) -> MutexGuard<'_, Calls> {
        self.0.calls.lock()
    }
}

/// A call of a connection.
#[derive(Debug)]
pub(in crate::server) struct StreamGuard(ConnectionActivity);

impl Drop for StreamGuard {
    fn drop(&mut self) {
        let mut calls = self.0.calls();
        calls.now -= 1;
        if calls.now == 0 {
            calls.idle_since = Instant::now();
        }
        let should_recycle = calls.most > PEAK_STREAMS && calls.now <= calls.most / RECYCLE_DIVISOR;
        if should_recycle && !calls.is_goaway_requested {
            drop(calls);
            self.0.request_goaway();
        }
    }
}

/// A call of a connection that may last for longer than any deadline.
#[derive(Debug)]
pub(in crate::server) struct LongStreamGuard(ConnectionActivity);

impl Drop for LongStreamGuard {
    fn drop(&mut self) {
        self.0.0.lasting.send_modify(|count| *count -= 1);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::FutureExt;
    use tokio::time::{advance, pause};

    use super::*;

    #[tokio::test]
    async fn a_connection_is_idle_from_when_its_last_call_ended() {
        pause();
        let (activity, come) = (ConnectionActivity::new(), Instant::now());
        assert_eq!(activity.idle_since(), None, "it has just come");
        advance(HANDSHAKE_TIMEOUT).await;
        assert_eq!(activity.idle_since(), Some(come));
        let calls = [activity.track_stream(), activity.track_stream()];
        assert_eq!(activity.idle_since(), None);
        advance(Duration::from_secs(9)).await;
        drop(calls);
        let ended = come + HANDSHAKE_TIMEOUT + Duration::from_secs(9);
        assert_eq!(activity.idle_since(), Some(ended));
        activity.request_goaway();
        assert_eq!(activity.idle_since(), None, "it is going already");
    }

    #[tokio::test]
    async fn a_connection_that_had_many_calls_and_has_few_is_to_go() {
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
            "asked twice"
        );
    }

    #[tokio::test]
    async fn a_connection_that_had_some_calls_stays() {
        let activity = ConnectionActivity::new();
        let calls: Vec<_> = (0..PEAK_STREAMS).map(|_| activity.track_stream()).collect();
        drop(calls);
        assert!(activity.goaway_requested().now_or_never().is_none());
    }
}
