//! Closed-loop and open-loop load.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::Instant;

use super::Stats;

/// A source of calls.
pub trait Calls: Send + Sync + 'static {
    /// Makes one call that was due at `due`, and counts its outcome.
    fn call(&self, due: Instant) -> impl Future<Output = ()> + Send;

    /// The statistics of its calls.
    fn stats(&self) -> &Stats;
}

/// Keeps `count` calls in flight for `time`, and waits for the last of them.
pub async fn closed_loop<C: Calls>(caller: &Arc<C>, count: usize, time: Duration) {
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
    caller.stats().set_duration(time);
}

/// Makes `at_once` times `each` calls, one after the other for each of the `at_once`.
pub async fn counted_loop<C: Calls>(caller: &Arc<C>, at_once: usize, each: usize) {
    let begun = Instant::now();
    let mut calls = JoinSet::new();
    for _ in 0..at_once {
        let caller = Arc::clone(caller);
        calls.spawn(async move {
            for _ in 0..each {
                caller.call(Instant::now()).await;
            }
        });
    }
    calls.join_all().await;
    caller.stats().set_duration(begun.elapsed());
}

/// Starts `rate` calls per second for `time`, however long they take, and waits
/// for the last of them. A latency counts from when the call was due, so that a
/// gateway that delays the caller does not look faster (coordinated omission).
pub async fn open_loop<C: Calls>(caller: &Arc<C>, rate: f64, time: Duration) {
    let runtime = Handle::current();
    let calling = Arc::clone(caller);
    // A thread wakes within about 0.05 ms, the runtime's timer within 1 ms.
    let begun = spawn_blocking(move || begin(&calling, rate, time, &runtime)).await;
    if let Ok(calls) = begun {
        calls.join_all().await;
    }
    caller.stats().set_duration(time);
}

fn begin<C: Calls>(caller: &Arc<C>, rate: f64, time: Duration, on: &Handle) -> JoinSet<()> {
    let begun = Instant::now();
    let mut calls = JoinSet::new();
    for number in 0_u32.. {
        let after = Duration::from_secs_f64(f64::from(number) / rate);
        if after >= time {
            break;
        }
        let due = begun + after;
        thread::sleep(due.saturating_duration_since(Instant::now()));
        let caller = Arc::clone(caller);
        calls.spawn_on(async move { caller.call(due).await }, on);
        while calls.try_join_next().is_some() {}
    }
    calls
}
