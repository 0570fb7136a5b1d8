//! A request that may start, and what becomes of it until it leaves.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use tokio::sync::Notify;
use tokio::time::Instant;

use super::RateLimiter;
use super::window::TokenWindow;
use crate::token_key::TokenKey;

/// Which turn a request had.
#[derive(Debug, Clone, Copy, Default)]
pub struct Turn {
    /// Its place in the order of the token's requests.
    pub(super) number: u64,
    /// How often the token had been parked before.
    pub(super) parks: u64,
}

/// A request that may start. Where it is dropped before it leaves, it has cost
/// nothing.
#[derive(Debug)]
#[must_use]
pub struct Permit {
    quota: RateLimiter,
    token: TokenKey,
    turn: Turn,
    /// Told when the token is parked; none where there is no limit.
    changed: Option<Arc<Notify>>,
    /// The share of its requests of this minute that the token has left then;
    /// none where there is no limit.
    pub left: Option<f64>,
    has_left: AtomicBool,
}

impl Permit {
    /// A start of which there may be any number.
    pub(super) fn unlimited(quota: &RateLimiter, token: TokenKey) -> Self {
        Self {
            quota: quota.clone(),
            token,
            turn: Turn::default(),
            changed: None,
            left: None,
            has_left: AtomicBool::new(true),
        }
    }

    /// The start of the request with this number, which has its turn now.
    pub(super) fn new(
        quota: &RateLimiter,
        token: TokenKey,
        number: u64,
        pace: &mut TokenWindow,
        now: Instant,
    ) -> Self {
        pace.starting += 1;
        if let Some(throttle) = &mut pace.throttle {
            throttle.start(now);
        }
        let taken = pace.left.len() + pace.starting;
        #[expect(clippy::cast_precision_loss, reason = "both are small")]
        let left = quota.limit.saturating_sub(taken) as f64 / quota.limit as f64;
        Self {
            quota: quota.clone(),
            token,
            turn: Turn {
                number,
                parks: pace.parks,
            },
            changed: Some(Arc::clone(&pace.changed)),
            left: Some(left),
            has_left: AtomicBool::new(false),
        }
    }

    /// Which turn it is.
    #[must_use]
    pub fn turn(&self) -> Turn {
        self.turn
    }

    /// What tells, while the request is under way, that it should not leave.
    pub fn recall(&self) -> Recall {
        Recall {
            quota: self.quota.clone(),
            token: self.token,
            parks: self.turn.parks,
            changed: self.changed.clone(),
        }
    }

    /// Counts the request from now on, when it leaves. It may have waited for
    /// a connection, and the vendor counts it when it arrives.
    pub fn leaves(&self) {
        if self.has_left.swap(true, Relaxed) {
            return;
        }
        if let Some(pace) = self.quota.lock().paces.get_mut(&self.token) {
            pace.starting -= 1;
            // Under the lock, so that they are in order.
            pace.left.push_back(Instant::now());
            if self.turn.parks != pace.parks {
                // Whoever recalls it at this moment should know.
                pace.changed.notify_waiters();
            }
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if *self.has_left.get_mut() {
            return;
        }
        if let Some(pace) = self.quota.lock().paces.get_mut(&self.token) {
            pace.starting -= 1;
            pace.changed.notify_waiters();
        }
    }
}

/// Tells that the token of a request was parked since the request had its turn.
#[derive(Debug)]
pub struct Recall {
    quota: RateLimiter,
    token: TokenKey,
    parks: u64,
    changed: Option<Arc<Notify>>,
}

impl Recall {
    /// Waits until `holds` and the token has been parked since.
    pub async fn parked(&self, holds: impl Fn() -> bool) {
        self.until(|| {
            let tokens = self.quota.lock();
            let pace = tokens.paces.get(&self.token);
            pace.is_some_and(|pace| pace.parks != self.parks) && holds()
        })
        .await;
    }

    /// Waits until `holds`, which is asked whenever anything changes for the token.
    pub async fn until(&self, holds: impl Fn() -> bool) {
        let Some(changed) = &self.changed else {
            return pending().await;
        };
        loop {
            // From now on it hears of changes, also before it is polled.
            let change = changed.notified();
            if holds() {
                return;
            }
            change.await;
        }
    }
}
