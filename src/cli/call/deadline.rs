//! The deadline of the client subcommand (`call --deadline`), which the client
//! enforces itself too, in case the gateway does not respond.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};
use tonic::{Request, Status};

use crate::deadline::NEVER;

/// What a call that was sent is waiting for.
pub(super) const RESPONSE: &str = "the response; a write may have been applied";

/// When the response must have arrived, if at any time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Deadline(Option<(Duration, Instant)>);

impl Deadline {
    /// The deadline of a call that begins now; without a timeout there is none.
    pub(super) fn after(timeout: Option<Duration>) -> Self {
        let timeout = timeout.map(|timeout| timeout.min(NEVER));
        Self(timeout.map(|timeout| (timeout, Instant::now() + timeout)))
    }

    /// Sends the remaining time to the gateway.
    pub(super) fn set_timeout<T>(self, request: &mut Request<T>) {
        if let Self(Some((_, end))) = self {
            request.set_timeout(end.saturating_duration_since(Instant::now()));
        }
    }

    /// Runs a part of the call. If the deadline expires first, the status names
    /// the event, `before`, that the call did not reach.
    ///
    /// The deadline is polled first: tonic's client has its own timer for the
    /// timeout that it sends, which would report CANCELLED.
    pub(super) async fn limit<T, E: From<Status>>(
        self,
        before: &str,
        part: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let Self(Some((timeout, end))) = self else {
            return part.await;
        };
        tokio::select! {
            biased;
            () = sleep_until(end) => Err(Status::deadline_exceeded(format!(
                "the deadline (--deadline {timeout:?}) passed before {before}"
            ))
            .into()),
            result = part => result,
        }
    }
}
