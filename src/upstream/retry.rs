//! Decides what is retried, when, and how often.
//!
//! Decision: docs/decisions/0006-retries-by-idempotency.md.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use super::{RequestContext, UpstreamResponse};
use crate::error::{Error, Failure, UnknownOutcome};
use crate::operation::Spec;

/// The most attempts at a request, without those that the vendor refuses with
/// 429: that is about the token, and may happen any number of times.
const MAX_ATTEMPTS: u32 = 3;

/// The most connections that may end without an error (GOAWAY with `NO_ERROR`) before the
/// vendor accepts a request, or that may be abandoned while they are opened, without an
/// attempt at it. A load balancer ends each after so many requests, and does not accept
/// those that it has not read yet: under load, they are many, and the vendor is in no
/// trouble.
const MAX_ENDED_CONNECTIONS: u32 = 10;

/// The longest backoff before the second attempt; twice that before the third.
const FIRST_BACKOFF: Duration = Duration::from_millis(100);

/// The retries that a region may cost before successes earn more. It covers
/// the loss of some connections at once, and no outage.
const MAX_BUDGET: u32 = 100;

/// The successes that earn one retry: an upstream in trouble gets a tenth more
/// requests, and not three times as many.
const SUCCESSES_PER_RETRY: u32 = 10;

/// The retries of one region: an outage of one takes none of another's. Clones share it.
#[derive(Debug, Clone)]
pub(super) struct Budget(Arc<AtomicU32>);

impl Default for Budget {
    fn default() -> Self {
        Self(Arc::new(AtomicU32::new(MAX_BUDGET * SUCCESSES_PER_RETRY)))
    }
}

impl Budget {
    fn deposit(&self) {
        let full = MAX_BUDGET * SUCCESSES_PER_RETRY;
        let _ = self.0.try_update(Relaxed, Relaxed, |points| {
            (points < full).then(|| points + 1)
        });
    }

    fn withdraw(&self) -> bool {
        let spent = |points: u32| points.checked_sub(SUCCESSES_PER_RETRY);
        self.0.try_update(Relaxed, Relaxed, spent).is_ok()
    }
}

/// The attempts at one request.
#[derive(Debug)]
pub(super) struct Attempts<'a> {
    budget: &'a Budget,
    spec: &'static Spec,
    context: &'a RequestContext,
    /// How many attempts remain, the current one included.
    remaining: u32,
    /// How many 429s the request got.
    pub(super) throttled: u32,
    /// How many connections ended without an error, or were abandoned while they were
    /// opened, before the vendor accepted the request.
    ended_connections: u32,
    /// The first failure with an unknown outcome.
    unknown: Option<Failure>,
    /// The failure of the last attempt.
    last: Option<Failure>,
}

/// What to do after an attempt.
pub(super) enum Decision {
    /// The call ends with this result.
    Done(Result<UpstreamResponse, Failure>),
    /// Another attempt, after a short backoff.
    Retry(Duration),
    /// Another attempt, after the delay that the vendor requires.
    RetryAfter(Duration),
    /// The same after a 429, which does not count as an attempt.
    RetryThrottled(Duration),
    /// The same attempt again, after a new permit: the permit was revoked, and
    /// nothing was sent; or the connection ended before the vendor accepted the request.
    Requeue,
}

impl<'a> Attempts<'a> {
    /// The attempts at a request of the operation `spec`; only one if the client
    /// has retried the call, or if the sender repeats it.
    pub(super) fn new(
        budget: &'a Budget,
        spec: &'static Spec,
        context: &'a RequestContext,
    ) -> Self {
        Self {
            budget,
            spec,
            context,
            remaining: if context.is_client_retry || context.is_repeated_by_sender {
                1
            } else {
                MAX_ATTEMPTS
            },
            throttled: 0,
            ended_connections: 0,
            unknown: None,
            last: None,
        }
    }

