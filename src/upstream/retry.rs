//! What is tried again, when, and how often.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use crate::error::{Error, Failure, UnknownOutcome};
use crate::operation::Spec;

/// How often a request is sent at most, besides what the vendor refuses with
/// 429: that is about the token, and may come any number of times.
const MAX_ATTEMPTS: u32 = 3;

/// The longest wait before the second attempt; twice that before the third.
const FIRST_WAIT: Duration = Duration::from_millis(100);

/// How many retries the process may make before successes earn more. It
/// covers the loss of some connections at once, and no outage.
const BUDGET: u32 = 100;

/// How many successes earn one retry: an upstream in trouble gets a tenth more
/// requests, and not three times as many.
const SUCCESSES_FOR_A_RETRY: u32 = 10;

/// How many retries the process may make. Clones share it.
#[derive(Debug, Clone)]
pub(super) struct Budget(Arc<AtomicU32>);

impl Default for Budget {
    fn default() -> Self {
        Self(Arc::new(AtomicU32::new(BUDGET * SUCCESSES_FOR_A_RETRY)))
    }
}

impl Budget {
    fn earn(&self) {
        let full = BUDGET * SUCCESSES_FOR_A_RETRY;
        let _ = self.0.try_update(Relaxed, Relaxed, |points| {
            (points < full).then(|| points + 1)
        });
    }

    fn spend(&self) -> bool {
        let spent = |points: u32| points.checked_sub(SUCCESSES_FOR_A_RETRY);
        self.0.try_update(Relaxed, Relaxed, spent).is_ok()
    }
}

/// The attempts at one request.
#[derive(Debug)]
pub(super) struct Attempts<'a> {
    budget: &'a Budget,
    spec: &'static Spec,
    /// How many more there may be, this one included.
    left: u32,
    /// Whether whoever calls repeats the call.
    is_repeated: bool,
    /// How often it was refused with 429.
    throttled: u32,
    /// The first attempt of which nothing tells what it changed.
    unknown: Option<Failure>,
    /// Why the one before failed.
    last: Option<Failure>,
    /// Whether the budget was spent when another was due.
    is_refused: bool,
}

/// What follows an attempt.
pub(super) enum Next<T> {
    /// This is what the call comes to.
    End(Result<T, Failure>),
    /// Another attempt, after a short wait.
    Again(Duration),
    /// Another attempt, not before the vendor allows it.
    Later(Duration),
    /// The same, after a 429, which costs no attempt.
    Throttled(Duration),
    /// The same attempt: it did not leave, because the token was parked.
    Turn,
}

impl<T> Next<T> {
    /// How long it is until the next attempt, where there was one before.
    pub(super) fn wait(&self) -> Option<Duration> {
        match *self {
            Self::Again(wait) | Self::Later(wait) | Self::Throttled(wait) => Some(wait),
            Self::End(_) | Self::Turn => None,
        }
    }
}

impl<'a> Attempts<'a> {
    /// The attempts at a request of the operation `spec`; only one where
    /// whoever calls repeats the call already.
    pub(super) fn new(budget: &'a Budget, spec: &'static Spec, is_repeated: bool) -> Self {
        Self {
            budget,
            spec,
            left: if is_repeated { 1 } else { MAX_ATTEMPTS },
            is_repeated,
            throttled: 0,
            unknown: None,
            last: None,
            is_refused: false,
        }
    }

