//! Rewrites the statuses that tonic makes: adds our details, and corrects codes.

use axum::response::Response;
use tonic::{Code, Status};

use super::Call;
use crate::error::Error;
use crate::server::reject::code;

/// The header that lists the accepted compressions.
const ACCEPT_ENCODING: &str = "grpc-accept-encoding";

/// Replaces a response that tonic made; all others have details already.
pub(super) fn map_tonic_errors(response: Response, call: &Call) -> Response {
    let headers = response.headers();
    let Some(status) = Status::from_header_map(headers) else {
        return response;
    };
    if status.code() == Code::Ok || !status.details().is_empty() {
        return response;
    }
    let mut rejected = call.reject(map(code(headers), status.message()));
    // How the caller may compress instead.
    if let Some(accepted) = headers.get(ACCEPT_ENCODING) {
        rejected
            .headers_mut()
            .insert(ACCEPT_ENCODING, accepted.clone());
    }
    rejected
}

fn map(code: Code, message: &str) -> Error {
    let message = message.to_owned();
    match code {
        // This is about compression: the pipeline rejects unknown RPCs.
        Code::Unimplemented => Error::UnsupportedEncoding(message),
        _ => Error::Malformed(message),
    }
}
