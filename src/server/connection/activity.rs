//! How a connection is used: how many calls it has, and when it is to go.

use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use crate::server::listener::OPENING;

/// How many calls a connection may have had at once and keep what they took:
/// HTTP/2 has a place for each of them, some 1 KB, which is not given back
/// before the connection ends.
const MANY: usize = 256;

/// A connection that had many calls goes when it has so much fewer.
const FEWER: usize = 16;

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
    is_asked_to_go: bool,
}

impl ConnectionActivity {
    /// A connection that has just come.
    pub(in crate::server) fn new() -> Self {
        let calls = Calls {
            now: 0,
            most: 0,
            idle_since: Instant::now(),
            had_any: false,
            is_asked_to_go: false,
        };
        Self(Arc::new(Shared {
            calls: Mutex::new(calls),
            go: Notify::new(),
            lasting: watch::Sender::new(0),
            is_draining: watch::Sender::new(false),
        }))
    }

    /// Counts a call, until what is given is dropped.
    pub(in crate::server) fn begin(&self) -> StreamGuard {
        let mut calls = self.calls();
        calls.now += 1;
        calls.had_any = true;
        calls.most = calls.most.max(calls.now);
        StreamGuard(self.clone())
    }

    /// Counts a call that may last for longer than any deadline, until what is
    /// given is dropped.
    pub(in crate::server) fn lasts(&self) -> LongStreamGuard {
        self.0.lasting.send_modify(|count| *count += 1);
        LongStreamGuard(self.clone())
    }

    /// Waits until there is no call of those.
    pub(in crate::server) async fn none_lasts(&self) {
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
        let is_new = !calls.had_any && calls.idle_since.elapsed() < OPENING;
        let is_idle = calls.now == 0 && !calls.is_asked_to_go && !is_new;
        is_idle.then_some(calls.idle_since)
    }

    pub(in crate::server) fn has_calls(&self) -> bool {
        self.calls().now > 0
    }

    /// Says that it is to go.
    pub(in crate::server) fn ask_to_go(&self) {
        self.calls().is_asked_to_go = true;
        self.0.go.notify_one();
    }

    /// Waits until it is to go.
    pub(in crate::server) async fn asked_to_go(&self) {
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
        let is_swollen = calls.most > MANY && calls.now <= calls.most / FEWER;
        if is_swollen && !calls.is_asked_to_go {
            drop(calls);
            self.0.ask_to_go();
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
        let (usage, come) = (ConnectionActivity::new(), Instant::now());
        assert_eq!(usage.idle_since(), None, "it has just come");
        advance(OPENING).await;
        assert_eq!(usage.idle_since(), Some(come));
        let calls = [usage.begin(), usage.begin()];
        assert_eq!(usage.idle_since(), None);
        advance(Duration::from_secs(9)).await;
        drop(calls);
        let ended = come + OPENING + Duration::from_secs(9);
        assert_eq!(usage.idle_since(), Some(ended));
        usage.ask_to_go();
        assert_eq!(usage.idle_since(), None, "it is going already");
    }

    #[tokio::test]
    async fn a_connection_that_had_many_calls_and_has_few_is_to_go() {
        let usage = ConnectionActivity::new();
        let few: Vec<_> = (0..16).map(|_| usage.begin()).collect();
        let mut many: Vec<_> = (16..=MANY).map(|_| usage.begin()).collect();
        let one = many.pop();
        drop(many);
        assert!(usage.asked_to_go().now_or_never().is_none());
        drop(one);
        assert!(usage.asked_to_go().now_or_never().is_some());
        drop(few);
        assert!(usage.asked_to_go().now_or_never().is_none(), "asked twice");
    }

    #[tokio::test]
    async fn a_connection_that_had_some_calls_stays() {
        let usage = ConnectionActivity::new();
        let calls: Vec<_> = (0..MANY).map(|_| usage.begin()).collect();
        drop(calls);
        assert!(usage.asked_to_go().now_or_never().is_none());
    }
}
