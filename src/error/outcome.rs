//! Why the outcome of a write is not known, why a part of it was not sent, and why a
//! response cannot be read.

use super::Expired;
use super::message;
use super::response::ErrorResponse;

/// Why a part of a bulk write was not sent.
#[allow(missing_docs, reason = "the messages say it")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotTried {
    #[error("the deadline passed")]
    DeadlineExceeded,
    /// An earlier batch failed, and the call with it.
    #[error("an earlier batch of the call failed")]
    CallFailed,
    /// An earlier update of the same user may be applied later than this one.
    #[error(
        "an earlier update of the same user may still be applied; read the user's presence \
        before you repeat it"
    )]
    OutcomeUnknown,
}

/// Why it is not known whether a write was applied.
#[allow(missing_docs, reason = "the messages say it")]
#[derive(Debug, Clone, thiserror::Error)]
pub enum UnknownOutcome {
    #[error("{0}")]
    DeadlineExceeded(Expired),
    #[error("the connection broke before the response arrived: {0}")]
    ConnectionLost(String),
    #[error("the response of the presence API cannot be read: {0}")]
    Unreadable(String),
    /// A proxy in front of the vendor gave up: 502 or 504.
    #[error("{}", message::upstream_message(.0))]
    UpstreamStatus(Box<ErrorResponse>),
}

/// Why the response to a request cannot be read. No part of it is ever shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UnreadableBody {
    /// It is a page for people: something else than the vendor's API answered.
    Html,
    /// It is not what the operation promises; how it differs.
    Other(String),
}
