//! What the reads of a token have come to since the last one that succeeded.
//!
//! If nothing succeeds, the cause may be none of the users: then one user at a time is read,
//! until one can be.

use std::time::Duration;

use tokio::time::Instant;

use crate::watch::backoff::{self, Backoff};

/// How many reads are refused alike, and none succeeds, until one user at a time is read.
const ALIKE: usize = 4;

/// How many of these single reads are refused alike until the refusal stands for all users.
const PROBES: usize = 30;

/// The status and the code with which the vendor refuses a read.
pub(super) type Answer = (u16, String);

/// The refusals that are alike.
#[derive(Debug)]
struct Refusals {
    answer: Answer,
    /// Those of different batches.
    batches: usize,
    /// Those of one user alone, also of the same one.
    alone: usize,
}

#[derive(Debug, Default)]
pub(super) struct Health {
    pub succeeded_at: Option<Instant>,
    /// After a failure, nothing is read before this.
    pub not_before: Option<Instant>,
    /// The last failure that made the delays grow.
    failed_at: Option<Instant>,
    backoff: Backoff,
    refusals: Option<Refusals>,
}

impl Health {
    pub(super) fn succeed(&mut self, now: Instant) {
        *self = Self {
            succeeded_at: Some(now),
            failed_at: self.failed_at,
            ..Self::default()
        };
    }

    /// Reads nothing for a while after the failure of a batch. Those that fail together
    /// make the delays grow once.
    pub(super) fn back_off(
        &mut self,
        begun: Option<Instant>,
        retry_after: Option<Duration>,
        now: Instant,
    ) {
        // A longer one holds for the request, and not for all reads.
        let retry_after = retry_after.map(|delay| delay.min(backoff::MAX));
        let is_same = begun < self.failed_at;
        let wait = if is_same {
            retry_after.unwrap_or_default()
        } else {
            self.failed_at = Some(now);
            self.backoff.next(retry_after)
        };
        self.not_before = self.not_before.max(Some(now + wait));
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
        });
        refusals.batches += usize::from(!is_repeated);
        refusals.alone += usize::from(size == 1);
        let stands = refusals.batches >= ALIKE && refusals.alone >= PROBES;
        self.refusals = (!stands).then_some(refusals);
        stands
    }

    /// Whether one user at a time is to be read.
    pub(super) fn is_doubtful(&self) -> bool {
        self.not_before.is_some() || self.is_refused()
    }

    /// Whether everything is refused alike.
    pub(super) fn is_refused(&self) -> bool {
        let refusals = self.refusals.as_ref();
        refusals.is_some_and(|refusals| refusals.batches >= ALIKE)
    }
}
