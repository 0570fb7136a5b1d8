//! Takes the token from a call, and drops the metadata that no later layer reads.

use axum::extract::Request;
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::credentials::Caller;
use crate::error::Error;
use crate::token_key::TokenHasher;

/// The metadata that the layers and tonic still read after [`strip_metadata`].
const NEEDED: [&str; 4] = [
    "content-type",
    "te",
    "grpc-encoding",
    "grpc-accept-encoding",
];

/// The caller of a call, and whether the client retries the call by itself.
///
/// # Errors
///
/// If there is no token that can be forwarded.
pub(super) fn authenticate(
    metadata: &HeaderMap,
    hasher: &TokenHasher,
) -> Result<(Caller, bool), Error> {
    let caller = Caller::from_headers(metadata, hasher)?;
    // gRFC A6: the number of earlier attempts, of a call that the client retries.
    let attempts = metadata.get("grpc-previous-rpc-attempts");
    let is_client_retry = attempts.is_some_and(|attempts| attempts != "0");
    Ok((caller, is_client_retry))
}

/// Drops the metadata that no later layer reads. It may have 96 KiB in thousands
/// of values, which would stay in memory until the call ends. The values that stay
/// are copied, because each value keeps the buffer of all of them.
pub(super) fn strip_metadata(request: &mut Request) {
    let metadata = request.headers();
    let needed = NEEDED.iter().filter_map(|name| {
        let value = HeaderValue::from_bytes(metadata.get(*name)?.as_bytes());
        Some((HeaderName::from_static(name), value.ok()?))
    });
    *request.headers_mut() = needed.collect();
    if let Ok(path) = request.uri().path().parse() {
        *request.uri_mut() = path;
    }
}
