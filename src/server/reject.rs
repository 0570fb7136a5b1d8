//! Answers that a call gets before or behind its handler.

use axum::response::Response;
use http::HeaderMap;
use tonic::Code;

use crate::access_log::AccessLog;
use crate::deadline::Deadline;
use crate::error::{Error, Failure};

/// Answers a call with an error of the gateway's own.
pub(super) fn refuse(error: Error, deadline: &Deadline, record: Option<AccessLog>) -> Response {
    let status = Failure::from(error).into_status(deadline.remaining());
    if let Some(record) = record {
        record.finish_with(&status);
    }
    status.into_http()
}

/// The code of a response; one that has none yet has a message, so it is a success.
pub(super) fn code(headers: &HeaderMap) -> Code {
    let status = headers.get(tonic::Status::GRPC_STATUS);
    status.map_or(Code::Ok, |code| Code::from_bytes(code.as_bytes()))
}
