//! How a call ended.

use http::HeaderMap;
use presence_gateway::access_log;
use tonic::{Code, Status};
use tonic_types::StatusExt;

/// How a call ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// With an answer to what was asked.
    Answered,
    /// With success, and an answer to something else, or none.
    Wrong,
    /// With a status of the gateway's: its code, and the reason in its details.
    Refused(&'static str, String),
    /// Without a status; in this way.
    Lost(&'static str),
}

/// The reasons of a gateway that has no place for the call.
const SHED: [&str; 2] = ["OVERLOADED", "TOKEN_OVERLOADED"];

impl Outcome {
    /// What the headers or the trailers say that end an answer; nothing where
    /// they have no status.
    pub(super) fn of(headers: &HeaderMap) -> Option<Result<(), Self>> {
        if headers.get(Status::GRPC_STATUS)?.as_bytes() == b"0" {
            return Some(Ok(()));
        }
        let status = Status::from_header_map(headers)?;
        if status.code() == Code::Ok {
            return Some(Ok(()));
        }
        let info = status.get_details_error_info();
        let reason = info.map_or_else(|| "no reason".to_owned(), |info| info.reason);
        Some(Err(Self::Refused(access_log::name(status.code()), reason)))
    }

    /// Whether the gateway refused the call because it has no place for it.
    #[must_use]
    pub fn is_shed(&self) -> bool {
        matches!(self, Self::Refused(_, reason) if SHED.contains(&reason.as_str()))
    }
}
