//! A reservation: a place in the queue of a token's requests.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::permit::RatePermit;
use super::{Denied, RateLimiter, check_deadline};
use crate::token_key::TokenKey;

/// A place in the queue of a token's requests. Those behind it move up when it
/// is dropped.
#[derive(Debug)]
#[must_use]
pub(crate) struct Reservation {
    pub(super) limiter: RateLimiter,
    pub(super) token: TokenKey,
    pub(super) number: u64,
    /// Whether the number is in the queue.
    pub(super) is_queued: bool,
}

impl Reservation {
    /// Waits until the request may start. Fails as soon as it is known that it
    /// cannot start before `deadline`. Calls `on_wait` with the expected start
    /// whenever that changes, and with how long ago the vendor refused a request of
    /// the token, if that is why it waits.
    pub(crate) async fn wait(
        mut self,
        deadline: impl Fn() -> Instant,
        on_wait: impl Fn(Instant, Option<Duration>),
    ) -> Result<RatePermit, Denied> {
        let limit = self.limiter.limit;
        if limit == 0 {
            return Ok(RatePermit::unlimited(&self.limiter, self.token));
        }
        loop {
            let (start, refused, changed) = {
                let mut windows = self.limiter.windows.lock();
                // A window with a queue is never forgotten, so this finds it.
                let window = windows.tokens.entry(self.token).or_default();
                let now = Instant::now();
                window.expire(now);
                let position = window.position(self.number);
                let start = window.earliest_start(position, now, limit);
                if start <= now {
                    window.queue.remove(position);
                    self.is_queued = false;
                    let permit =
                        RatePermit::new(&self.limiter, self.token, self.number, window, now);
                    return Ok(permit);
                }
                check_deadline(window, position, start, deadline(), now)?;
                let refused = window.refused(position, start, now);
                // Registered under the lock, so that no change is missed.
                let changed = Arc::clone(&window.changed).notified_owned();
                (start, refused, changed)
            };
            on_wait(start, refused);
            tokio::select! {
                () = sleep_until(start) => {}
                () = changed => {}
            }
        }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if !self.is_queued {
            return;
        }
        if let Some(window) = self.limiter.windows.lock().tokens.get_mut(&self.token)
            && let Ok(position) = window.queue.binary_search(&self.number)
        {
            window.queue.remove(position);
            window.changed.notify_waiters();
        }
    }
}
