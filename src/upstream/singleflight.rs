//! One request for several calls. Whichever of them is polled drives it, and it
//! lasts for as long as one of them waits.
//!
//! Decision: docs/decisions/0020-coalescing.md.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared, WeakShared};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use crate::deadline::{Deadline, SharedDeadline};
use crate::error::{Error, Failure};

/// How long after its start a request may be joined. One that takes longer may
/// never be answered, and would fail all calls that join it.
const JOIN_WINDOW: Duration = Duration::from_secs(1);

/// When a request will be sent at the earliest, and the error for calls whose
/// deadline is earlier. Empty by default, for a request of a single call.
#[derive(Debug, Clone, Default)]
pub(crate) struct QueueNotice(Option<Arc<NoticeState>>);

#[derive(Debug, Default)]
struct NoticeState {
    queued: watch::Sender<Option<(Instant, Failure)>>,
    /// When the request had its first permit.
    started: OnceLock<Instant>,
}

impl QueueNotice {
    /// The notice of a request that others watch.
    pub(crate) fn shared() -> Self {
        Self(Some(Arc::default()))
    }

    /// Reports that the request is not sent before `until`, and why.
    pub(super) fn queue(&self, until: Instant, error: impl FnOnce() -> Failure) {
        if let Some(state) = &self.0 {
            state.queued.send_replace(Some((until, error())));
        }
    }

    /// Reports that the request has its permit.
    pub(super) fn start(&self) {
        if let Some(state) = &self.0 {
            let is_first = state.started.set(Instant::now()).is_ok();
            state
                .queued
                .send_if_modified(|queued| queued.take().is_some() || is_first);
        }
    }

    /// Whether the request started too long ago for others to join it.
    fn is_past_join_window(&self) -> bool {
        let started = self.0.as_ref().and_then(|state| state.started.get());
        started.is_some_and(|started| started.elapsed() >= JOIN_WINDOW)
    }

    /// Waits until it is known that the request will be sent too late for `deadline`.
    async fn too_late_for(&self, deadline: &Deadline) -> Failure {
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

    /// Waits until the request has taken, from its first permit on, as long as
    /// one batch of a stream may.
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

/// A request for several calls. Each clone stands for one of them.
pub(crate) struct SharedRequest<T: Clone> {
    result: Shared<BoxFuture<'static, T>>,
    deadline: SharedDeadline,
    notice: QueueNotice,
}

/// A shared request that more calls may join, and that it does not keep alive.
#[derive(Debug)]
pub(crate) struct WeakSharedRequest<T: Clone> {
    /// `None` if it had its result when this handle was made.
    result: Option<WeakShared<BoxFuture<'static, T>>>,
    deadline: SharedDeadline,
    notice: QueueNotice,
}

impl<T: Clone> SharedRequest<T> {
    /// The request that `fetch` makes. `deadline` is that of its first call.
    pub(crate) fn new<F>(
        deadline: &Deadline,
        fetch: impl FnOnce(Deadline, QueueNotice) -> F,
    ) -> Self
    where
        F: Future<Output = T> + Send + 'static,
    {
        let (all, deadline) = deadline.shared();
        let notice = QueueNotice::shared();
        let result = fetch(all, notice.clone()).boxed().shared();
        Self {
            result,
            deadline,
            notice,
        }
    }

    /// The handle by which others join it.
    pub(crate) fn downgrade(&self) -> WeakSharedRequest<T> {
        WeakSharedRequest {
            result: self.result.downgrade(),
            deadline: self.deadline.clone(),
            notice: self.notice.clone(),
        }
    }

    /// Waits for the result on behalf of the call with this deadline, or until
    /// it is known that the call's time does not suffice.
    pub(crate) async fn result(self, deadline: &Deadline) -> Result<T, Failure> {
        tokio::select! {
            biased;
            result = self.result => Ok(result),
            error = self.notice.too_late_for(deadline) => Err(error),
            error = self.notice.batch_expired(deadline) => Err(error),
            () = deadline.expired() => Err(Error::DeadlineExceeded.into()),
        }
    }
}

impl<T: Clone> WeakSharedRequest<T> {
    /// Joins the request, if it has no result yet and did not start long ago.
    pub(crate) fn join(&self, deadline: &Deadline) -> Option<SharedRequest<T>> {
        if self.notice.is_past_join_window() {
            return None;
        }
        let result = self.result.as_ref()?.upgrade()?;
        // A finished request may predate the caller's last write.
        if result.peek().is_some() {
            return None;
        }
        self.deadline.extend(deadline);
        Some(SharedRequest {
            result,
            deadline: self.deadline.clone(),
            notice: self.notice.clone(),
        })
    }
}

/// Whether the error of a shared request is about the time of its other calls,
/// while this one has time left.
pub(crate) fn caused_by_peers(error: &Error, deadline: &Deadline) -> bool {
    let remaining = deadline.remaining();
    match error {
        Error::DeadlineExceeded => !remaining.is_zero(),
        Error::RateLimited(delay) => *delay < remaining,
        _ => false,
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
        let notice = QueueNotice::shared();
        let mut expired = pin!(notice.batch_expired(&deadline));
        // The request waits for its permit.
        tokio::select! {
            biased;
            error = &mut expired => panic!("expired before its permit: {error:?}"),
            () = sleep(MAX * 10) => {}
        }
        notice.start();
        let started = Instant::now();
        tokio::select! {
            biased;
            error = &mut expired => panic!("expired although it has its permit: {error:?}"),
            () = sleep(MAX / 2) => {}
        }
        // A wait for a retry does not count: it is not the first permit.
        notice.queue(Instant::now() + MAX * 2, || Error::DeadlineExceeded.into());
        notice.start();
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
        let notice = QueueNotice::shared();
        notice.start();
        tokio::select! {
            biased;
            error = notice.batch_expired(&deadline) => panic!("{error:?}"),
            () = sleep(MAX * 10) => {}
        }
    }
}
