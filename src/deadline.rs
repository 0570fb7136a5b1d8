//! How long a call may take. `server/pipeline/deadline.rs` enforces it, and
//! `cli/call/deadline.rs` is that of the client subcommand.

mod drain;
mod grpc_timeout;
mod shared;
#[cfg(test)]
mod tests;

use std::time::Duration;

use http::HeaderMap;
use tokio::time::{Instant, sleep_until};

use crate::error::{Expired, TimeLimit, Waiting};

pub use drain::Drain;
pub(crate) use shared::SharedDeadline;

/// How much earlier than the caller's deadline the gateway responds, so that the
/// status, with its details, arrives before the caller gives up.
const RESPONSE_MARGIN: Duration = Duration::from_millis(10);

/// The same for a stream, whose caller reads a last message before the status.
const STREAM_MARGIN: Duration = Duration::from_millis(250);

/// A timeout that never expires: longer than any process runs, and within the
/// range of the clock and of `grpc-timeout`.
pub(crate) const NEVER: Duration = Duration::from_hours(24 * 365 * 30);

/// When a call must have ended: at its own deadline, or at the end of the
/// gateway's drain if that is earlier.
#[derive(Debug, Clone)]
pub struct Deadline {
    own: End,
    drain: Drain,
    batch_limit: Option<Duration>,
    /// Where [`Self::own`] came from.
    limit: TimeLimit,
}

#[derive(Debug, Clone)]
enum End {
    At(Instant),
    Shared(SharedDeadline),
}

impl End {
    fn instant(&self) -> Instant {
        match self {
            Self::At(end) => *end,
            Self::Shared(shared) => shared.instant(),
        }
    }

    async fn expired(&self) {
        match self {
            Self::At(end) => sleep_until(*end).await,
            Self::Shared(shared) => shared.expired().await,
        }
    }
}

/// How calls get their deadlines.
#[derive(Debug, Clone, Copy)]
pub struct DeadlinePolicy {
    /// The timeout of a call that requests none.
    pub default: Duration,
    /// The longest timeout that a call may request.
    pub max: Duration,
}

impl Default for DeadlinePolicy {
    fn default() -> Self {
        Self {
            default: Duration::from_secs(30),
            max: Duration::from_mins(2),
        }
    }
}

impl DeadlinePolicy {
    /// The deadline of a call that arrives now with these headers.
    ///
    /// A malformed `grpc-timeout` counts as none.
    #[must_use]
    pub fn for_call(&self, headers: &HeaderMap) -> Deadline {
        let requested = requested_timeout(headers, RESPONSE_MARGIN);
        let limit = match grpc_timeout::from_headers(headers) {
            None => TimeLimit::Default(self.default.min(self.max)),
            Some(requested) if requested > self.max => TimeLimit::Max(self.max),
            Some(requested) => TimeLimit::Caller(requested),
        };
        let timeout = requested.unwrap_or(self.default).min(self.max);
        Deadline::after(timeout, limit)
    }

    /// The deadline of a stream that is opened now with these headers: the one
    /// that it requests, however late, or none. One batch of it may take as long
    /// as a call may.
    #[must_use]
    pub fn for_stream(&self, headers: &HeaderMap) -> Deadline {
        let timeout = requested_timeout(headers, STREAM_MARGIN);
        let requested = grpc_timeout::from_headers(headers).unwrap_or(NEVER);
        let timeout = timeout.unwrap_or(NEVER).min(NEVER);
        Deadline {
            batch_limit: Some(self.max),
            ..Deadline::after(timeout, TimeLimit::Caller(requested))
        }
    }
}

/// The timeout that a call requests, less the margin for the response.
fn requested_timeout(headers: &HeaderMap, margin: Duration) -> Option<Duration> {
    let timeout = grpc_timeout::from_headers(headers)?;
    Some(timeout.saturating_sub(margin.min(timeout / 10)))
}

impl Deadline {
    /// The deadline of the gateway's own requests: none but the drain, and a limit for
    /// each request from its permit on.
    pub(crate) fn of_own_requests(limit: Duration, drain: Drain) -> Self {
        Self {
            batch_limit: Some(limit),
            ..Self::after(NEVER, TimeLimit::Default(NEVER)).with_drain(drain)
        }
    }

    fn after(timeout: Duration, limit: TimeLimit) -> Self {
        Self {
            own: End::At(Instant::now() + timeout),
            drain: Drain::default(),
            batch_limit: None,
            limit,
        }
    }

    /// Where the deadline came from, as it is known now.
    pub(crate) fn limit(&self) -> TimeLimit {
        let own = self.own.instant();
        match self.drain.end() {
            Some(end) if end < own => TimeLimit::Drain,
            _ => self.limit,
        }
    }

    /// The report that it passed while the call waited for this.
    pub(crate) fn passed(&self, waiting: Waiting) -> Expired {
        let limit = self.limit();
        Expired { limit, waiting }
    }

    /// How long one batch of a stream may take from its first permit on, so
    /// that waiting for the rate limiter does not count. `None` for a call that
    /// is no stream, whose deadline is its only limit.
    pub(crate) fn batch_limit(&self) -> Option<Duration> {
        self.batch_limit
    }

    /// The deadline of a request for several calls, of which this is the first,
    /// and the handle by which the others extend it.
    pub(crate) fn shared(&self) -> (Self, SharedDeadline) {
        let shared = SharedDeadline::new(self.own.instant());
        let deadline = Self {
            own: End::Shared(shared.clone()),
            drain: self.drain.clone(),
            // Each call keeps its own.
            batch_limit: None,
            limit: self.limit,
        };
        (deadline, shared)
    }

    /// The same deadline, or the end of the drain once that begins.
    pub(crate) fn with_drain(self, drain: Drain) -> Self {
        Self { drain, ..self }
    }

    /// The deadline as it is known now: a drain or another call may change it.
    pub(crate) fn instant(&self) -> Instant {
        let own = self.own.instant();
        self.drain.end().map_or(own, |end| end.min(own))
    }

    /// The time until the deadline; zero if it has expired.
    #[must_use]
    pub fn remaining(&self) -> Duration {
        self.instant().saturating_duration_since(Instant::now())
    }

    /// Whether it has expired.
    pub(crate) fn is_expired(&self) -> bool {
        self.remaining().is_zero()
    }

    /// Runs a future until the deadline. Returns `None`, and drops the future,
    /// if it is not ready by then.
    pub(crate) async fn timeout<F: Future>(&self, future: F) -> Option<F::Output> {
        tokio::select! {
            biased;
            output = future => Some(output),
            () = self.expired() => None,
        }
    }

    /// Waits until it has expired.
    pub(crate) async fn expired(&self) {
        tokio::select! {
            () = self.own.expired() => {}
            () = async { sleep_until(self.drain.begun().await).await } => {}
        }
    }

    /// The gateway's drain. Code that has sent nothing yet stops waiting when it
    /// begins.
    pub(crate) fn drain(&self) -> &Drain {
        &self.drain
    }
}
