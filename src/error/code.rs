//! The table from HTTP to gRPC.

use http::Method;
use tonic::Code;

use crate::error::fault::Fault;

/// The gRPC code of an answer that is no success.
///
/// It is the inverse of the HTTP mapping that `google.rpc.Code` documents, not
/// the table for proxies between gRPC peers, which tells a caller little.
pub(super) fn of(fault: &Fault, method: &Method) -> Code {
    match fault.status {
        400 | 413 | 414 | 422 => Code::InvalidArgument,
        401 => Code::Unauthenticated,
        403 => Code::PermissionDenied,
        404 if fault.body.is_some() => Code::NotFound,
        // Not the vendor's word: a wrong host, region or path prefix of ours.
        404 => Code::Internal,
        409 if method == Method::POST => Code::AlreadyExists,
        409 => Code::Aborted,
        // We set the media type, so this is our fault.
        415 => Code::Internal,
        429 => Code::ResourceExhausted,
        501 => Code::Unimplemented,
        // A 502 to a write never gets here: its outcome is unknown. A 503 is
        // taken for not applied, which is an assumption.
        408 | 502 | 503 => Code::Unavailable,
        504 => Code::DeadlineExceeded,
        status if (400..500).contains(&status) => Code::FailedPrecondition,
        _ => Code::Internal,
    }
}
