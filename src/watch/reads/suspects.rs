//! The users whose reads the vendor refuses: which of a batch is the cause.
//!
//! A batch that is refused is halved until the cause is alone, so that an id that the
//! vendor does not accept costs only itself. A refusal that may pass is repeated.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use crate::jitter::jittered;

/// How often a user, read alone, is refused until the refusal stands.
const ATTEMPTS: u32 = 5;

/// The delay after the first of these attempts, doubled each time, give or take a tenth.
const FIRST_DELAY: Duration = Duration::from_secs(1);

/// Why the vendor refuses a read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::watch) enum Refusal {
    /// One of the ids is wrong for good.
    WrongId,
    /// One of the ids may be missing or forbidden, or this may pass.
    Unclear,
    /// The token may not read anybody, or this may pass.
    OfToken,
}

#[derive(Debug, Clone, Copy)]
struct Suspect {
    /// How many users a batch with this one may have.
    most: usize,
    attempts: u32,
}

/// The users whose last read was refused.
#[derive(Debug, Default)]
pub(super) struct Suspects(HashMap<Arc<str>, Suspect>);

impl Suspects {
    pub(super) fn contains(&self, user: &str) -> bool {
        self.0.contains_key(user)
    }

    /// How many users a batch with this one may have.
    pub(super) fn most(&self, user: &str) -> usize {
        self.0.get(user).map_or(usize::MAX, |suspect| suspect.most)
    }

    /// Records that a user could be read.
    pub(super) fn clear(&mut self, user: &str) {
        self.0.remove(user);
    }

    /// Takes over that a batch of so many users was refused; returns after how long its users are read
    /// again, or nothing if the refusal stands.
    pub(super) fn refuse<'a>(
        &mut self,
        size: usize,
        watched: impl Iterator<Item = &'a Arc<str>> + Clone,
        refusal: Refusal,
    ) -> Option<Duration> {
        let is_split = size > 1 && refusal != Refusal::OfToken;
        let attempts = watched.clone().filter_map(|user| self.0.get(user));
        let attempts = attempts.map(|suspect| suspect.attempts).max();
        let attempts = attempts.unwrap_or(0) + u32::from(!is_split);
        let stands = !is_split && (refusal == Refusal::WrongId || attempts >= ATTEMPTS);
        let suspect = Suspect {
            most: if is_split { size.div_ceil(2) } else { size },
            // Who is watched anew is tried anew.
            attempts: if stands { 0 } else { attempts },
        };
        for user in watched {
            self.0.insert(Arc::clone(user), suspect);
        }
        if stands {
            return None;
        }
        let delay = FIRST_DELAY * 2_u32.pow(attempts.saturating_sub(1));
        Some(if is_split {
            Duration::ZERO
        } else {
            jittered(delay)
        })
    }
}
