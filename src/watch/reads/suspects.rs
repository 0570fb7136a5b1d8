//! The users whose last read failed or was refused: which of a batch is the cause.
//!
//! A batch that is refused, or fails although others succeed, is split until the cause is
//! alone, so that it costs only itself.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::jitter::jittered;
use crate::watch::backoff;
use crate::watch::users::UserMap;

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
    /// The size of the batch that failed last, until it is known whether it is the cause, and
    /// when the vendor wants it again.
    open: Option<(usize, Option<Instant>)>,
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
            open: None,
            refused_at: None,
            not_before: now,
            refusals: 0,
            failures: 0,
        }
    }

    /// Takes over that a batch of so many users with this one is the cause of its failure.
    fn split(&mut self, size: usize, retry_at: Option<Instant>, now: Instant) {
        self.most = size.div_ceil(PARTS);
        if size == 1 {
            self.failures += 1;
            self.delay(now);
            self.not_before = retry_at.unwrap_or(now).max(self.not_before);
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
pub(super) struct Suspects(UserMap<Suspect>);

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

    /// Whether the last read of a user failed or was refused.
    pub(super) fn has(&self, user: &str) -> bool {
        self.0.contains_key(user)
    }

    /// Takes over that others could be read. If that shows the cause, parts of a batch, or
    /// all batches that failed, are split.
    pub(super) fn settle(&mut self, (is_shown, is_all): (bool, bool), now: Instant) {
        for suspect in self.0.values_mut() {
            if let Some((size, retry_at)) = suspect.open.take()
                && is_shown
                && (is_all || suspect.most < usize::MAX)
            {
                suspect.split(size, retry_at, now);
            }
        }
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
            let suspect = self.0.entry(Arc::clone(user));
            let suspect = suspect.or_insert_with(|| Suspect::new(now));
            suspect.failed_at = now;
            if is_cause {
                suspect.split(size, retry_at, now);
            } else {
                suspect.open = Some((size, retry_at));
            }
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
