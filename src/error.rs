//! Why a call failed, and the only place that turns this into a gRPC status.
//!
//! The core returns [`Error`]; only the edge calls [`Failure::into_status`].
//! docs/callers.md describes the statuses for callers.

pub(crate) mod chain;
mod code;
mod details;
pub mod fault;
mod message;
mod reason;
mod status_builder;
mod text;

use std::time::Duration;

use http::HeaderValue;

use crate::error::fault::Fault;
use crate::operation::Spec;
use crate::proto::v1::BulkWriteReport;

pub use crate::operation::Violation;
pub use code::code_name;
pub(crate) use code::is_server_fault;
pub(crate) use details::correlation_id;
pub use details::{CORRELATION_ID, MAX_STATUS_BYTES, PUSHBACK};
pub(crate) use reason::is_loggable;
pub use reason::{DOMAIN, Reason, VENDOR_DOMAIN};

/// Why a call failed. Each variant has its own code, reason and message, in
/// `error/status_builder.rs` and `error/message.rs`.
#[derive(Debug, Clone)]
pub enum Error {
    /// The request is invalid; nothing was sent.
    Invalid(Vec<Violation>),
    /// The call has no valid bearer token; nothing was sent.
    Unauthenticated(Reason, &'static str),
    /// Too many calls are in flight, or too many tokens known; nothing was sent.
    Overloaded,
    /// Calls in flight use all of the memory for messages; nothing was changed.
    MemoryExhausted,
    /// The rate limit lets the token's next request start only after this delay,
    /// which is past the deadline; nothing was sent.
    RateLimited(Duration),
    /// The token is at its limit of concurrent calls; nothing was sent.
    TokenConcurrency,
    /// The gateway shuts down while the call is queued; nothing was sent.
    Draining,
    /// The gateway shuts down during a bulk stream.
    StreamEnding,
    /// The caller of a stream neither sent nor received anything for this long.
    StreamIdle(Duration),
    /// The caller of a stream sent no id within this time of its start.
    StreamUnused(Duration),
    /// The deadline passed; nothing was changed.
    DeadlineExceeded,
    /// A batch of a stream was not answered within this limit; nothing was changed.
    BatchExpired(Duration),
    /// The gateway cannot build a request from the call, for this reason.
    Unsendable(String),
    /// The upstream could not be connected to; nothing was sent.
    Unreachable(String),
    /// A proxy refuses the connection, and would refuse it again; nothing was sent.
    ProxyRefused(String),
    /// The connection broke during a read.
    ConnectionLost(String),
    /// A write was sent, and it is not known whether it was applied.
    OutcomeUnknown(UnknownOutcome),
    /// The upstream answered with an error status.
    UpstreamStatus(&'static Spec, Box<Fault>),
    /// The upstream answered with this redirect; the presence API never redirects.
    Redirected(u16),
    /// The upstream reports success but the body cannot be read; or it answers a
    /// read with a head that cannot be read.
    Unreadable {
        /// The operation.
        spec: &'static Spec,
        /// What is wrong with the answer; ends the message.
        what: String,
    },
    /// A part of a bulk write was not sent.
    NotTried(NotTried),
    /// The request message did not arrive in time; nothing was sent.
    MessageLate(Duration),
    /// The request message is larger than this limit, in bytes.
    MessageTooLarge(usize),
    /// A call that takes one message has more of them; nothing was sent.
    ExtraMessage,
    /// The bytes received are not a message of the RPC, for this reason.
    Malformed(String),
    /// The request is compressed with an encoding that the gateway does not
    /// accept; what tonic says about it.
    UnsupportedEncoding(String),
    /// No RPC has the called path.
    UnknownMethod,
    /// The handler panicked.
    Panicked,
    /// The call has no HTTP/2 stream that its driver could run beside.
    NoStream,
    /// The caller reset its stream, or its connection broke: nobody reads this.
    CallerGone,
    /// The gateway closes the connection of an endless stream.
    ConnectionDraining,
    /// The gateway shuts down, and an endless stream with it.
    ShuttingDown,
}

/// Why a part of a bulk write was not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotTried {
    /// The deadline passed.
    DeadlineExceeded,
    /// An earlier batch failed, and the call with it.
    CallFailed,
    /// An earlier update of the same user may be applied later than this one.
    OutcomeUnknown,
}

/// Why it is not known whether a write was applied.
#[derive(Debug, Clone)]
pub enum UnknownOutcome {
    /// The deadline passed before the answer.
    DeadlineExceeded,
    /// The connection broke before the answer.
    ConnectionLost(String),
    /// The head of the answer cannot be read.
    Unreadable(String),
    /// A proxy in front of the vendor gave up: 502 or 504.
    UpstreamStatus(Box<Fault>),
}

/// An error together with the ids and reports that its status carries.
#[derive(Debug, Clone)]
pub struct Failure {
    /// Why the call failed.
    pub error: Error,
    /// The vendor's correlation id: from the header of its answer, else from the
    /// error body.
    pub correlation_id: Option<HeaderValue>,
    /// The outcome of each update of a failed bulk write.
    pub report: Option<Box<BulkWriteReport>>,
}

impl From<Vec<Violation>> for Error {
    fn from(violations: Vec<Violation>) -> Self {
        Self::Invalid(violations)
    }
}

impl<E: Into<Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self {
            error: error.into(),
            correlation_id: None,
            report: None,
        }
    }
}

