//! One request for several calls (singleflight). Any of the calls drives it when
//! it is polled, and the last call that stops waiting cancels it.
//!
//! Decision: docs/decisions/0020-coalescing.md.

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared, WeakShared};

use super::queue_status::QueueStatus;
use crate::deadline::{Deadline, SharedDeadline};
use crate::error::{Error, Failure};

/// A request for several calls. Each clone stands for one of them.
pub(crate) struct SharedRequest<T: Clone> {
    result: Shared<BoxFuture<'static, T>>,
    deadline: SharedDeadline,
    queue_status: QueueStatus,
}

/// A handle by which more calls may join a shared request. It does not keep the
/// request alive.
#[derive(Debug)]
pub(crate) struct WeakSharedRequest<T: Clone> {
    /// `None` if it had its result when this handle was made.
    result: Option<WeakShared<BoxFuture<'static, T>>>,
    deadline: SharedDeadline,
    queue_status: QueueStatus,
}

impl<T: Clone> SharedRequest<T> {
    /// The request that `fetch` sends. `deadline` is that of its first call.
    pub(crate) fn new<F>(
        deadline: &Deadline,
        fetch: impl FnOnce(Deadline, QueueStatus) -> F,
    ) -> Self
    where
        F: Future<Output = T> + Send + 'static,
    {
        let (all, deadline) = deadline.shared();
        let queue_status = QueueStatus::observed();
        let result = fetch(all, queue_status.clone()).boxed().shared();
        Self {
            result,
            deadline,
            queue_status,
        }
    }

    /// The handle by which others join it.
    pub(crate) fn downgrade(&self) -> WeakSharedRequest<T> {
        WeakSharedRequest {
            result: self.result.downgrade(),
            deadline: self.deadline.clone(),
            queue_status: self.queue_status.clone(),
        }
    }

    /// Waits for the result for the call with this deadline. Fails early if the
    /// request will be sent too late for it.
    pub(crate) async fn result(self, deadline: &Deadline) -> Result<T, Failure> {
        tokio::select! {
            biased;
            result = self.result => Ok(result),
            error = self.queue_status.too_late_for(deadline) => Err(error),
            error = self.queue_status.batch_expired(deadline) => Err(error),
            () = deadline.expired() => {
                let waiting = self.queue_status.waiting();
                Err(Error::DeadlineExceeded(deadline.passed(waiting)).into())
            }
        }
    }
}

impl<T: Clone> WeakSharedRequest<T> {
    /// Joins the request, if it has no result yet and did not start long ago.
    pub(crate) fn join(&self, deadline: &Deadline) -> Option<SharedRequest<T>> {
        if self.queue_status.is_past_join_window() {
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
            queue_status: self.queue_status.clone(),
        })
    }
}

/// Whether a shared request failed because of its other calls' deadlines, while
/// this call has time left: it must send a request of its own.
pub(crate) fn caused_by_peers(error: &Error, deadline: &Deadline) -> bool {
    let remaining = deadline.remaining();
    match error {
        Error::DeadlineExceeded(_) => !remaining.is_zero(),
        Error::RateLimited { delay, .. } => *delay < remaining,
        _ => false,
    }
}
