//! How often a token may call the vendor: so many times in any minute.
//!
//! The vendor allows 300 requests a minute for each token, and tells nothing
//! until it refuses one with 429 (developer.genesys.cloud, platform API limits).
//! A sliding window is safe whatever window it keeps.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::credentials::TokenKey;

/// The vendor's minute, and how much longer one request may be on its way than another.
const WINDOW: Duration = Duration::from_millis(60_500);

/// How many tokens are remembered at most. One that was idle for a minute is forgotten.
const MAX_TOKENS: usize = 65_536;

/// At how many tokens the idle ones are looked for first.
const FIRST_SWEEP: usize = 1024;

/// How many requests each token may start. Clones share the count.
#[derive(Debug, Clone)]
pub struct Quota {
    limit: usize,
    tokens: Arc<Mutex<Tokens>>,
}

/// Why a request is not started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denied {
    /// Its turn comes after its deadline: in so long.
    TooLate(Duration),
    /// More tokens are in use than can be counted.
    TooManyTokens,
}

#[derive(Debug, Default)]
struct Tokens {
    paces: HashMap<TokenKey, Pace>,
    /// At how many tokens the idle ones are looked for.
    sweep_at: usize,
}

/// What is known of a token.
#[derive(Debug, Clone, Default)]
struct Pace {
    /// When the requests of the last minute began, and when those that wait will.
    starts: VecDeque<Instant>,
    /// Until when the vendor refuses the token.
    parked_until: Option<Instant>,
    /// Whether the vendor has taken it for a token: any text may be one.
    is_vouched: bool,
}