impl Error {
    /// The delay after which a retry may succeed, if it is known.
    #[must_use]
    pub fn retry_delay(&self) -> Option<Duration> {
        match self {
            Self::Overloaded | Self::MemoryExhausted | Self::TokenConcurrency | Self::Draining => {
                Some(OVERLOAD_DELAY)
            }
            Self::RateLimited(delay) => Some(*delay),
            Self::UpstreamStatus(_, fault) if fault.status == 429 => {
                Some(fault.retry_after.unwrap_or(THROTTLED_DELAY))
            }
            Self::UpstreamStatus(_, fault) if fault.status == 503 => fault.retry_after,
            _ => None,
        }
    }

    /// The upstream's error answer, if that is the cause.
    #[must_use]
    pub fn fault(&self) -> Option<&Fault> {
        match self {
            Self::UpstreamStatus(_, fault)
            | Self::OutcomeUnknown(UnknownOutcome::UpstreamStatus(fault)) => Some(fault),
            _ => None,
        }
    }

    /// Records which elements of the caller's list were sent upstream, so that
    /// positions in the upstream's error can be mapped to the whole list.
    pub(crate) fn locate(&mut self, positions: &[usize]) {
        if let Self::UpstreamStatus(_, fault)
        | Self::OutcomeUnknown(UnknownOutcome::UpstreamStatus(fault)) = self
        {
            fault.positions = positions.to_vec();
        }
    }

    /// Whether the failed write may have been applied.
    #[must_use]
    pub fn is_outcome_unknown(&self) -> bool {
        matches!(self, Self::OutcomeUnknown(_))
    }

    /// Whether the write was applied although the call failed.
    #[must_use]
    pub fn is_applied(&self) -> bool {
        matches!(self, Self::Unreadable { spec, .. } if !spec.is_read())
    }

    /// Whether the upstream rejects the token, so that the whole call fails.
    #[must_use]
    pub fn is_unauthenticated(&self) -> bool {
        matches!(self, Self::UpstreamStatus(_, fault) if fault.status == 401)
    }
}

/// The retry delay when the gateway is at a limit: long enough to try another
/// replica, short compared to any deadline.
const OVERLOAD_DELAY: Duration = Duration::from_millis(200);

/// The retry delay after a 429 that names none.
const THROTTLED_DELAY: Duration = Duration::from_secs(1);
