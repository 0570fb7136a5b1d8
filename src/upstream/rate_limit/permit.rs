//! The permission to send one request, and its revocation.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::RateLimiter;
use super::window::TokenWindow;
use crate::token_key::TokenKey;
use crate::upstream::budget_store::Turn;

/// The place of a permitted request among those of its token.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Ticket {
    /// Its number in the token's queue.
    pub(super) number: u64,
    /// The [`TokenWindow::epoch`] when it was permitted.
    pub(super) epoch: u64,
}

/// The permission to send one request. The request counts against the limit once
/// the permit is committed; a permit that is dropped before that costs nothing.
#[derive(Debug)]
#[must_use]
pub(crate) struct RatePermit {
    revocation: Revocation,
    /// The share of the token's requests of this minute that remains after
    /// this one; `None` where there is no limit.
    pub(crate) remaining: Option<f64>,
    /// The turn of the request, with a budget store.
    turn: Option<Turn>,
    is_committed: AtomicBool,
}

/// How much later than its turn a request may be sent without a correction in the
/// store: the window is half a second longer than the vendor's.
const MAX_DELAY: Duration = Duration::from_millis(150);

impl RatePermit {
    /// A permit of a limiter without a limit.
    pub(super) fn unlimited(limiter: &RateLimiter, token: TokenKey) -> Self {
        Self {
            revocation: Revocation {
                limiter: limiter.clone(),
                token,
                ticket: Ticket::default(),
                changed: None,
            },
            remaining: None,
            turn: None,
            is_committed: AtomicBool::new(true),
        }
    }

    /// The permit of the request with this number, which may start now.
    pub(super) fn new(
        limiter: &RateLimiter,
        token: TokenKey,
        number: u64,
        window: &mut TokenWindow,
        turn: Option<Turn>,
        now: Instant,
    ) -> Self {
        window.open_permits += 1;
        if let Some(throttle) = &mut window.throttle {
            throttle.record_start(now);
        }
        let used = window.sent.len() + window.open_permits;
        #[expect(clippy::cast_precision_loss, reason = "both are small")]
        let remaining = limiter.limit.saturating_sub(used) as f64 / limiter.limit as f64;
        Self {
            revocation: Revocation {
                limiter: limiter.clone(),
                token,
                ticket: Ticket {
                    number,
                    epoch: window.epoch,
                },
                changed: Some(Arc::clone(&window.changed)),
            },
            remaining: Some(remaining),
            turn,
            is_committed: AtomicBool::new(false),
        }
    }

    /// The place of the request among those of its token.
    pub(crate) fn ticket(&self) -> Ticket {
        self.revocation.ticket
    }

    /// A handle that reports the revocation of the permit. It stays valid when the
    /// permit is moved into the request.
    pub(crate) fn revocation(&self) -> Revocation {
        self.revocation.clone()
    }

    /// Counts the request from now on: a connection begins to send it. It may have
    /// waited for that connection, and the vendor counts it when it arrives.
    pub(crate) fn commit(&self) {
        if self.is_committed.swap(true, Relaxed) {
            return;
        }
        let Revocation {
            limiter,
            token,
            ticket,
            ..
        } = &self.revocation;
        if let Some(window) = limiter.windows.lock().tokens.get_mut(token) {
            window.open_permits -= 1;
            // The time is taken under the lock, so that `sent` is in order.
            let now = Instant::now();
            window.sent.push_back(now);
            if let (Some(store), Some(turn)) = (&limiter.store, self.turn) {
                let is_late = now.saturating_duration_since(turn.counted) > MAX_DELAY;
                let stored = match turn.stored {
                    Some(stored) if !is_late => Some(stored),
                    // Told when the store returns, if it is away.
                    stored => store.now_after(window.last_start).inspect(|&start| {
                        window.last_start = Some(start);
                        store.count(*token, start, stored);
                    }),
                };
                window.stored.push_back(stored);
            }
            if ticket.epoch != window.epoch {
                // Wakes `Revocation::wait_until`: the request is settled.
                window.changed.notify_waiters();
            }
        }
    }
}

impl Drop for RatePermit {
    fn drop(&mut self) {
        if *self.is_committed.get_mut() {
            return;
        }
        let Revocation { limiter, token, .. } = &self.revocation;
        if let Some(window) = limiter.windows.lock().tokens.get_mut(token) {
            window.open_permits -= 1;
            // The next in the queue uses its turn, and gives back its own.
            if let (Some(store), Some(turn)) = (&limiter.store, self.turn) {
                window.turns.push_front(turn);
                store.give_back(*token, window.unused_turns());
            }
            window.changed.notify_waiters();
        }
    }
}

/// Reports that the token of a permit was throttled after the permit was given.
#[derive(Debug, Clone)]
pub(crate) struct Revocation {
    limiter: RateLimiter,
    token: TokenKey,
    ticket: Ticket,
    /// Notified when the token's window changes; `None` where there is no limit.
    changed: Option<Arc<Notify>>,
}

impl Revocation {
    /// Waits until the token has been throttled and `condition` holds.
    pub(crate) async fn revoked(&self, condition: impl Fn() -> bool) {
        self.wait_until(|| {
            let windows = self.limiter.windows.lock();
            let window = windows.tokens.get(&self.token);
            window.is_some_and(|window| window.epoch != self.ticket.epoch) && condition()
        })
        .await;
    }

    /// Waits until `condition` holds; checks it when the token's window changes.
    pub(crate) async fn wait_until(&self, condition: impl Fn() -> bool) {
        let Some(changed) = &self.changed else {
            return pending().await;
        };
        loop {
            // Registered before the check, so that no change is missed.
            let change = changed.notified();
            if condition() {
                return;
            }
            change.await;
        }
    }
}
