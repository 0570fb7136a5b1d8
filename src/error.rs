//! Why a call failed, and the one place where that becomes a gRPC status.
//!
//! The core returns [`Error`]; [`Failure::into_status`] is called at the edge
//! alone. What a status means to a caller is in README.md, "Errors".

pub(crate) mod chain;
mod code;
mod details;
mod draft;
pub mod fault;
mod message;
mod reason;
mod text;

use std::time::Duration;

use http::HeaderValue;
use tonic::Status;

use crate::error::fault::Fault;
use crate::operation::Spec;
use crate::proto::v1::BulkWriteReport;

pub(crate) use code::{code_name, is_server_fault};
pub(crate) use details::correlation_id;
pub use details::{CORRELATION_ID, MAX_STATUS_BYTES, PUSHBACK};
pub(crate) use reason::is_loggable;
pub use reason::{DOMAIN, Reason, VENDOR_DOMAIN};

/// Why a call failed. Each variant is a different thing to do about it.
#[derive(Debug, Clone)]
pub enum Error {
    /// The request is wrong: nothing was sent.
    Invalid(Vec<Violation>),
    /// The call bears no token that could be forwarded: nothing was sent.
    Unauthenticated(Reason, &'static str),
    /// Too many calls are in flight: nothing was sent.
    Overloaded,
    /// What calls in flight hold takes all the memory there is for it: nothing
    /// was changed.
    MemoryExhausted,
    /// The token's turn comes too late: nothing was sent.
    RateLimited(Duration),
    /// The token holds as many places as one may: nothing was sent.
    TokenConcurrency,
    /// The gateway ends, and the call had waited to be sent: nothing was.
    Draining,
    /// The gateway ends, and with it a stream.
    StreamEnding,
    /// The caller of a stream kept the gateway waiting for so long.
    StreamIdle(Duration),
    /// The caller of a stream sent no id for so long.
    StreamUnused(Duration),
    /// Time ran out and nothing can have been changed by it.
    DeadlineExceeded,
    /// One batch of a stream took as long as it may; nothing was changed by it.
    BatchExpired(Duration),
    /// No request can be made of the call, for a reason that is the gateway's.
    Unsendable(String),
    /// The request never left: no connection to the upstream.
    Unreachable(String),
    /// The request never left, because a proxy refuses it, which it would do
    /// another time as well.
    ProxyRefused(String),
    /// The connection broke while a read was under way.
    ConnectionLost(String),
    /// A write left, and nothing tells whether it was applied.
    OutcomeUnknown(UnknownOutcome),
    /// The upstream answered with a status that is no success.
    UpstreamStatus(&'static Spec, Box<Fault>),
    /// The upstream redirects, which the presence API does not do.
    Redirected(u16),
    /// The upstream reports success with an answer that cannot be read, or
    /// answers a read with a head that cannot.
    Unreadable {
        /// The operation concerned.
        spec: &'static Spec,
        /// What is wrong with the answer, as the end of a sentence.
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
    /// Time ran out.
    DeadlineExceeded,
    /// An earlier part failed, and with it the rest of the call.
    CallFailed,
    /// An earlier update of the same user may be applied later than this one.
    OutcomeUnknown,
}

/// Why it is not known whether a write was applied.
#[derive(Debug, Clone)]
pub enum UnknownOutcome {
    /// Time ran out before the answer.
    DeadlineExceeded,
    /// The connection broke before the answer.
    ConnectionLost(String),
    /// The head of the answer cannot be read.
    Unreadable(String),
    /// Something between us and the vendor gave up: 502 or 504.
    UpstreamStatus(Box<Fault>),
}

/// One field of a request and what is wrong with it.
#[derive(Debug, Clone)]
pub struct Violation {
    /// The path of the field in the request message: `body.presence_definition.id`.
    pub field: String,
    /// What is wrong, as the end of a sentence that begins with the field.
    pub description: String,
}

impl Violation {
    /// A violation of `field`.
    pub fn new(field: impl Into<String>, description: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            description: description.into(),
        }
    }
}

/// An error with what is known besides its kind.
#[derive(Debug, Clone)]
pub struct Failure {
    /// Why the call failed.
    pub error: Error,
    /// The vendor's name for the call, where it gave one: from the header of
    /// its answer, else from the error body.
    pub correlation_id: Option<HeaderValue>,
    /// What became of each update, where a bulk write failed.
    pub report: Option<Box<BulkWriteReport>>,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self {
            error,
            correlation_id: None,
            report: None,
        }
    }
}

impl Error {
    /// The time after which a repetition may succeed, where that is known.
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

    /// What the upstream said, where it refused.
    #[must_use]
    pub fn fault(&self) -> Option<&Fault> {
        match self {
            Self::UpstreamStatus(_, fault)
            | Self::OutcomeUnknown(UnknownOutcome::UpstreamStatus(fault)) => Some(fault),
            _ => None,
        }
    }

    /// Tells that the upstream was sent these elements of the caller's list,
    /// so that a position it names is one of the whole.
    pub(crate) fn locate(&mut self, positions: &[usize]) {
        if let Self::UpstreamStatus(_, fault)
        | Self::OutcomeUnknown(UnknownOutcome::UpstreamStatus(fault)) = self
        {
            fault.positions = positions.to_vec();
        }
    }

    /// Whether the write that failed may have been applied all the same.
    #[must_use]
    pub fn is_outcome_unknown(&self) -> bool {
        matches!(self, Self::OutcomeUnknown(_))
    }

    /// Whether the write was applied although the call failed.
    #[must_use]
    pub fn is_applied(&self) -> bool {
        matches!(self, Self::Unreadable { spec, .. } if !spec.is_read())
    }

    /// Whether the error holds for the whole call, whatever part of it met it.
    #[must_use]
    pub fn is_unauthenticated(&self) -> bool {
        matches!(self, Self::UpstreamStatus(_, fault) if fault.status == 401)
    }
}

impl Failure {
    /// The status that the caller sees.
    ///
    /// `time_left` is the caller's: a client that is told to wait longer than
    /// that waits out its deadline and loses the details, so it is told not to
    /// repeat the call instead.
    #[must_use]
    pub fn into_status(self, time_left: Duration) -> Status {
        details::status(self, time_left)
    }

    /// The status that a part of a bulk call tells in the response: with all
    /// details, and without metadata.
    #[must_use]
    pub fn into_rpc_status(self) -> tonic_types::pb::Status {
        details::rpc_status(self)
    }
}

/// How long a caller shall wait when the gateway is full: long enough for
/// another replica to be tried, short against any deadline.
const OVERLOAD_DELAY: Duration = Duration::from_millis(200);

/// How long to wait after a 429 that does not say.
const THROTTLED_DELAY: Duration = Duration::from_secs(1);
