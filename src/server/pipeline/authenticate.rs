//! Takes the token from a call, and drops the metadata that no layer reads.

use axum::extract::Request;
use http::{HeaderName, HeaderValue};

use crate::credentials::Caller;
use crate::error::Error;

/// The metadata that the layers and tonic still read after [`authenticate`].
const NEEDED: [&str; 4] = [
    "content-type",
    "te",
    "grpc-encoding",
    "grpc-accept-encoding",
];

/// The caller of a request, and whether the client retries the call by itself.
///
/// # Errors
///
/// If there is no token that can be forwarded.
pub(super) fn authenticate(request: &mut Request) -> Result<(Caller, bool), Error> {
    let caller = Caller::from_headers(request.headers())?;
    // gRFC A6: the number of earlier attempts, of a call that the client retries.
    let attempts = request.headers().get("grpc-previous-rpc-attempts");
    let is_client_retry = attempts.is_some_and(|attempts| attempts != "0");
    strip_metadata(request);
    Ok((caller, is_client_retry))
}

/// Drops the metadata that no later layer reads. It may have 96 KiB in thousands
/// of values, which would stay in memory until the call ends. The values that stay
/// are copied, because each value keeps the buffer of all of them.
fn strip_metadata(request: &mut Request) {
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
