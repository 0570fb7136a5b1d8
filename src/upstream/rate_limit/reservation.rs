//! A reservation: a place in the queue of a token's requests.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::futures::OwnedNotified;
use tokio::time::{Instant, sleep_until};

use super::permit::RatePermit;
use super::{Denied, RateLimiter, check_deadline};
use crate::token_key::TokenKey;
use crate::upstream::budget_store::Turn;

/// How old a turn, and the knowledge of a throttle, may be when a request starts.
const MAX_UNCHECKED: Duration = Duration::from_secs(1);

/// A place in the queue of a token's requests. Those behind it move up when it
/// is dropped.
#[derive(Debug)]
#[must_use]
pub(crate) struct Reservation {
    pub(super) limiter: RateLimiter,
    pub(super) token: TokenKey,
    pub(super) number: u64,
    /// When it was reserved.
    pub(super) reserved: Instant,
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
        let mut checked = self.reserved;
        loop {
            let is_outdated = self.limiter.store.is_some() && checked.elapsed() > MAX_UNCHECKED;
            let next = {
                let mut windows = self.limiter.windows.lock();
                // A window with a queue is never forgotten, so this finds it.
                let window = windows.tokens.entry(self.token).or_default();
                let now = Instant::now();
                window.expire(now);
                let position = window.position(self.number);
                let start = window.earliest_start(position, now, limit);
                if start <= now && !is_outdated {
                    window.queue.remove(position);
                    let turn = window.turns.remove(position);
                    self.is_queued = false;
                    let (limiter, token) = (&self.limiter, self.token);
                    let permit = RatePermit::new(limiter, token, self.number, window, turn, now);
                    return Ok(permit);
                }
                check_deadline(window, position, start, deadline(), now)?;
                let refused = window.refused(position, start, now);
                // Registered under the lock, so that no change is missed.
                let changed = Arc::clone(&window.changed).notified_owned();
                let turn = window.turns.get(position).copied();
                if start > now {
                    Next::Wait(start, refused, changed)
                } else {
                    Next::Confirm(turn)
                }
            };
            match (next, &self.limiter.store) {
                (Next::Wait(start, refused, changed), _) => {
                    on_wait(start, refused);
                    tokio::select! {
                        () = sleep_until(start) => {}
                        () = changed => {}
                    }
                }
                // Meanwhile requests before it may have started late, another replica
                // may have throttled the token, or the store may have returned.
                (Next::Confirm(Some(turn)), Some(store)) => {
                    let confirmed = store.confirm(self.token, limit, turn).await;
                    if let Some((confirmed, throttle)) = confirmed {
                        self.limiter
                            .confirm(self.token, turn.stored, confirmed, throttle);
                    }
                    checked = Instant::now();
                }
                (Next::Confirm(_), _) => checked = Instant::now(),
            }
        }
    }
}

/// What a reservation does next.
enum Next {
    /// Waits until this instant, at most, for a change of the queue; and how long ago
    /// the vendor refused a request, if that is why.
    Wait(Instant, Option<Duration>, OwnedNotified),
    /// Asks the store whether its turn still holds.
    Confirm(Option<Turn>),
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
            if let Some(store) = &self.limiter.store {
                store.give_back(self.token, window.unused_turns());
            }
        }
    }
}
