//! What tonic answers by itself, mended: with our details, and where its code
//! is not the customary one, with that.

use std::collections::HashSet;
use std::sync::LazyLock;

use axum::extract::Request;
use axum::response::Response;
use tonic::{Code, Status};

use super::refusal::{code, refuse};
use crate::deadline::Deadline;
use crate::error::{Error, Reason};
use crate::proto;
use crate::record::Record;

/// The header that says which compressions are accepted.
const ACCEPT_ENCODING: &str = "grpc-accept-encoding";

/// The full name of the RPC at this path, if there is one.
pub(super) fn known(path: &str) -> Option<&'static str> {
    static PATHS: LazyLock<HashSet<String>> = LazyLock::new(|| {
        let services = proto::pool().services();
        let rpcs = services.flat_map(|service| service.methods().collect::<Vec<_>>());
        rpcs.map(|rpc| format!("/{}/{}", rpc.parent_service().full_name(), rpc.name()))
            .collect()
    });
    PATHS.get(path).map(|path| path.trim_start_matches('/'))
}

/// Passes the services' answers on, and replaces those that tonic made.
pub(super) async fn answers<F: Future<Output = Response>>(
    request: Box<Request>,
    next: impl FnOnce(Box<Request>) -> F,
) -> Response {
    let is_known = known(request.uri().path()).is_some();
    let deadline = request.extensions().get::<Deadline>().cloned();
    let record = request.extensions().get::<Record>().cloned();
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
        _ if !is_known => Error::Protocol(
            Reason::UnknownMethod,
            Code::Unimplemented,
            "there is no such RPC: the services are genesys.presence.v1.PresenceService and \
             genesys.presence.v1.LegacyPresenceService, and server reflection lists their RPCs"
                .to_owned(),
        ),
        // What it says of compression; no RPC that there is is unknown to it.
        Code::Unimplemented => Error::Protocol(
            Reason::MalformedRequest,
            code,
            format!(
                "the request is compressed, which is not accepted; send it uncompressed: {message}"
            ),
        ),
        _ => Error::Protocol(
            Reason::MalformedRequest,
            code,
            format!("the request is not a message of this RPC: {message}"),
        ),
    }
}
