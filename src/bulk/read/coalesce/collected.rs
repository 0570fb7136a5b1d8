//! What the calls of a batch ask for, while it is open.

use std::collections::{HashSet, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::bulk::{BATCH, key};

/// For how many windows a batch is open at most, while calls come that are
/// less than one apart: clients send what belongs together one after the other.
const MOST_WINDOWS: u32 = 10;

/// What it takes to wake the clock's thread and to share an answer: a call
/// that meets no other is to be no later than the window.
const TAKEN: Duration = Duration::from_micros(200);

/// What a batch asks for.
#[derive(Debug, Default)]
pub(super) struct CollectedBatch {
    ids: Mutex<Ids>,
    /// How many calls are in it.
    calls: AtomicUsize,
    is_full: Notify,
}

#[derive(Debug, Default)]
struct Ids {
    list: Vec<String>,
    keys: HashSet<String>,
    /// When the last call joined.
    joined: Option<Instant>,
}

impl CollectedBatch {
    /// Waits until nobody has joined for so long, and not for ever, by what
    /// waits until a moment.
    pub(super) async fn rests_for<F: Future<Output = ()>>(
        &self,
        window: Duration,
        wait_until: impl Fn(Instant) -> F,
    ) {
        let latest = Instant::now() + window * MOST_WINDOWS;
        let window = window.saturating_sub(TAKEN);
        loop {
            let joined = self.ids().joined.unwrap_or(latest);
            let leaves = (joined + window).min(latest);
            if leaves <= Instant::now() {
                return;
            }
            wait_until(leaves).await;
        }
    }

    /// Waits until there is no room for more.
    pub(super) async fn is_full(&self) {
        self.is_full.notified().await;
    }

    /// How many calls have joined.
    pub(super) fn calls(&self) -> usize {
        self.calls.load(Relaxed)
    }

    /// Takes what has been gathered, and the keys of it.
    pub(super) fn take(&self) -> (Vec<String>, HashSet<String>) {
        let mut ids = self.ids();
        (std::mem::take(&mut ids.list), std::mem::take(&mut ids.keys))
    }

    fn ids(&self) -> MutexGuard<'_, Ids> {
        self.ids.lock()
    }

    /// Adds ids as far as they fit; gives those that are in it, and whether it
    /// is full.
    pub(super) fn add(&self, ids: &mut VecDeque<String>) -> (Vec<String>, bool) {
        let mut gathered = self.ids();
        let mut own = Vec::new();
        while let Some(id) = ids.front() {
            let key = key(id);
            if !gathered.keys.contains(&key) {
                if gathered.list.len() >= BATCH {
                    break;
                }
                gathered.list.push(id.clone());
                gathered.keys.insert(key);
            }
            own.extend(ids.pop_front());
        }
        if !own.is_empty() {
            self.calls.fetch_add(1, Relaxed);
            gathered.joined = Some(Instant::now());
        }
        let is_full = gathered.list.len() >= BATCH;
        if is_full {
            self.is_full.notify_one();
        }
        (own, is_full)
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::{pause, sleep, sleep_until};

    use super::*;

    const WINDOW: Duration = Duration::from_millis(100);

    /// How long a batch is open that so many calls join, so far apart.
    async fn open_for(calls: usize, apart: Duration) -> u128 {
        let (gathered, begun) = (CollectedBatch::default(), Instant::now());
        let join = |number: usize| gathered.add(&mut VecDeque::from([number.to_string()]));
        join(0);
        let joining = async {
            for number in 1..calls {
                sleep(apart).await;
                join(number);
            }
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = joining => {}
            () = gathered.rests_for(WINDOW, sleep_until) => {}
        }
        begun.elapsed().as_millis()
    }

    #[tokio::test]
    async fn a_batch_waits_once_for_others_and_longer_while_they_come_but_not_for_ever() {
        pause();
        let apart = Duration::from_millis;
        for (calls, every, expected) in [
            (1, 1, 100),
            (2, 95, 195),
            (2, 105, 100),
            (4, 50, 250),
            (40, 50, 1000),
        ] {
            let open = open_for(calls, apart(every)).await;
            // Each timer is a millisecond late or so.
            let is_right = (expected..expected + 10).contains(&open);
            assert!(is_right, "{open} ms for {calls} calls, {every} ms apart");
        }
    }

    #[test]
    fn ids_are_added_once_until_the_batch_is_full() {
        let gathered = CollectedBatch::default();
        let ids = |range: std::ops::Range<usize>| -> VecDeque<String> {
            range.map(|number| format!("Id-{number}")).collect()
        };
        let mut first = ids(0..30);
        assert_eq!(gathered.add(&mut first), (Vec::from(ids(0..30)), false));
        let mut same = VecDeque::from(["ID-3".to_owned()]);
        assert_eq!(gathered.add(&mut same), (vec!["ID-3".to_owned()], false));
        let mut more = ids(25..60);
        assert_eq!(gathered.add(&mut more), (Vec::from(ids(25..50)), true));
        assert_eq!(more, ids(50..60));
        assert_eq!(gathered.add(&mut more), (Vec::new(), true));
        assert_eq!(gathered.calls(), 3);
        assert_eq!(gathered.ids().list.len(), BATCH);
    }
}
