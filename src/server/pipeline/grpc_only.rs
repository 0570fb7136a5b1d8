//! Rejects what is not gRPC.

use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use http::uri::Scheme;
use http::{Method, StatusCode, header};

use crate::server::http1::usage;

/// The response to a request that is not a gRPC call; `None` for a gRPC call.
pub(super) fn reject(request: &Request) -> Option<Response> {
    if request.method() != Method::POST {
        let has_tls = request.uri().scheme() == Some(&Scheme::HTTPS);
        let text = format!("Calls use the method POST.\n\n{}", usage(has_tls));
        let allow = [(header::ALLOW, "POST")];
        return Some((StatusCode::METHOD_NOT_ALLOWED, allow, text).into_response());
    }
    let content_type = request.headers().get(header::CONTENT_TYPE);
    let subtype = content_type.and_then(|value| value.as_bytes().strip_prefix(b"application/grpc"));
    // Not `application/grpc-web`, which is another protocol.
    if matches!(subtype, Some([] | [b'+' | b';', ..])) {
        return None;
    }
    // Short, because a client may send many of these.
    let text = "this is a gRPC server: send the content type `application/grpc`\n";
    Some((StatusCode::UNSUPPORTED_MEDIA_TYPE, text).into_response())
}
