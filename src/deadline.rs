//! The time that a call has left.

mod drain;
mod grpc_timeout;

use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

pub use drain::Drain;

/// How much earlier than the caller's deadline the gateway answers, so that
/// the answer, with its details, is there before the caller gives up.
const RESPONSE_MARGIN: Duration = Duration::from_millis(10);

/// The same for a stream, whose caller has a last message to read before it.
const STREAM_MARGIN: Duration = Duration::from_millis(250);

/// Longer than any process lasts, and not longer than a clock can tell.
const NEVER: Duration = Duration::from_hours(24 * 365 * 30);

/// The moment at which a call must have been answered: its own, or the end of
/// the drain where the gateway itself ends before.
#[derive(Debug, Clone)]
pub struct Deadline {
    own: End,
    drain: Drain,
    batch_limit: Option<Duration>,
}

#[derive(Debug, Clone)]
enum End {
    At(Instant),
    /// As late as the last of several calls.
    Shared(SharedDeadline),
}

/// The end of what several calls wait for: that of the one with most time. A
/// clone is the same one.
#[derive(Debug, Clone)]
pub struct SharedDeadline(Arc<watch::Sender<Instant>>);

impl SharedDeadline {
    /// Extends it to the end of one more call.
    pub fn extend(&self, deadline: &Deadline) {
        let end = deadline.own.instant();
        self.0.send_if_modified(|shared| {
            let is_later = end > *shared;
            *shared = end.max(*shared);
            is_later
        });
    }
}

impl End {
    fn instant(&self) -> Instant {
        match self {
            Self::At(end) => *end,
            Self::Shared(shared) => *shared.0.borrow(),
        }
    }

    async fn expired(&self) {
        match self {
            Self::At(end) => sleep_until(*end).await,
            Self::Shared(shared) => {
                let mut changes = shared.0.subscribe();
                loop {
                    let end = *changes.borrow_and_update();
                    tokio::select! {
                        // `self` holds the sender, so that it cannot fail.
                        _ = changes.changed() => {}
                        () = sleep_until(end) => return,
                    }
                }
            }
        }
    }
}

/// Which deadlines are given.
#[derive(Debug, Clone, Copy)]
pub struct DeadlinePolicy {
    /// For a call that asks for none.
    pub default: Duration,
    /// The longest that a call can ask for.
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
        Deadline::after(
            requested_timeout(headers, RESPONSE_MARGIN)
                .unwrap_or(self.default)
                .min(self.max),
        )
    }

    /// The deadline of a stream that is opened now with these headers: the
    /// one that it asks for, however late, or none. One batch of it has no
    /// longer than any other call.
    #[must_use]
    pub fn for_stream(&self, headers: &HeaderMap) -> Deadline {
        let time =
            requested_timeout(headers, STREAM_MARGIN).map_or(NEVER, |asked| asked.min(NEVER));
        Deadline {
            batch_limit: Some(self.max),
            ..Deadline::after(time)
        }
    }
}

/// The time that a call asks for, and has here.
fn requested_timeout(headers: &HeaderMap, margin: Duration) -> Option<Duration> {
    let asked = grpc_timeout::of(headers)?;
    Some(asked.saturating_sub(margin.min(asked / 10)))
}

impl Deadline {
    fn after(time: Duration) -> Self {
        Self {
            own: End::At(Instant::now() + time),
            drain: Drain::default(),
            batch_limit: None,
        }
    }

    /// How long one batch of a stream may take from its first request on:
    /// waiting for the token's turn is not counted. `None` for a call that is
    /// no stream, whose deadline is the only limit.
    #[must_use]
    pub fn batch_limit(&self) -> Option<Duration> {
        self.batch_limit
    }

    /// The deadline of what several calls wait for, of which this one is the
    /// first, and how the others extend it.
    #[must_use]
    pub fn shared(&self) -> (Self, SharedDeadline) {
        let shared = SharedDeadline(Arc::new(watch::Sender::new(self.own.instant())));
        let deadline = Self {
            own: End::Shared(shared.clone()),
            drain: self.drain.clone(),
            // Each of them keeps its own.
            batch_limit: None,
        };
        (deadline, shared)
    }

    /// The same deadline, cut by a drain, also by one that begins later.
    #[must_use]
    pub fn with_drain(self, drain: Drain) -> Self {
        Self { drain, ..self }
    }

    /// The moment itself, as far as it is known now.
    #[must_use]
    pub fn instant(&self) -> Instant {
        let own = self.own.instant();
        self.drain.end().map_or(own, |end| end.min(own))
    }

    /// The time left; zero when there is none.
    #[must_use]
    pub fn remaining(&self) -> Duration {
        self.instant().saturating_duration_since(Instant::now())
    }

