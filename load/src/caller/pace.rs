//! When calls are made: so many at once, or so many a second.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::Instant;

use super::Tally;

/// Who makes calls.
pub trait Calls: Send + Sync + 'static {
    /// Makes one call that was due at `due`, and counts how it ended.
    fn call(&self, due: Instant) -> impl Future<Output = ()> + Send;

    /// What it comes to.
    fn tally(&self) -> &Tally;
}

/// Keeps so many calls in flight for a time, and waits for the last of them.
pub async fn closed<C: Calls>(caller: &Arc<C>, count: usize, time: Duration) {
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
    caller.tally().over(time);
}

/// Begins so many calls a second for a time, however long they take, and waits
/// for the last of them. The time of a call counts from when it was due, so
/// that a gateway that holds up the caller does not look faster.
pub async fn open<C: Calls>(caller: &Arc<C>, rate: f64, time: Duration) {
    let runtime = Handle::current();
    let calling = Arc::clone(caller);
    // A thread of its own wakes within some 0.05 ms, the runtime's clock within 1 ms.
    let begun = spawn_blocking(move || begin(&calling, rate, time, &runtime)).await;
    if let Ok(calls) = begun {
        calls.join_all().await;
    }
    caller.tally().over(time);
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
