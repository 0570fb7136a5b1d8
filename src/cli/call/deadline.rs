//! The deadline of a call (`--deadline`), which holds also where the gateway
//! says nothing.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};
use tonic::{Request, Status};

/// Longer than anybody waits, and not longer than a clock or `grpc-timeout` can
/// tell.
const NEVER: Duration = Duration::from_hours(24 * 365 * 30);

/// When the answer must be there, if at any time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Deadline(Option<(Duration, Instant)>);

impl Deadline {
    /// The deadline of a call that is made now and has so much time.
    pub(super) fn after(time: Option<Duration>) -> Self {
        let time = time.map(|time| time.min(NEVER));
        Self(time.map(|time| (time, Instant::now() + time)))
    }

    /// Tells the gateway how much time is left.
    pub(super) fn set<T>(self, request: &mut Request<T>) {
        if let Self(Some((_, end))) = self {
            request.set_timeout(end.saturating_duration_since(Instant::now()));
        }
    }

    /// Waits until it has passed; gives the status of the call, which has got
    /// no further than `before`.
    pub(super) async fn passed(self, before: &str) -> Status {
        let Self(Some((time, end))) = self else {
            return std::future::pending().await;
        };
        sleep_until(end).await;
        Status::deadline_exceeded(format!(
            "the deadline (--deadline {time:?}) passed before {before}"
        ))
    }

    /// Does a part of the call, unless the deadline passes before.
    ///
    /// It is looked at first: tonic's client has a timer of its own for the
    /// time that it sends, which ends no earlier, and would say CANCELLED.
    pub(super) async fn bound<T>(
        self,
        before: &str,
        part: impl Future<Output = Result<T, Status>>,
    ) -> Result<T, Status> {
        tokio::select! {
            biased;
            status = self.passed(before) => Err(status),
            result = part => result,
        }
    }
}

/// What a call waits for when it was sent.
pub(super) const ANSWER: &str = "the answer; a write may have been applied";
