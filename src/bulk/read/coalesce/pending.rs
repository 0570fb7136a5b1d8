//! A batch that calls can still join: its ids, and when it is sent.

use std::collections::VecDeque;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use crate::bulk::BATCH_SIZE;
use crate::bulk::id_key::{IdKey, IdSet};

/// For how many windows a batch stays open at most. Each call that joins
/// restarts the window, because clients send related reads one after another.
const MAX_WINDOWS: u32 = 10;

/// How much earlier than the window's end the timer is set. The runtime's timer
/// fires 1.1 ms late (p50; p99 1.7 ms, idle machine): it rounds up to its tick
/// of 1 ms, and again to the millisecond of `epoll_wait`.
const WAKE_OVERHEAD: Duration = Duration::from_millis(1);

/// The ids of an open batch.
#[derive(Debug, Default)]
pub(super) struct PendingBatch {
    pending: Mutex<PendingIds>,
    is_full: Notify,
}

#[derive(Debug, Default)]
pub(super) struct PendingIds {
    pub ids: Vec<String>,
    /// The keys of these ids.
    pub keys: IdSet,
    /// How many calls have joined.
    pub calls: usize,
    last_join: Option<Instant>,
}

impl PendingBatch {
    /// Waits until no call has joined for `window` (a debounce), at most for
    /// [`MAX_WINDOWS`] windows in total.
    pub(super) async fn quiet_for(&self, window: Duration) {
        let latest = Instant::now() + window * MAX_WINDOWS;
        let window = (window / 2).max(window.saturating_sub(WAKE_OVERHEAD));
        loop {
            let last_join = self.pending.lock().last_join.unwrap_or(latest);
            let end = (last_join + window).min(latest);
            if end <= Instant::now() {
                return;
            }
            sleep_until(end).await;
        }
    }

    /// Waits until the batch is full.
    pub(super) async fn full(&self) {
        self.is_full.notified().await;
    }

    /// Takes the ids of all calls.
    pub(super) fn take(&self) -> PendingIds {
        std::mem::take(&mut *self.pending.lock())
    }

    /// Moves ids of a call into the batch until it is full. Returns those of the
    /// call's ids that the batch contains, and whether it is full.
    pub(super) fn add(&self, ids: &mut VecDeque<String>) -> (Vec<String>, bool) {
        let mut pending = self.pending.lock();
        let mut own = Vec::new();
        while let Some(id) = ids.front() {
            let key = IdKey::of(id);
            if !pending.keys.contains(&key) {
                if pending.ids.len() >= BATCH_SIZE {
                    break;
                }
                pending.ids.push(id.clone());
                pending.keys.insert(key);
            }
            own.extend(ids.pop_front());
        }
        if !own.is_empty() {
            pending.calls += 1;
            pending.last_join = Some(Instant::now());
        }
        let is_full = pending.ids.len() >= BATCH_SIZE;
        if is_full {
            self.is_full.notify_one();
        }
        (own, is_full)
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::{pause, sleep};

    use super::*;

    const WINDOW: Duration = Duration::from_millis(100);

    /// How many milliseconds a batch stays open if `calls` join it, one per
    /// `interval`.
    async fn open_for(calls: usize, interval: Duration) -> u128 {
        let (batch, start) = (PendingBatch::default(), Instant::now());
        let join = |number: usize| batch.add(&mut VecDeque::from([number.to_string()]));
        join(0);
        let joining = async {
            for number in 1..calls {
                sleep(interval).await;
                join(number);
            }
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = joining => {}
            () = batch.quiet_for(WINDOW) => {}
        }
        start.elapsed().as_millis()
    }

    #[tokio::test]
    async fn a_batch_stays_open_while_calls_join_up_to_a_limit() {
        pause();
        for (calls, interval, expected) in [
            (1, 1, 100),
            (2, 95, 195),
            (2, 105, 100),
            (4, 50, 250),
            (40, 50, 1000),
        ] {
            let open = open_for(calls, Duration::from_millis(interval)).await;
            // Timers are set 1 ms early, and each may fire up to 2 ms late.
            let is_expected = (expected - 1..expected + 10).contains(&open);
            assert!(
                is_expected,
                "{open} ms for {calls} calls, {interval} ms apart"
            );
        }
    }

    #[test]
    fn ids_are_added_once_until_the_batch_is_full() {
        let batch = PendingBatch::default();
        let ids = |range: std::ops::Range<usize>| -> VecDeque<String> {
            range.map(|number| format!("Id-{number}")).collect()
        };
        let mut first = ids(0..30);
        assert_eq!(batch.add(&mut first), (Vec::from(ids(0..30)), false));
        let mut same = VecDeque::from(["ID-3".to_owned()]);
        assert_eq!(batch.add(&mut same), (vec!["ID-3".to_owned()], false));
        let mut more = ids(25..60);
        assert_eq!(batch.add(&mut more), (Vec::from(ids(25..50)), true));
        assert_eq!(more, ids(50..60));
        assert_eq!(batch.add(&mut more), (Vec::new(), true));
        let pending = batch.take();
        assert_eq!((pending.calls, pending.ids.len()), (3, BATCH_SIZE));
    }
}