    /// Decides what to do after an attempt with this result.
    pub(super) fn decide(&mut self, result: Result<UpstreamResponse, Failure>) -> Decision {
        let failure = match result {
            Ok(response) => {
                self.budget.deposit();
                return Decision::Done(Ok(response));
            }
            Err(failure) if matches!(failure.error, Error::RateLimited { .. }) => {
                return Decision::Requeue;
            }
            Err(failure)
                if matches!(failure.error, Error::NotProcessed { is_end: true, .. })
                    && self.ended_connections < MAX_ENDED_CONNECTIONS =>
            {
                self.ended_connections += 1;
                return Decision::Requeue;
            }
            Err(failure) => failure,
        };
        // A DELETE that is retried after an unknown outcome, and now finds
        // nothing: the earlier attempt has deleted it.
        if self.unknown.is_some() && self.spec.method == http::Method::DELETE && is_gone(&failure) {
            return Decision::Done(Ok(UpstreamResponse::default()));
        }
        let time_left = self.context.deadline.remaining();
        let telemetry = self.context.access_log.telemetry();
        let retry_after = failure.error.retry_delay().unwrap_or_default();
        // A 429 concerns one token. The vendor is not in trouble, and the token
        // must not spend the budget of all.
        let response = failure.error.response();
        if response.is_some_and(|response| response.status == 429) {
            self.throttled += 1;
            let is_single = self.context.is_client_retry || self.context.is_repeated_by_sender;
            if is_single || retry_after >= time_left {
                return self.fail(failure);
            }
            telemetry.backoff(&failure.error, retry_after);
            self.last = Some(failure);
            return Decision::RetryThrottled(retry_after);
        }
        self.remaining -= 1;
        let wait = self.backoff(&failure.error, retry_after);
        let Some(wait) = wait.filter(|&wait| self.remaining > 0 && wait < time_left) else {
            return self.fail(failure);
        };
        if !self.budget.withdraw() {
            telemetry.retry_refused();
            return self.fail(failure);
        }
        telemetry.backoff(&failure.error, wait);
        if failure.error.is_outcome_unknown() && self.unknown.is_none() {
            self.unknown = Some(failure.clone());
        }
        self.last = Some(failure);
        if retry_after >= wait {
            Decision::RetryAfter(wait)
        } else {
            Decision::Retry(wait)
        }
    }

    fn fail(&mut self, failure: Failure) -> Decision {
        Decision::Done(Err(self.unknown.take().unwrap_or(failure)))
    }

    /// The failure of the call if `error` prevents the next attempt: that of an
    /// earlier attempt if there was one, with the longer of the two delays.
    pub(super) fn failure_without_retry(&self, error: Error) -> Failure {
        let delay = match error {
            Error::RateLimited { delay, .. } => delay,
            _ => Duration::ZERO,
        };
        let before = self.unknown.as_ref().or(self.last.as_ref());
        let mut failure = before.cloned().unwrap_or_else(|| error.into());
        if let Error::UpstreamStatus(_, response) = &mut failure.error {
            response.wait_at_least(delay);
        }
        failure
    }

    /// The failure of the call if the next attempt has to wait for so long.
    pub(super) fn failure_after(&self, delay: Duration) -> Failure {
        let refused = None;
        self.failure_without_retry(Error::RateLimited { delay, refused })
    }

    /// How long to wait before the retry of a failed attempt; `None` where a
    /// retry is unsafe or would not help.
    fn backoff(&self, error: &Error, retry_after: Duration) -> Option<Duration> {
        let made = MAX_ATTEMPTS - self.remaining;
        let backoff = FIRST_BACKOFF * 2_u32.pow(made.saturating_sub(1));
        // Jitter in the upper half, so that requests that failed together are
        // not retried together.
        let backoff = backoff.mul_f64(fastrand::f64().mul_add(0.5, 0.5));
        let if_repeatable = self.spec.is_repeatable.then_some(backoff);
        match error {
            // It was never sent or never processed, so any operation can be retried.
            Error::Unreachable(_) | Error::NotProcessed { .. } => Some(backoff),
            Error::UpstreamStatus(_, response) => match response.status {
                // Front ends send it on a connection that they close for being
                // idle, where it passes for the answer to a new request, which
                // may be repeated (RFC 9110, 15.5.9).
                408 if response.body.is_none() => if_repeatable,
                502..=504 => if_repeatable.map(|backoff| backoff.max(retry_after)),
                _ => None,
            },
            Error::ConnectionLost(_)
            | Error::OutcomeUnknown(
                UnknownOutcome::ConnectionLost(_) | UnknownOutcome::UpstreamStatus(_),
            ) => if_repeatable,
            _ => None,
        }
    }
}

fn is_gone(failure: &Failure) -> bool {
    matches!(&failure.error, Error::UpstreamStatus(_, response) if response.status == 404 && response.body.is_some())
}
