//! The users whose last read failed or was refused: which of a batch is the cause.
//!
//! A batch that is refused, or fails again although others succeed, is split until the cause
//! is alone, so that it costs only itself.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::jitter::jittered;
use crate::watch::backoff;

/// Into how many parts a batch is split.
const PARTS: usize = 4;

/// How often a user, read alone, is refused until the refusal stands.
const ATTEMPTS: u32 = 5;

/// The delay after the first read of a user alone that is refused or fails, doubled each
/// time, give or take a tenth.
const FIRST_DELAY: Duration = Duration::from_secs(1);

#[derive(Debug, Clone, Copy)]
struct Suspect {
    /// How many users a batch with this one may have, once a batch was split.
    most: usize,
    failed_at: Instant,
    /// Since when it is among refused ones.
    refused_at: Option<Instant>,
    /// Not read before this, whoever wants it.
    not_before: Instant,
    /// How often a read of this one alone was refused, and failed.
    refusals: u32,
    failures: u32,
}

impl Suspect {
    fn new(now: Instant) -> Self {
        Self {
            most: usize::MAX,
            failed_at: now,
            refused_at: None,
            not_before: now,
            refusals: 0,
            failures: 0,
        }
    }

    /// Delays the next read after one of this user alone.
    fn delay(&mut self, now: Instant) {
        let doubled = 2_u32.saturating_pow((self.refusals + self.failures).saturating_sub(1));
        let delay = FIRST_DELAY.saturating_mul(doubled).min(backoff::MAX);
        self.not_before = now + jittered(delay);
    }
}

/// The users whose last read failed or was refused.
#[derive(Debug, Default)]
pub(super) struct Suspects(HashMap<Arc<str>, Suspect>);

impl Suspects {
    /// Whether a batch with this one was split.
    pub(super) fn is_split(&self, user: &str) -> bool {
        self.most(user) < usize::MAX
    }

    /// How many users a batch with this one may have.
    pub(super) fn most(&self, user: &str) -> usize {
        self.0.get(user).map_or(usize::MAX, |suspect| suspect.most)
    }

    pub(super) fn not_before(&self, user: &str) -> Option<Instant> {
        self.0.get(user).map(|suspect| suspect.not_before)
    }

    /// Whether a read has succeeded since this one is among refused ones.
    pub(super) fn is_refused_before(&self, user: &str, success: Option<Instant>) -> bool {
        let suspect = self.0.get(user);
        let refused_at = suspect.and_then(|suspect| suspect.refused_at);
        refused_at.is_some() && refused_at <= success
    }

    /// How often reads of this one alone were refused or failed.
    pub(super) fn attempts(&self, user: &str) -> u32 {
        let suspect = self.0.get(user);
        suspect.map_or(0, |suspect| suspect.refusals + suspect.failures)
    }

    /// Records that a user could be read.
    pub(super) fn clear(&mut self, user: &str) {
        self.0.remove(user);
    }

    /// Takes over that a batch of so many users was refused; returns whether the refusal
    /// stands.
    pub(super) fn refuse<'a>(
        &mut self,
        size: usize,
        watched: impl Iterator<Item = &'a Arc<str>>,
        now: Instant,
    ) -> bool {
        let mut stands = false;
        for user in watched {
            let suspect = self.entry(user, size, now);
            suspect.refused_at.get_or_insert(now);
            if size == 1 {
                suspect.refusals += 1;
                suspect.delay(now);
                if suspect.refusals >= ATTEMPTS {
                    stands = true;
                    // Who is watched anew is tried anew.
                    (suspect.refusals, suspect.not_before) = (0, now);
                    suspect.refused_at = None;
                }
            }
        }
        stands
    }

    /// Takes over that a batch of so many users failed; returns whether one of them is the
    /// cause, because another read has succeeded since it failed last.
    pub(super) fn fail<'a>(
        &mut self,
        size: usize,
        watched: impl Iterator<Item = &'a Arc<str>> + Clone,
        retry_after: Option<Duration>,
        succeeded_at: Option<Instant>,
        now: Instant,
    ) -> bool {
        let retry_at = retry_after.map(|delay| now + delay.min(backoff::MAX));
        let mut suspects = watched.clone().filter_map(|user| self.0.get(user));
        let is_cause =
            suspects.any(|suspect| suspect.failures > 0 || succeeded_at >= Some(suspect.failed_at));
        for user in watched {
            if !is_cause {
                let suspect = self.0.entry(Arc::clone(user));
                suspect.or_insert_with(|| Suspect::new(now)).failed_at = now;
                continue;
            }
            let suspect = self.entry(user, size, now);
            if size == 1 {
                suspect.failures += 1;
                suspect.delay(now);
            }
            suspect.not_before =
                retry_at.map_or(suspect.not_before, |at| at.max(suspect.not_before));
        }
        is_cause
    }

    /// A user of a batch of so many that is split.
    fn entry(&mut self, user: &Arc<str>, size: usize, now: Instant) -> &mut Suspect {
        let suspect = self.0.entry(Arc::clone(user));
        let suspect = suspect.or_insert_with(|| Suspect::new(now));
        (suspect.most, suspect.failed_at) = (size.div_ceil(PARTS), now);
        suspect
    }
}