    /// Runs a future for the time left; `None` where that is not enough, and
    /// the future is dropped.
    pub async fn timeout<F: Future>(&self, future: F) -> Option<F::Output> {
        tokio::select! {
            biased;
            output = future => Some(output),
            () = self.expired() => None,
        }
    }

    /// Waits until there is no time left.
    pub async fn expired(&self) {
        tokio::select! {
            () = self.own.expired() => {}
            end = self.drain.begun() => tokio::select! {
                () = self.own.expired() => {}
                () = sleep_until(end) => {}
            },
        }
    }

    /// Whether there is no time left.
    #[must_use]
    pub fn is_expired(&self) -> bool {
        self.remaining().is_zero()
    }

    /// The drain that cuts it: what only waits should not wait through that.
    #[must_use]
    pub fn drain(&self) -> &Drain {
        &self.drain
    }
}

#[cfg(test)]
mod tests {
    use super::grpc_timeout::GRPC_TIMEOUT;
    use super::*;

    #[tokio::test]
    async fn a_deadline_is_the_callers_capped_or_the_default() {
        tokio::time::pause();
        let policy = DeadlinePolicy {
            default: Duration::from_secs(30),
            max: Duration::from_secs(120),
        };
        let left = |timeout: Option<&'static str>| {
            let headers = timeout.map(|t| (GRPC_TIMEOUT.parse().unwrap(), t.parse().unwrap()));
            policy.for_call(&headers.into_iter().collect()).remaining()
        };
        assert_eq!(left(None), Duration::from_secs(30));
        assert_eq!(left(Some("999m")), Duration::from_millis(989));
        assert_eq!(left(Some("50m")), Duration::from_millis(45));
        assert_eq!(left(Some("0n")), Duration::ZERO);
        assert_eq!(left(Some("1H")), Duration::from_secs(120));
        assert_eq!(left(Some("3600000000m")), Duration::from_secs(120));
        assert_eq!(left(Some("soon")), Duration::from_secs(30));
    }

    #[tokio::test]
    async fn what_core_clients_round_up_is_cut_by_as_much() {
        tokio::time::pause();
        let policy = DeadlinePolicy {
            default: Duration::from_secs(30),
            max: Duration::from_hours(24),
        };
        let left = |timeout: &'static str| {
            let headers = [(GRPC_TIMEOUT.parse().unwrap(), timeout.parse().unwrap())];
            policy
                .for_call(&headers.into_iter().collect())
                .remaining()
                .as_millis()
        };
        // What grpcio sends for 2, 10, 100 and 1000 seconds.
        assert_eq!(left("2010m"), 1990);
        assert_eq!(left("10100m"), 9_990);
        assert_eq!(left("101S"), 99_990);
        assert_eq!(left("1010S"), 999_990);
        assert_eq!(left("10100S"), 9_999_990);
        // Others tell it as it is.
        assert_eq!(left("2009m"), 1999);
        assert_eq!(left("9999871u"), 9989);
        assert_eq!(left("119998m"), 119_988);
    }

    #[tokio::test]
    async fn a_drain_cuts_the_time_of_a_call_that_is_under_way() {
        tokio::time::pause();
        let policy = DeadlinePolicy {
            default: Duration::from_secs(30),
            max: Duration::from_secs(120),
        };
        let drain = Drain::default();
        let long = policy.for_call(&HeaderMap::new()).with_drain(drain.clone());
        let short = [(GRPC_TIMEOUT.parse().unwrap(), "1S".parse().unwrap())];
        let short = policy
            .for_call(&short.into_iter().collect())
            .with_drain(drain.clone());
        let begun = Instant::now();
        let (cut, ()) = tokio::join!(long.timeout(std::future::pending::<()>()), async {
            drain.begin(Instant::now() + Duration::from_secs(10));
        });
        assert_eq!(cut, None);
        assert_eq!(begun.elapsed().as_secs(), 10);
        assert!(long.is_expired());
        // It grants nobody more than they had, and is not put off.
        drain.begin(Instant::now() + Duration::from_secs(60));
        assert!(long.is_expired() && short.is_expired());
        let late = policy.for_call(&HeaderMap::new()).with_drain(drain);
        assert_eq!(late.timeout(async { 1 }).await, Some(1));
        assert!(late.is_expired());
    }

    #[tokio::test]
    async fn a_drain_leaves_a_shorter_time_as_it_is() {
        tokio::time::pause();
        let policy = DeadlinePolicy {
            default: Duration::from_secs(3),
            max: Duration::from_secs(3),
        };
        let drain = Drain::default();
        let deadline = policy.for_call(&HeaderMap::new()).with_drain(drain.clone());
        drain.begin(Instant::now() + Duration::from_secs(10));
        let begun = Instant::now();
        deadline.expired().await;
        assert_eq!(begun.elapsed().as_secs(), 3);
    }
}
