//! What the reads of a token have come to since the last one that succeeded.
//!
//! If nothing succeeds, the cause may be none of the users: then one user at a time is read
//! (`probe.rs`), until one can be.

use std::time::Duration;

use tokio::time::Instant;

use crate::watch::backoff::{self, Backoff};

/// How many reads are refused alike, and none succeeds, until one user at a time is read.
const ALIKE: usize = 4;

/// How many of these single reads are refused alike until the refusal stands for all users.
const PROBES: usize = 30;

/// The status and the code with which the vendor refuses a read.
pub(super) type Answer = (u16, String);

/// How many batches may be split when a probe shows that they are the cause. If more fail
/// in one moment, the vendor may have been the cause, and they are read once more as a whole.
const SPLIT_AT_ONCE: usize = 1;

/// How long after a failure a new user who has never failed is read.
const FRESH_DELAY: Duration = Duration::from_secs(1);

/// The refusals that are alike.
#[derive(Debug)]
struct Refusals {
    answer: Answer,
    /// Those of different batches.
    batches: usize,
    /// Those of one user alone, also of the same one.
    alone: usize,
    /// Whether a user could be read meanwhile who was read before. Then the refusal is not
    /// of those.
    spares_read: bool,
}

#[derive(Debug, Default)]
pub(super) struct Health {
    pub succeeded_at: Option<Instant>,
    /// The last read of a user who was not read before.
    pub read_new_at: Option<Instant>,
    /// After a failure, nothing is read before this.
    pub not_before: Option<Instant>,
    /// Not even a witness, or a user who has never failed.
    limited_until: Option<Instant>,
    /// After the first failure, when a witness is read.
    witness_at: Option<Instant>,
    /// The last failure that made the delays grow.
    failed_at: Option<Instant>,
    /// The first failure since the last success, or the last one of a user new since then.
    pub fresh_since: Option<Instant>,
    /// How many batches failed since the last success, and how often the delays grew.
    failed_batches: usize,
    steps: usize,
    backoff: Backoff,
    refusals: Option<Refusals>,
}

impl Health {
    /// Records that users were read, some of them for the first time if they are `new`.
    pub(super) fn succeed(&mut self, new: bool, now: Instant) {
        let refusals = self.refusals.take().filter(|_| !new);
        *self = Self {
            succeeded_at: Some(now),
            read_new_at: if new { Some(now) } else { self.read_new_at },
            failed_at: self.failed_at,
            refusals: refusals.map(|refusals| Refusals {
                spares_read: true,
                ..refusals
            }),
            ..Self::default()
        };
    }

    /// Forgets what was refused: nobody is left of those.
    pub(super) fn forget_refusals(&mut self) {
        self.refusals = None;
    }

    /// Reads nothing for a while after the failure of a batch. Those that fail together
    /// make the delays grow once.
    pub(super) fn back_off(
        &mut self,
        begun: Option<Instant>,
        retry_after: Option<Duration>,
        now: Instant,
    ) {
        self.failed_batches += 1;
        // A longer one holds for the request, and not for all reads.
        let mut wait = retry_after.unwrap_or_default().min(backoff::MAX);
        if begun >= self.failed_at {
            let grown = self.backoff.next(None);
            wait = wait.max(grown);
            self.failed_at = Some(now);
            self.steps += 1;
            self.witness_at = (self.steps == 1).then_some(now + grown);
            if self.steps == 1 {
                self.fresh_since = Some(now);
            }
        }
        self.not_before = self.not_before.max(Some(now + wait));
    }

    /// As [`Self::back_off`], because too many requests were sent.
    pub(super) fn limit(&mut self, begun: Option<Instant>, delay: Duration, now: Instant) {
        self.back_off(begun, Some(delay), now);
        self.limited_until = self.not_before;
    }

    /// Whether a success now shows that the batches that failed are the cause themselves,
    /// and all of them can be split at once.
    pub(super) fn shows_cause(&self) -> (bool, bool) {
        let is_shown = self.steps == 1 && self.limited_until.is_none();
        (is_shown, self.failed_batches <= SPLIT_AT_ONCE)
    }

    /// When a probe may be sent after a failure: of a witness, of a user who is new since
    /// then, or of anybody.
    pub(super) fn witness_at(&self) -> Option<Instant> {
        self.witness_at.or(self.not_before).max(self.limited_until)
    }

    pub(super) fn fresh_at(&self) -> Option<Instant> {
        let at = self.failed_at.map(|at| at + FRESH_DELAY);
        at.min(self.not_before).max(self.limited_until)
    }

    /// Takes over that a batch of so many users was refused, not for the first time if it
    /// `is_repeated`; returns whether the refusal stands for all users. Whoever is watched
    /// anew is then tried anew.
    pub(super) fn refuse(&mut self, answer: Answer, size: usize, is_repeated: bool) -> bool {
        let same = self.refusals.take().filter(|it| it.answer == answer);
        let mut refusals = same.unwrap_or(Refusals {
            answer,
            batches: 0,
            alone: 0,
            spares_read: false,
        });
        refusals.batches += usize::from(!is_repeated);
        refusals.alone += usize::from(size == 1);
        let stands = refusals.batches >= ALIKE && refusals.alone >= PROBES;
        self.refusals = (!stands).then_some(refusals);
        stands
    }

    /// Whether one user at a time is to be read because nothing could be read.
    pub(super) fn is_failing(&self) -> bool {
        self.not_before.is_some()
    }

    /// Whether everything is refused alike, at least for users who were not read before.
    pub(super) fn is_refused(&self) -> bool {
        let refusals = self.refusals.as_ref();
        refusals.is_some_and(|refusals| refusals.batches >= ALIKE)
    }

    /// Whether users who were read before can be read although others are refused.
    pub(super) fn spares_read(&self) -> bool {
        let refusals = self.refusals.as_ref();
        refusals.is_some_and(|refusals| refusals.spares_read)
    }
}
