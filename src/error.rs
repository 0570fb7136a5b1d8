//! Why a call failed, and the only place that turns this into a gRPC status.
//!
//! All modules return [`Error`]; only `server` and `grpc` call
//! [`Failure::into_status`]. docs/errors.md describes the statuses for callers.

pub(crate) mod chain;
mod code;
mod details;
mod expired;
mod failure;
mod message;
mod outcome;
mod reason;
pub mod response;
mod retry_delay;
mod status_builder;
mod text;

use std::time::Duration;

use crate::error::response::ErrorResponse;
use crate::operation::Spec;
pub use crate::operation::Violation;
pub use code::code_name;
pub(crate) use code::is_server_fault;
pub(crate) use details::correlation_id;
pub use details::{CORRELATION_ID, MAX_STATUS_BYTES, PUSHBACK};
pub use expired::{Expired, TimeLimit, Waiting};
pub use failure::Failure;
pub use outcome::{NotTried, UnknownOutcome, UnreadableBody};
pub(crate) use reason::is_loggable;
pub use reason::{DOMAIN, Reason, VENDOR_DOMAIN};
pub(crate) use status_builder::{CUT_BY_SHUTDOWN, DEADLINE};

/// Why a call failed, and what the caller can do. `error/status_builder.rs` gives
/// each variant its code and reason.
#[allow(missing_docs, reason = "the messages say it")]
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    #[error("{}", message::invalid(.0))]
    Invalid(Vec<Violation>),
    /// The call has no valid bearer token; nothing was sent.
    #[error("{1}")]
    Unauthenticated(Reason, &'static str),
    /// The metadata `genesys-region` chooses no region that is served, the names of
    /// which are `served`; nothing was sent.
    #[error("{}", message::region(.problem, .served.as_deref()))]
    RegionNotServed {
        problem: String,
        served: Option<String>,
    },
    #[error(
        "the gateway is at its limit of concurrent calls (--max-in-flight) or of tokens; \
        nothing was sent; try again after a delay"
    )]
    Overloaded,
    /// A watch of health or a stream of reflection beyond their fixed number.
    #[error(
        "the gateway serves as many streams of this RPC as it may; open another one when some \
        have ended, or at another replica"
    )]
    TooManyStreams,
    #[error(
        "calls in flight use all of the gateway's memory for messages (--message-memory), or \
        this token's share of it; nothing was changed; try again after a delay"
    )]
    MemoryExhausted,
    #[error(
        "the gateway is at its limit of watches (--max-watches); watch again after a delay that \
        grows: a place is free when another watch ends"
    )]
    TooManyWatches,
    #[error("the gateway serves no watches (--max-watches 0); poll by bulk reads")]
    WatchesOff,
    #[error(
        "the token already uses its share (25 %) of watches (--max-watches); watch more users in \
        one call, or end other watches"
    )]
    TokenWatches,
    #[error("{}", message::topic_rejected(.why.as_deref(), .permissions))]
    TopicRejected {
        why: Option<String>,
        permissions: Vec<String>,
    },
    #[error("there are no notifications of changes: {0}")]
    NotificationsUnavailable(String),
    #[error("the vendor has revoked the token; watch again with another one")]
    TokenRevoked,
    #[error(
        "the caller read nothing for {0:?} (--stream-idle-timeout); watch again, and read while \
        the watch lasts"
    )]
    WatchIdle(Duration),
    /// A newer message needed the place or the memory of one that was arriving.
    #[error(
        "the request message was still arriving when newer ones needed its place; nothing was \
        sent; send the message at once, or try again after a delay"
    )]
    MessageEvicted,
    /// The rate limit lets the token's next request start only after this delay,
    /// which is past the deadline; nothing was sent.
    #[error("{}", message::rate_limited(*delay, *refused))]
    RateLimited {
        delay: Duration,
        /// How long ago the vendor refused a request of the token with 429, if that
        /// is why it waits.
        refused: Option<Duration>,
    },
    #[error(
        "the token already uses its share (25 %) of concurrent calls; nothing was sent; try \
        again when other calls have finished"
    )]
    TokenConcurrency,
    #[error(
        "the gateway is shutting down; the call was still queued, and nothing was sent; try \
        again, another replica will answer"
    )]
    Draining,
    #[error(
        "the gateway is shutting down; the last message lists the ids that were not read; \
        open another stream for them, another replica will answer"
    )]
    StreamEnding,
    #[error(
        "the caller neither sent nor received anything for {0:?} (--stream-idle-timeout); \
        open another stream for the remaining ids"
    )]
    StreamIdle(Duration),
    #[error(
        "no id arrived within {0:?} of the start of the stream; open the stream when there \
        are ids to read"
    )]
    StreamUnused(Duration),
    #[error("{0}; nothing was changed by this call")]
    DeadlineExceeded(Expired),
    #[error(
        "the presence API did not answer this request within {0:?} (--max-deadline, or 20 s for \
        a watch); the stream continues"
    )]
    BatchExpired(Duration),
    #[error("the call cannot be turned into a request to the presence API: {0}")]
    Unsendable(String),
    /// The upstream's address, and the cause.
    #[error("the gateway cannot connect to the presence API at {0}; nothing was sent")]
    Unreachable(String),
    /// The upstream says that it has not processed the request, or never got it.
    #[error("the presence API at {why} did not process the request")]
    NotProcessed {
        /// Its address, and how it says so.
        why: String,
        /// Whether the connection was ended without an error. Then the request is sent
        /// again, as the same attempt.
        is_end: bool,
    },
    /// A proxy refuses the connection, and would refuse it again; nothing was sent.
    #[error("the gateway cannot connect to the presence API at {0}; nothing was sent")]
    ProxyRefused(String),
    /// The connection broke during a read.
    #[error("the gateway's connection to the presence API broke before the response arrived: {0}")]
    ConnectionLost(String),
    /// A write was sent, and it is not known whether it was applied.
    #[error(
        "the change may or may not have been applied; read the current state before you \
        repeat it: {0}"
    )]
    OutcomeUnknown(UnknownOutcome),
    #[error("{}", message::with_permissions(.0, .1))]
    UpstreamStatus(&'static Spec, Box<ErrorResponse>),
    /// The response is this redirect; the presence API never redirects.
    #[error(
        "the presence API answered with a redirect ({0}), which the gateway does not follow; \
        check the gateway's region or upstream URL"
    )]
    Redirected(u16),
    /// The response is a success, but its body cannot be read; or the head of the
    /// response to a read cannot be read.
    #[error("{}", message::unreadable(spec, *http_status, what))]
    Unreadable {
        spec: &'static Spec,
        /// `None` if not even the status can be read.
        http_status: Option<u16>,
        what: UnreadableBody,
    },
    #[error("not sent, because {0}")]
    NotTried(NotTried),
    #[error("the request message did not arrive within {0:?} of its headers; nothing was sent")]
    MessageLate(Duration),
    #[error(
        "the message is larger than the limit of {0} bytes; split the request into several \
        calls or messages"
    )]
    MessageTooLarge(usize),
    #[error("the call has more than one message; nothing was sent; make one call for each message")]
    ExtraMessage,
    #[error("the request is not a message of this RPC: {0}")]
    Malformed(String),
    /// The request is compressed with an encoding that the gateway does not
    /// accept; what tonic says about it.
    #[error(
        "the request is compressed with an unsupported encoding; use gzip, or send it \
        uncompressed: {0}"
    )]
    UnsupportedEncoding(String),
    #[error(
        "there is no such RPC; the services are genesys.presence.v1.PresenceService, \
        genesys.presence.v1.PresenceStreamService, genesys.presence.v1.PresenceWatchService and \
        genesys.presence.v1.LegacyPresenceService; server reflection lists their RPCs"
    )]
    UnknownMethod,
    /// The handler panicked.
    #[error(
        "the gateway failed while it handled this call, which is a bug in the gateway; if the \
        call is a write, it may have been applied"
    )]
    Panicked,
    /// The call has no HTTP/2 stream that its driver could run beside.
    #[error("the call does not run on an HTTP/2 stream of the gateway")]
    NoStream,
    /// The caller reset its stream, or its connection broke: nobody reads this.
    #[error("the caller reset the stream, or its connection broke")]
    CallerGone,
    /// The gateway closes the connection of an endless stream.
    #[error(
        "the connection is being closed because of its age; open the stream again on a new \
        connection"
    )]
    ConnectionDraining,
    /// The gateway shuts down, and an endless stream with it.
    #[error("the gateway is shutting down; call again: another replica will answer")]
    ShuttingDown,
}

