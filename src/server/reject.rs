//! The responses of calls that the pipeline rejects.

use std::time::Duration;

use axum::response::Response;
use http::HeaderMap;
use tonic::Code;

use crate::access_log::AccessLog;
use crate::error::{Error, Failure};

/// The response to a call that fails with `error` and has so much time left.
pub(super) fn reject(error: Error, remaining: Duration, access_log: &AccessLog) -> Response {
    let status = Failure::from(error).into_status(remaining);
    access_log.finish_with(&status);
    status.into_http()
}

/// The code of a response. One without a code has a message, so it succeeds.
pub(super) fn code(headers: &HeaderMap) -> Code {
    let status = headers.get(tonic::Status::GRPC_STATUS);
    status.map_or(Code::Ok, |code| Code::from_bytes(code.as_bytes()))
}
