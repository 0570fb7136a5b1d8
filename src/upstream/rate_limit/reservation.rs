//! A place in the queue of a token's requests.

use std::sync::Arc;

use tokio::sync::futures::OwnedNotified;
use tokio::time::{Instant, sleep_until};

use super::permit::Permit;
use super::{Denied, RateLimiter, in_time};
use crate::token_key::TokenKey;

/// A place in the order of a token's requests, given back when it is dropped.
#[derive(Debug)]
#[must_use]
pub struct Reservation {
    pub(super) quota: RateLimiter,
    pub(super) token: TokenKey,
    pub(super) number: u64,
    pub(super) is_used: bool,
}

/// What comes of asking whether a turn has come.
enum Taken {
    Permit(Permit),
    /// It comes then, unless something changes.
    Not(Instant, OwnedNotified),
}

impl Reservation {
    /// Waits until the request may start, and tells `waits` for how long.
    ///
    /// # Errors
    ///
    /// As soon as it is known that its turn comes after what `end` gives.
    pub async fn turn(
        mut self,
        end: impl Fn() -> Instant,
        waits: impl Fn(Instant),
    ) -> Result<Permit, Denied> {
        loop {
            match self.take(end())? {
                Taken::Permit(start) => return Ok(start),
                Taken::Not(turn, changed) => {
                    waits(turn);
                    tokio::select! {
                        () = sleep_until(turn) => {}
                        () = changed => {}
                    }
                }
            }
        }
    }

    fn take(&mut self, end: Instant) -> Result<Taken, Denied> {
        let (limit, now) = (self.quota.limit, Instant::now());
        if limit == 0 {
            return Ok(Taken::Permit(Permit::unlimited(&self.quota, self.token)));
        }
        let mut tokens = self.quota.lock();
        // What is waited for is not forgotten.
        let pace = tokens.paces.entry(self.token).or_default();
        pace.forget_before(now);
        let place = pace.place(self.number);
        let turn = pace.turn(place, now, limit);
        if turn > now {
            in_time(turn, end, now)?;
            // From now on it hears of changes, also before it is polled.
            let changed = Arc::clone(&pace.changed).notified_owned();
            return Ok(Taken::Not(turn, changed));
        }
        pace.queue.remove(place);
        let start = Permit::new(&self.quota, self.token, self.number, pace, now);
        drop(tokens);
        self.is_used = true;
        Ok(Taken::Permit(start))
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if self.is_used {
            return;
        }
        if let Some(pace) = self.quota.lock().paces.get_mut(&self.token)
            && let Ok(place) = pace.queue.binary_search(&self.number)
        {
            pace.queue.remove(place);
            // Those behind it move up.
            pace.changed.notify_waiters();
        }
    }
}
