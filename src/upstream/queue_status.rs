//! The status of a request in the rate limiter's queue, which several calls may
//! observe.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use crate::deadline::Deadline;
use crate::error::{Error, Failure, Waiting};

/// How long after its start a request may be joined. One that takes longer may
/// never be answered, and would fail all calls that join it.
const JOIN_WINDOW: Duration = Duration::from_secs(1);

/// The status of a request in the rate limiter's queue, for the calls that wait
/// for the request. Records nothing by default, for a single call without a
/// batch limit, which observes nothing.
#[derive(Debug, Clone, Default)]
pub(crate) struct QueueStatus(Option<Arc<State>>);

#[derive(Debug, Default)]
struct State {
    /// When the request will be sent at the earliest, and the error of calls
    /// whose deadline is earlier; `None` while it is not queued.
    queued: watch::Sender<Option<(Instant, Failure)>>,
    /// When the request had its first permit.
    started: OnceLock<Instant>,
    /// The number of the current attempt, from 1; 0 before the first one.
    attempt: AtomicU32,
}

impl QueueStatus {
    /// The status of a request that calls observe.
    pub(crate) fn observed() -> Self {
        Self(Some(Arc::default()))
    }

    /// Records that the request is not sent before `until`, and the error of
    /// calls for which that is too late.
    pub(super) fn set_queued(&self, until: Instant, error: impl FnOnce() -> Failure) {
        if let Some(state) = &self.0 {
            state.queued.send_replace(Some((until, error())));
        }
    }

    /// Records that this attempt of the request has its permit.
    pub(super) fn set_started(&self, attempt: u32) {
        if let Some(state) = &self.0 {
            state.attempt.store(attempt, Relaxed);
            let is_first = state.started.set(Instant::now()).is_ok();
            state
                .queued
                .send_if_modified(|queued| queued.take().is_some() || is_first);
        }
    }

    /// Whether the request started too long ago for others to join it.
    pub(super) fn is_past_join_window(&self) -> bool {
        let started = self.0.as_ref().and_then(|state| state.started.get());
        started.is_some_and(|started| started.elapsed() >= JOIN_WINDOW)
    }

    /// What the calls that observe the request wait for.
    pub(super) fn waiting(&self) -> Waiting {
        let Some(state) = &self.0 else {
            return Waiting::Nothing;
        };
        match state.attempt.load(Relaxed) {
            _ if state.queued.borrow().is_some() => Waiting::RateLimit,
            0 => Waiting::Nothing,
            attempt => Waiting::Response(attempt),
        }
    }

    /// Waits until the request is known to be sent too late for `deadline`.
    pub(super) async fn too_late_for(&self, deadline: &Deadline) -> Failure {
        let Some(state) = &self.0 else {
            return std::future::pending().await;
        };
        let mut queued = state.queued.subscribe();
        loop {
            let error = queued
                .borrow_and_update()
                .as_ref()
                .filter(|(until, _)| *until >= deadline.instant())
                .map(|(_, error)| error.clone());
            if let Some(error) = error {
                return error;
            }
            // `self` holds the sender, so that this never fails.
            let _ = queued.changed().await;
        }
    }

    /// Waits until the batch limit of a stream has passed since the request's
    /// first permit.
    pub(super) async fn batch_expired(&self, deadline: &Deadline) -> Failure {
        let (Some(state), Some(limit)) = (&self.0, deadline.batch_limit()) else {
            return std::future::pending().await;
        };
        let mut changes = state.queued.subscribe();
        let started = loop {
            changes.mark_unchanged();
            match state.started.get() {
                Some(started) => break *started,
                None => drop(changes.changed().await),
            }
        };
        sleep_until(started + limit).await;
        Error::BatchExpired(limit).into()
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use http::HeaderMap;
    use tokio::time::sleep;

    use super::*;
    use crate::deadline::DeadlinePolicy;

    const MAX: Duration = Duration::from_mins(2);

    const POLICY: DeadlinePolicy = DeadlinePolicy {
        default: Duration::from_secs(30),
        max: MAX,
    };

    #[tokio::test(start_paused = true)]
    async fn a_batch_of_a_stream_expires_by_its_limit_after_its_first_permit() {
        let deadline = POLICY.for_stream(&HeaderMap::new());
        let status = QueueStatus::observed();
        let mut expired = pin!(status.batch_expired(&deadline));
        // The request waits for its permit.
        tokio::select! {
            biased;
            error = &mut expired => panic!("expired before its permit: {error:?}"),
            () = sleep(MAX * 10) => {}
        }
        status.set_started(1);
        let started = Instant::now();
        tokio::select! {
            biased;
            error = &mut expired => panic!("expired although it has its permit: {error:?}"),
            () = sleep(MAX / 2) => {}
        }
        // A wait for a retry does not count: it is not the first permit.
        status.set_queued(Instant::now() + MAX * 2, || {
            Error::DeadlineExceeded(deadline.passed(Waiting::Nothing)).into()
        });
        status.set_started(1);
        let failure = expired.await;
        assert!(
            matches!(failure.error, Error::BatchExpired(MAX)),
            "{failure:?}"
        );
        assert_eq!(started.elapsed(), MAX);
    }

    #[tokio::test(start_paused = true)]
    async fn a_unary_call_has_no_batch_limit() {
        let deadline = POLICY.for_call(&HeaderMap::new());
        let status = QueueStatus::observed();
        status.set_started(1);
        tokio::select! {
            biased;
            error = status.batch_expired(&deadline) => panic!("{error:?}"),
            () = sleep(MAX * 10) => {}
        }
    }
}
