//! The deadline of the client subcommand (`call --deadline`), which the client
//! enforces itself too, in case the gateway does not respond.

use std::time::Duration;

use prost_reflect::MethodDescriptor;
use prost_types::MethodOptions;
use prost_types::method_options::IdempotencyLevel;
use tokio::time::{Instant, sleep_until};
use tonic::{Request, Status};

use crate::deadline::NEVER;

/// What a call that was sent is waiting for, and what the wait means for it.
pub(super) fn response(method: &MethodDescriptor) -> &'static str {
    let options = method.method_descriptor_proto().options.as_ref();
    let level = options.map(MethodOptions::idempotency_level);
    if level == Some(IdempotencyLevel::NoSideEffects) {
        "the response; a read changes nothing, so repeat it with a longer --deadline"
    } else {
        "the response; the write may have been applied, so read before you repeat it"
    }
}

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