impl From<Vec<Violation>> for Error {
    fn from(violations: Vec<Violation>) -> Self {
        Self::Invalid(violations)
    }
}

impl Error {
    /// The upstream's error response, if that is the cause.
    #[must_use]
    pub fn response(&self) -> Option<&ErrorResponse> {
        match self {
            Self::UpstreamStatus(_, response)
            | Self::OutcomeUnknown(UnknownOutcome::UpstreamStatus(response)) => Some(response),
            _ => None,
        }
    }

    /// The same without the texts of the response, but its status and code: they may have
    /// ids that are not of the caller who gets this.
    pub(crate) fn without_upstream_texts(mut self) -> Self {
        if let Self::UpstreamStatus(_, response) = &mut self {
            response.remove_texts();
        }
        self
    }

    /// Records which elements of the caller's list were sent upstream, so that
    /// positions in the upstream's error can be mapped to the whole list.
    pub(crate) fn set_sent_positions(&mut self, positions: &[usize]) {
        if let Self::UpstreamStatus(_, response)
        | Self::OutcomeUnknown(UnknownOutcome::UpstreamStatus(response)) = self
        {
            response.positions = positions.to_vec();
        }
    }

    /// Sets where the deadline that passed came from: several calls may have waited
    /// for one request.
    pub(crate) fn set_time_limit(&mut self, limit: TimeLimit) {
        if let Self::DeadlineExceeded(expired)
        | Self::OutcomeUnknown(UnknownOutcome::DeadlineExceeded(expired)) = self
        {
            expired.limit = limit;
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
        matches!(self, Self::Unreadable { spec, .. } if !spec.is_read)
    }

    /// Whether the upstream rejects the token, so that the whole call fails.
    #[must_use]
    pub fn is_unauthenticated(&self) -> bool {
        matches!(self, Self::UpstreamStatus(_, response) if response.status == 401)
    }
}
