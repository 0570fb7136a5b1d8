//! gRPC codes: their mapping from HTTP statuses, their names, and which of them
//! are the server's fault. `status_builder.rs` has the codes of all other errors.

use http::Method;
use tonic::Code;

use crate::error::Reason;
use crate::error::response::ErrorResponse;

/// The gRPC code of an HTTP response that is not a success.
///
/// The inverse of the HTTP mapping that `google.rpc.Code` documents. The table
/// for proxies between gRPC peers maps most statuses to UNKNOWN or UNAVAILABLE.
pub(super) fn from_response(response: &ErrorResponse, method: &Method) -> Code {
    match response.status {
        400 | 413 | 414 | 422 => Code::InvalidArgument,
        401 => Code::Unauthenticated,
        403 => Code::PermissionDenied,
        404 if response.body.is_some() => Code::NotFound,
        // Without a vendor body: the gateway's host, region or path prefix is
        // wrong. NOT_FOUND would make callers believe that the user is gone.
        404 => Code::Internal,
        409 if method == Method::POST => Code::AlreadyExists,
        409 => Code::Aborted,
        // The gateway sets the media type.
        415 => Code::Internal,
        429 => Code::ResourceExhausted,
        501 => Code::Unimplemented,
        // A 502 to a write has an unknown outcome and does not get here. A 503
        // is assumed to mean "not applied".
        408 | 502 | 503 => Code::Unavailable,
        504 => Code::DeadlineExceeded,
        status if (400..500).contains(&status) => Code::FailedPrecondition,
        _ => Code::Internal,
    }
}

/// The name of a code in the gRPC specification.
#[must_use]
pub fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

/// Whether a call that ended with this code and reason is the server's fault,
/// by OpenTelemetry's conventions for RPC servers.
///
/// Malformed bytes are INTERNAL too, as gRPC requires, and are the caller's.
pub(crate) fn is_server_fault(code: Code, reason: Option<&str>) -> bool {
    reason != Some(Reason::MalformedRequest.as_str())
        && matches!(
            code,
            Code::Unknown
                | Code::DeadlineExceeded
                | Code::Unimplemented
                | Code::Internal
                | Code::Unavailable
                | Code::DataLoss
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_malformed_request_is_no_server_fault() {
        assert!(is_server_fault(Code::Internal, Some("UNREADABLE_ANSWER")));
        assert!(is_server_fault(Code::Unimplemented, None));
        assert!(!is_server_fault(Code::Internal, Some("MALFORMED_REQUEST")));
        assert!(!is_server_fault(Code::NotFound, Some("NOT_FOUND")));
    }
}
