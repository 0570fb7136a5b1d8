//! Rewrites the statuses that tonic makes: adds our details, and corrects codes.

use axum::response::Response;
use tonic::{Code, Status};

use super::Call;
use super::compression::ACCEPT_ENCODING;
use crate::error::Error;

/// Replaces a response that tonic made; all others have details already.
pub(super) fn map_tonic_errors(response: Response, call: &Call) -> Response {
    let headers = response.headers();
    let Some(status) = Status::from_header_map(headers) else {
        return response;
    };
    if status.code() == Code::Ok || !status.details().is_empty() {
        return response;
    }
    let message = status.message().to_owned();
    let mut rejected = call.reject(match status.code() {
        // This is about compression: the pipeline rejects unknown RPCs.
        Code::Unimplemented => Error::UnsupportedEncoding(message),
        _ => Error::Malformed(message),
    });
    // How the caller may compress instead.
    if let Some(accepted) = headers.get(ACCEPT_ENCODING) {
        let accepted = accepted.clone();
        rejected.headers_mut().insert(ACCEPT_ENCODING, accepted);
    }
    rejected
}
