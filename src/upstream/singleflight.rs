//! What several calls wait for together: one request, which is led by whoever
//! of them is there, and lasts for as long as one of them is.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared, WeakShared};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use crate::deadline::{Deadline, SharedDeadline};
use crate::error::{Error, Failure};

/// Until when a request is not sent, and what is told to whoever has less time.
///
/// A call by itself has none to tell.
#[derive(Debug, Clone, Default)]
pub(crate) struct QueueNotice(Option<Arc<Told>>);

#[derive(Debug, Default)]
struct Told {
    waiting: watch::Sender<Option<(Instant, Failure)>>,
    /// When the request had its turn for the first time.
    left: OnceLock<Instant>,
}

/// How long after it has left a request may be joined. One that takes longer
/// may never be answered, and would take all that come with it.
const JOIN_WINDOW: Duration = Duration::from_secs(1);

impl QueueNotice {
    /// That of several calls.
    pub(crate) fn shared() -> Self {
        Self(Some(Arc::default()))
    }

    /// Says that the request is not sent before `until`, and why.
    pub(super) fn until(&self, until: Instant, why: impl FnOnce() -> Failure) {
        if let Some(told) = &self.0 {
            told.waiting.send_replace(Some((until, why())));
        }
    }

    /// Says that nothing is waited for any more but the answer.
    pub(super) fn is_over(&self) {
        if let Some(told) = &self.0 {
            let is_first = told.left.set(Instant::now()).is_ok();
            told.waiting
                .send_if_modified(|waiting| waiting.take().is_some() || is_first);
        }
    }

    /// Whether the request has left too long ago for others to wait for it.
    fn is_old(&self) -> bool {
        let left = self.0.as_ref().and_then(|told| told.left.get());
        left.is_some_and(|left| left.elapsed() >= JOIN_WINDOW)
    }

    /// Waits until it is known that the request is sent too late for `deadline`.
    async fn is_too_long(&self, deadline: &Deadline) -> Failure {
        let Some(told) = &self.0 else {
            return std::future::pending().await;
        };
        let mut told = told.waiting.subscribe();
        loop {
            let too_long = told
                .borrow_and_update()
                .as_ref()
                .filter(|(until, _)| *until >= deadline.instant())
                .map(|(_, why)| why.clone());
            if let Some(why) = too_long {
                return why;
            }
            // `self` holds the sender, so that there is a next word to wait for.
            let _ = told.changed().await;
        }
    }

    /// Waits until the request has taken as long, from its first turn on, as
    /// one batch of a stream may.
    pub(super) async fn is_overdue(&self, deadline: &Deadline) -> Failure {
        let (Some(told), Some(limit)) = (&self.0, deadline.batch_limit()) else {
            return std::future::pending().await;
        };
        let mut changes = told.waiting.subscribe();
        let left = loop {
            changes.mark_unchanged();
            match told.left.get() {
                Some(left) => break *left,
                None => drop(changes.changed().await),
            }
        };
        sleep_until(left + limit).await;
        Error::BatchExpired(limit).into()
    }
}

/// What is under way for several calls. A clone is one more of them.
pub(crate) struct SharedRequest<T: Clone> {
    landed: Shared<BoxFuture<'static, T>>,
    horizon: SharedDeadline,
    wait: QueueNotice,
}

/// A flight that others may join while it is under way.
pub(crate) struct WeakSharedRequest<T: Clone> {
    landed: WeakShared<BoxFuture<'static, T>>,
    horizon: SharedDeadline,
    wait: QueueNotice,
}

impl<T: Clone> SharedRequest<T> {
    /// A flight that ends with what `leads` comes to. The first call to be in
    /// it is that of `deadline`.
    pub(crate) fn new<F>(
        deadline: &Deadline,
        leads: impl FnOnce(Deadline, QueueNotice) -> F,
    ) -> Self
    where
        F: Future<Output = T> + Send + 'static,
    {
        let (shared, horizon) = deadline.shared();
        let wait = QueueNotice::shared();
        let landed = leads(shared, wait.clone()).boxed().shared();
        Self {
            landed,
            horizon,
            wait,
        }
    }

    /// What others join it by.
    pub(crate) fn downgrade(&self) -> Option<WeakSharedRequest<T>> {
        Some(WeakSharedRequest {
            landed: self.landed.downgrade()?,
            horizon: self.horizon.clone(),
            wait: self.wait.clone(),
        })
    }

    /// Waits for its end, for as long as the call has time.
    ///
    /// # Errors
    ///
    /// That the call's time does not suffice, as soon as that is known.
    pub(crate) async fn result(self, deadline: &Deadline) -> Result<T, Failure> {
        tokio::select! {
            biased;
            landed = self.landed => Ok(landed),
            why = self.wait.is_too_long(deadline) => Err(why),
            why = self.wait.is_overdue(deadline) => Err(why),
            () = deadline.expired() => Err(Error::DeadlineExceeded.into()),
        }
    }
}

impl<T: Clone> WeakSharedRequest<T> {
    /// One more call in it, if it has not ended, and has not left long ago.
    pub(crate) fn join(&self, deadline: &Deadline) -> Option<SharedRequest<T>> {
        if self.wait.is_old() {
            return None;
        }
        let landed = self.landed.upgrade()?;
        // What is there already is of before.
        if landed.peek().is_some() {
            return None;
        }
        self.horizon.extend(deadline);
        Some(SharedRequest {
            landed,
            horizon: self.horizon.clone(),
            wait: self.wait.clone(),
        })
    }
}

/// Whether an error tells of time that the other calls did not have, and this
/// one has.
pub(crate) fn caused_by_peers(error: &Error, deadline: &Deadline) -> bool {
    let left = deadline.remaining();
    match error {
        Error::DeadlineExceeded => !left.is_zero(),
        Error::RateLimited(delay) => *delay < left,
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
    async fn a_batch_of_a_stream_is_overdue_so_long_after_its_first_turn_and_not_before() {
        let deadline = POLICY.for_stream(&HeaderMap::new());
        let wait = QueueNotice::shared();
        let mut overdue = pin!(wait.is_overdue(&deadline));
        // It waits for its turn.
        tokio::select! {
            biased;
            why = &mut overdue => panic!("{why:?} before it had its turn"),
            () = sleep(MAX * 10) => {}
        }
        wait.is_over();
        let begun = Instant::now();
        tokio::select! {
            biased;
            why = &mut overdue => panic!("{why:?} at its turn"),
            () = sleep(MAX / 2) => {}
        }
        // It waits once more, to be sent again: that is not its first turn.
        wait.until(Instant::now() + MAX * 2, || Error::DeadlineExceeded.into());
        wait.is_over();
        let why = overdue.await;
        assert!(matches!(why.error, Error::BatchExpired(MAX)), "{why:?}");
        assert_eq!(begun.elapsed(), MAX);
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_is_no_stream_has_its_deadline_and_no_other_limit() {
        let deadline = POLICY.for_call(&HeaderMap::new());
        let wait = QueueNotice::shared();
        wait.is_over();
        tokio::select! {
            biased;
            why = wait.is_overdue(&deadline) => panic!("{why:?}"),
            () = sleep(MAX * 10) => {}
        }
    }
}
