//! A clock that wakes within some 0.1 ms, where the runtime's has milliseconds
//! and is up to two of them late.

use std::collections::BTreeMap;
use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Instant;

use tokio::sync::oneshot;

/// Wakes whoever asks. Clones are the same one.
#[derive(Debug, Clone)]
pub struct Clock(Sender<Alarm>);

/// When somebody wants to be woken.
type Alarm = (Instant, oneshot::Sender<()>);

impl Clock {
    /// A clock with a thread of its own, which ends with the last of its clones.
    ///
    /// # Errors
    ///
    /// If there can be no thread.
    pub fn start() -> io::Result<Self> {
        let (ask, asked) = channel();
        let thread = thread::Builder::new().name("clock".to_owned());
        thread.spawn(move || run(&asked))?;
        Ok(Self(ask))
    }

    /// Waits until this moment.
    pub async fn wait_until(&self, moment: Instant) {
        let (wake, woken) = oneshot::channel();
        if self.0.send((moment, wake)).is_ok() {
            let _ = woken.await;
        }
    }
}

fn run(asked: &Receiver<Alarm>) {
    // Several may be of the same moment.
    let mut alarms = BTreeMap::<(Instant, u64), oneshot::Sender<()>>::new();
    let mut number = 0;
    loop {
        let now = Instant::now();
        while let Some(alarm) = alarms.first_entry().filter(|alarm| alarm.key().0 <= now) {
            // Who asked may wait no more.
            let _ = alarm.remove().send(());
        }
        let asked = match alarms.first_key_value() {
            Some(((next, _), _)) => asked.recv_timeout(next.duration_since(now)),
            None => asked.recv().map_err(RecvTimeoutError::from),
        };
        match asked {
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
    use std::pin::pin;
    use std::time::Duration;

    use futures_util::FutureExt;
    use futures_util::future::join_all;

    use super::*;

    #[tokio::test]
    async fn each_is_woken_at_its_moment_and_not_after_those_that_asked_before() {
        let clock = Clock::start().unwrap();
        let in_an_hour = pin!(clock.wait_until(Instant::now() + Duration::from_hours(1)));
        assert_eq!(in_an_hour.now_or_never(), None);
        let begun = Instant::now();
        let waits = [5, 0, 3, 0].map(|after| {
            let (clock, moment) = (clock.clone(), begun + Duration::from_millis(after));
            async move {
                clock.wait_until(moment).await;
                assert!(Instant::now() >= moment, "woken too early");
            }
        });
        join_all(waits).await;
    }

    #[tokio::test]
    async fn who_waits_no_more_harms_nobody() {
        let clock = Clock::start().unwrap();
        let moment = Instant::now() + Duration::from_millis(5);
        let given_up = clock.wait_until(moment).now_or_never();
        assert_eq!(given_up, None, "it was woken too early");
        clock.wait_until(moment).await;
        clock.wait_until(moment + Duration::from_millis(5)).await;
    }
}
