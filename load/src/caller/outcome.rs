//! How a call ended.

use http::HeaderMap;
use presence_gateway::error;
use tonic::{Code, Status};
use tonic_types::StatusExt;

/// How a call ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// OK, with the right response.
    Answered,
    /// OK, with the response to another query, or none.
    WrongAnswer,
    /// An error status: its code, and the reason of its details.
    Status(&'static str, String),
    /// No status, with the cause.
    NoStatus(&'static str),
}

/// The reasons with which a gateway sheds load.
const SHED: [&str; 2] = ["OVERLOADED", "TOKEN_OVERLOADED"];

impl Outcome {
    /// The status in headers or trailers; `None` if they have none.
    pub(super) fn from_headers(headers: &HeaderMap) -> Option<Result<(), Self>> {
        if headers.get(Status::GRPC_STATUS)?.as_bytes() == b"0" {
            return Some(Ok(()));
        }
        let status = Status::from_header_map(headers)?;
        if status.code() == Code::Ok {
            return Some(Ok(()));
        }
        let info = status.get_details_error_info();
        let reason = info.map_or_else(|| "no reason".to_owned(), |info| info.reason);
        Some(Err(Self::Status(error::code_name(status.code()), reason)))
    }

    /// Whether the gateway shed the call.
    #[must_use]
    pub fn is_shed(&self) -> bool {
        matches!(self, Self::Status(_, reason) if SHED.contains(&reason.as_str()))
    }
}