impl Quota {
    /// So many starts in any minute for each token; 0 sets no limit.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            tokens: Arc::default(),
        }
    }

    /// Waits until a request with this token may start.
    ///
    /// A request that is given up while it waits gives its turn back.
    ///
    /// # Errors
    ///
    /// At once where its turn comes after `end`: it costs nothing then.
    pub async fn admit(&self, token: TokenKey, end: Instant) -> Result<Start, Denied> {
        let start = |at, left| Start {
            quota: self.clone(),
            token,
            at,
            left,
        };
        if self.limit == 0 {
            return Ok(start(Instant::now(), None));
        }
        loop {
            let turn = self.reserve(token, end)?;
            // A timer would take until its next tick, also for a turn that has come.
            if turn.at > Instant::now() {
                sleep_until(turn.at).await;
            }
            let (at, left) = (turn.at, turn.left);
            if turn.take() {
                return Ok(start(at, Some(left)));
            }
            // The turn is later now.
        }
    }

    /// Whether so many requests with this token could all start before `end`.
    ///
    /// # Errors
    ///
    /// When the last one's turn comes after `end`.
    pub fn check(&self, token: TokenKey, count: usize, end: Instant) -> Result<(), Denied> {
        if self.limit == 0 || count == 0 {
            return Ok(());
        }
        let now = Instant::now();
        let mut pace = self.lock().paces.get(&token).cloned().unwrap_or_default();
        let mut last = now;
        for _ in 0..count {
            last = pace.turn(now, self.limit);
            pace.starts.push_back(last);
        }
        in_time(last, end, now)
    }

    /// Lets no request with this token start for so long: the vendor said so.
    pub fn park(&self, token: TokenKey, delay: Duration) {
        if let Some(pace) = self.lock().paces.get_mut(&token) {
            let until = Instant::now() + delay;
            pace.parked_until = pace.parked_until.max(Some(until));
        }
    }

    /// Takes from an answer whether the vendor knows the token. One that it
    /// does not know is counted too, but makes place where there is no other.
    pub fn vouch(&self, token: TokenKey, is_known: bool) {
        if let Some(pace) = self.lock().paces.get_mut(&token) {
            pace.is_vouched = is_known;
        }
    }

    fn reserve(&self, token: TokenKey, end: Instant) -> Result<Turn<'_>, Denied> {
        let now = Instant::now();
        let mut tokens = self.lock();
        if !tokens.paces.contains_key(&token) && !tokens.has_room(now) {
            return Err(Denied::TooManyTokens);
        }
        let pace = tokens.paces.entry(token).or_default();
        pace.forget_before(now);
        let at = pace.turn(now, self.limit);
        in_time(at, end, now)?;
        pace.starts.push_back(at);
        let left = self.limit.saturating_sub(pace.starts.len());
        #[expect(clippy::cast_precision_loss, reason = "neither is that large")]
        let left = left as f64 / self.limit as f64;
        Ok(Turn {
            quota: self,
            token,
            at,
            left,
            taken: false,
        })
    }

    /// Counts a start at `to` that was counted at `from`.
    fn put_off(&self, token: TokenKey, from: Instant, to: Instant) {
        if let Some(pace) = self.lock().paces.get_mut(&token)
            && let Ok(place) = pace.starts.binary_search(&from)
        {
            pace.starts.remove(place);
            let place = pace.starts.partition_point(|&start| start <= to);
            pace.starts.insert(place, to);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Tokens> {
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request that may start.
#[derive(Debug)]
#[must_use]
pub struct Start {
    quota: Quota,
    token: TokenKey,
    at: Instant,
    /// The share of its requests of this minute that the token has left then;
    /// none where there is no limit.
    pub left: Option<f64>,
}

impl Start {
    /// Counts the request from now on, when it leaves. It may have waited for
    /// a connection, and the vendor counts it when it arrives.
    pub fn leaves(&self) {
        if self.quota.limit > 0 {
            self.quota.put_off(self.token, self.at, Instant::now());
        }
    }
}

/// A place in the order of a token's requests.
struct Turn<'a> {
    quota: &'a Quota,
    token: TokenKey,
    at: Instant,
    /// The share of the token's requests that is left after this one.
    left: f64,
    taken: bool,
}

impl Turn<'_> {
    /// Takes the turn, now that it has come. Not where the token was parked
    /// since, or one before left late: the turn is given back then.
    fn take(mut self) -> bool {
        let now = Instant::now();
        let tokens = self.quota.lock();
        let pace = tokens.paces.get(&self.token);
        self.taken = pace.is_none_or(|pace| {
            let is_parked = pace.parked_until.is_some_and(|until| until > now);
            !is_parked && pace.has_room(self.at, now, self.quota.limit)
        });
        self.taken
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if self.taken {
            return;
        }
        if let Some(pace) = self.quota.lock().paces.get_mut(&self.token)
            && let Ok(place) = pace.starts.binary_search(&self.at)
        {
            pace.starts.remove(place);
        }
    }
}

impl Pace {
    /// When the next request may start.
    fn turn(&self, now: Instant, limit: usize) -> Instant {
        let full = self.starts.len().checked_sub(limit);
        let room = full.map(|oldest| self.starts[oldest] + WINDOW);
        // Never ahead of one that waits already, nor while the vendor refuses.
        let last = self.starts.back().copied();
        [room, last, self.parked_until]
            .into_iter()
            .flatten()
            .fold(now, Instant::max)
    }

    /// Whether the request whose turn came at `at` may start. Of several with
    /// the same turn, those that are too many may not.
    fn has_room(&self, at: Instant, now: Instant, limit: usize) -> bool {
        let with_it = self.starts.partition_point(|&start| start <= at);
        let oldest = with_it.checked_sub(limit + 1);
        oldest.is_none_or(|oldest| self.starts[oldest] + WINDOW <= now)
    }

    fn forget_before(&mut self, now: Instant) {
        while self
            .starts
            .front()
            .is_some_and(|&start| start + WINDOW <= now)
        {
            self.starts.pop_front();
        }
        self.parked_until = self.parked_until.filter(|&until| until > now);
    }

    fn is_idle(&self) -> bool {
        self.starts.is_empty() && self.parked_until.is_none()
    }
}

impl Tokens {
    /// Whether one more token can be counted, after the idle ones are forgotten.
    fn has_room(&mut self, now: Instant) -> bool {
        if self.paces.len() >= self.sweep_at {
            self.paces.retain(|_, pace| {
                pace.forget_before(now);
                !pace.is_idle()
            });
            if self.paces.len() >= MAX_TOKENS {
                // Made-up ones, that keep out those of callers.
                self.paces.retain(|_, pace| pace.is_vouched);
            }
            // Twice as many, so that looking costs little for each token.
            self.sweep_at = (self.paces.len() * 2).clamp(FIRST_SWEEP, MAX_TOKENS);
        }
        self.paces.len() < MAX_TOKENS
    }
}

fn in_time(at: Instant, end: Instant, now: Instant) -> Result<(), Denied> {
    if at < end {
        Ok(())
    } else {
        Err(Denied::TooLate(at.saturating_duration_since(now)))
    }
}

#[cfg(test)]
#[allow(
    clippy::unchecked_time_subtraction,
    reason = "a test fails where it stands"
)]
mod tests;
