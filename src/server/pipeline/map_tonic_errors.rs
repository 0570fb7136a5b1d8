//! What tonic answers by itself, mended: with our details, and where its code
//! is not the customary one, with that.

use axum::extract::Request;
use axum::response::Response;
use tonic::{Code, Status};

use crate::access_log::AccessLog;
use crate::deadline::Deadline;
use crate::error::Error;
use crate::server::reject::{code, refuse};
use crate::server::rpc::Rpc;

/// The header that says which compressions are accepted.
const ACCEPT_ENCODING: &str = "grpc-accept-encoding";

/// Passes the services' answers on, and replaces those that tonic made.
pub(in crate::server) async fn answers<F: Future<Output = Response>>(
    request: Box<Request>,
    next: impl FnOnce(Box<Request>) -> F,
) -> Response {
    let is_known = Rpc::at(request.uri().path()).is_some();
    let deadline = request.extensions().get::<Deadline>().cloned();
    let record = request.extensions().get::<AccessLog>().cloned();
    let response = next(request).await;
    let headers = response.headers();
    let (Some(deadline), Some(status)) = (deadline, Status::from_header_map(headers)) else {
        return response;
    };
    if status.code() == Code::Ok || !status.details().is_empty() {
        return response;
    }
    let error = mended(is_known, code(headers), status.message());
    let mut answer = refuse(error, &deadline, record);
    // How the caller may compress instead.
    if let Some(accepted) = headers.get(ACCEPT_ENCODING) {
        answer
            .headers_mut()
            .insert(ACCEPT_ENCODING, accepted.clone());
    }
    answer
}

fn mended(is_known: bool, code: Code, message: &str) -> Error {
    match code {
        _ if !is_known => Error::UnknownMethod,
        // What it says of compression; no RPC that there is is unknown to it.
        Code::Unimplemented => Error::UnsupportedEncoding(message.to_owned()),
        _ => Error::Malformed(message.to_owned()),
    }
}
