//! A clock that wakes whoever waits within some 0.05 ms, where the runtime's
//! own rounds up to the next millisecond.

use std::io;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

/// Wakes all after the same time, and so in the order in which they came.
#[derive(Debug)]
pub(super) struct Clock {
    time: Duration,
    waiting: mpsc::Sender<(Instant, oneshot::Sender<()>)>,
}

impl Clock {
    /// A clock of this time, with a thread of its own.
    pub(super) fn of(time: Duration) -> io::Result<Self> {
        let (waiting, due) = mpsc::channel::<(Instant, oneshot::Sender<()>)>();
        let thread = thread::Builder::new().name("clock".to_owned());
        thread.spawn(move || {
            for (moment, waiting) in due {
                thread::sleep(moment.saturating_duration_since(Instant::now()));
                // Who waited may be gone.
                let _ = waiting.send(());
            }
        })?;
        Ok(Self { time, waiting })
    }

    /// Waits for the time of the clock.
    pub(super) async fn wait(&self) {
        if self.time.is_zero() {
            return;
        }
        let (wake, woken) = oneshot::channel();
        let _ = self.waiting.send((Instant::now() + self.time, wake));
        let _ = woken.await;
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Waker};

    use tokio::join;

    use super::*;

    #[tokio::test]
    async fn each_waits_for_its_own_time() {
        let time = Duration::from_millis(30);
        let clock = Clock::of(time).unwrap();
        let waited = async || {
            let begun = Instant::now();
            clock.wait().await;
            begun.elapsed()
        };
        let later = async {
            thread::sleep(Duration::from_millis(10));
            waited().await
        };
        let (first, second) = join!(waited(), later);
        assert!(first >= time && second >= time, "{first:?}, {second:?}");
    }

    #[tokio::test]
    async fn nobody_waits_for_no_time() {
        let clock = Clock::of(Duration::ZERO).unwrap();
        let wait = pin!(clock.wait());
        let context = &mut Context::from_waker(Waker::noop());
        assert!(wait.poll(context).is_ready());
    }
}
