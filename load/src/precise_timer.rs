//! A timer that fires about 0.1 ms late. The runtime's fires 1 to 2 ms late,
//! which would show in the latencies that the bench compares.

use std::collections::BTreeMap;
use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Instant;

use tokio::sync::oneshot;

/// A handle of the timer's thread.
#[derive(Debug, Clone)]
pub struct PreciseTimer(Sender<Alarm>);

/// A moment, and the waiter that is woken then.
type Alarm = (Instant, oneshot::Sender<()>);

impl PreciseTimer {
    /// Starts the thread. It ends when the last handle is dropped.
    ///
    /// # Errors
    ///
    /// If the thread cannot be started.
    pub fn start() -> io::Result<Self> {
        let (sender, alarms) = channel();
        let thread = thread::Builder::new().name("timer".to_owned());
        thread.spawn(move || run(&alarms))?;
        Ok(Self(sender))
    }

    /// Waits until `moment`.
    pub async fn wait_until(&self, moment: Instant) {
        let (wake, woken) = oneshot::channel();
        if self.0.send((moment, wake)).is_ok() {
            let _ = woken.await;
        }
    }
}

fn run(new_alarms: &Receiver<Alarm>) {
    // Numbered, because several alarms may have the same moment.
    let mut alarms = BTreeMap::<(Instant, u64), oneshot::Sender<()>>::new();
    let mut number = 0;
    loop {
        let now = Instant::now();
        while let Some(alarm) = alarms.first_entry().filter(|alarm| alarm.key().0 <= now) {
            // The waiter may be gone.
            let _ = alarm.remove().send(());
        }
        let alarm = match alarms.first_key_value() {
            Some(((next, _), _)) => new_alarms.recv_timeout(next.duration_since(now)),
            None => new_alarms.recv().map_err(RecvTimeoutError::from),
        };
        match alarm {
            Ok((moment, wake)) => {
                alarms.insert((moment, number), wake);
                number += 1;
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn a_waiter_wakes_at_its_time_in_any_order_of_alarms() {
        let timer = PreciseTimer::start().unwrap();
        let start = Instant::now();
        let in_an_hour = timer.wait_until(start + Duration::from_hours(1));
        timeout(Duration::ZERO, in_an_hour).await.unwrap_err();
        let wait = async |milliseconds| {
            let moment = start + Duration::from_millis(milliseconds);
            timer.wait_until(moment).await;
            assert!(Instant::now() >= moment, "woken too early");
        };
        tokio::join!(wait(5), wait(0), wait(3), wait(0));
    }

    #[tokio::test]
    async fn a_dropped_waiter_does_not_affect_others() {
        let timer = PreciseTimer::start().unwrap();
        let moment = Instant::now() + Duration::from_millis(5);
        let dropped = timeout(Duration::ZERO, timer.wait_until(moment));
        dropped.await.expect_err("woken too early");
        timer.wait_until(moment).await;
        timer.wait_until(moment + Duration::from_millis(5)).await;
    }
}