    /// What follows an attempt with this answer, with so much time left.
    pub(super) fn after<T: Default>(
        &mut self,
        answer: Result<T, Failure>,
        time_left: Duration,
    ) -> Next<T> {
        let failure = match answer {
            Ok(answer) => {
                self.budget.earn();
                return Next::End(Ok(answer));
            }
            Err(failure) if matches!(failure.error, Error::RateLimited(_)) => return Next::Turn,
            Err(failure) => failure,
        };
        // What an attempt before this one may have deleted is gone.
        if self.unknown.is_some() && self.spec.method == http::Method::DELETE && is_gone(&failure) {
            return Next::End(Ok(T::default()));
        }
        // The vendor is not in trouble where it limits one token, and that
        // one shall not spend what is for all.
        if failure
            .error
            .fault()
            .is_some_and(|fault| fault.status == 429)
        {
            self.throttled += 1;
            let wait = failure.error.retry_delay().unwrap_or_default();
            if self.is_repeated || wait >= time_left {
                return Next::End(Err(self.unknown.take().unwrap_or(failure)));
            }
            self.last = Some(failure);
            return Next::Throttled(wait);
        }
        self.left -= 1;
        let due = self.wait(&failure.error);
        let due = due.filter(|&wait| self.left > 0 && wait < time_left);
        let paid = due.filter(|_| self.budget.spend());
        self.is_refused = due.is_some() && paid.is_none();
        let Some(wait) = paid else {
            return Next::End(Err(self.unknown.take().unwrap_or(failure)));
        };
        let asked = failure.error.retry_delay();
        if failure.error.is_outcome_unknown() && self.unknown.is_none() {
            self.unknown = Some(failure.clone());
        }
        self.last = Some(failure);
        if asked.is_some_and(|asked| asked >= wait) {
            Next::Later(wait)
        } else {
            Next::Again(wait)
        }
    }

    /// Whether the budget was spent when another attempt was due.
    pub(super) fn is_refused(&self) -> bool {
        self.is_refused
    }

    /// How often the vendor has refused it with 429.
    pub(super) fn throttled(&self) -> u32 {
        self.throttled
    }

    /// Why the attempt before failed, where there is to be another.
    pub(super) fn last(&self) -> Option<&Failure> {
        self.last.as_ref()
    }

    /// What the call comes to where the next attempt is not begun, for a
    /// reason that counts unless an attempt was made before. What it says of
    /// a wait counts all the same.
    pub(super) fn given_up(&self, why: Failure) -> Failure {
        let wait = match why.error {
            Error::RateLimited(wait) => wait,
            _ => Duration::ZERO,
        };
        let before = self.unknown.as_ref().or(self.last.as_ref());
        let mut failure = before.cloned().unwrap_or(why);
        if let Error::UpstreamStatus(_, fault) = &mut failure.error {
            fault.wait_at_least(wait);
        }
        failure
    }

    /// How long to wait before a failed attempt is repeated; `None` where it
    /// must not be, or another would not help.
    fn wait(&self, error: &Error) -> Option<Duration> {
        let made = MAX_ATTEMPTS - self.left;
        let backoff = FIRST_WAIT * 2_u32.pow(made.saturating_sub(1));
        // Anywhere in the upper half, so that those who failed together do
        // not come back together.
        let backoff = backoff.mul_f64(fastrand::f64().mul_add(0.5, 0.5));
        let asked = error.retry_delay().unwrap_or_default();
        let lost = self.spec.is_repeatable.then_some(backoff);
        match error {
            // It never left, so it is the first.
            Error::Unreachable(_) => Some(backoff),
            Error::UpstreamStatus(_, fault) => match fault.status {
                // Front ends say so to a connection that they end for having
                // been idle, and it is taken for the answer to a request.
                408 if fault.is_on_kept_connection => lost,
                502..=504 => lost.map(|backoff| backoff.max(asked)),
                _ => None,
            },
            Error::ConnectionLost(_) | Error::OutcomeUnknown(UnknownOutcome::ConnectionLost(_)) => {
                lost
            }
            Error::OutcomeUnknown(UnknownOutcome::UpstreamStatus(_)) => lost,
            _ => None,
        }
    }
}

fn is_gone(failure: &Failure) -> bool {
    matches!(&failure.error, Error::UpstreamStatus(_, fault) if fault.status == 404 && fault.body.is_some())
}
