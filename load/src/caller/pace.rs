//! When calls are made: so many at once, or so many a second.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, interval};

use super::Caller;

/// How often calls are begun that are due.
const TICK: Duration = Duration::from_millis(1);

/// Keeps so many calls in flight for a time, and waits for the last of them.
pub async fn closed(caller: &Arc<Caller>, count: usize, time: Duration) {
    let end = Instant::now() + time;
    let mut calls = JoinSet::new();
    for _ in 0..count {
        let caller = Arc::clone(caller);
        calls.spawn(async move {
            while Instant::now() < end {
                caller.call(Instant::now()).await;
            }
        });
    }
    calls.join_all().await;
    caller.tally.over(time);
}

/// Begins so many calls a second for a time, however long they take, and waits
/// for the last of them. The time of a call counts from when it was due, so
/// that a gateway that holds up the caller does not look faster.
pub async fn open(caller: &Arc<Caller>, rate: f64, time: Duration) {
    let begun = Instant::now();
    let mut calls = JoinSet::new();
    let mut ticks = interval(TICK);
    let mut number = 0_u32;
    while begun.elapsed() < time {
        ticks.tick().await;
        loop {
            let due = begun + Duration::from_secs_f64(f64::from(number) / rate);
            if due > Instant::now() {
                break;
            }
            number += 1;
            let caller = Arc::clone(caller);
            calls.spawn(async move { caller.call(due).await });
        }
        while calls.try_join_next().is_some() {}
    }
    calls.join_all().await;
    caller.tally.over(time);
}
