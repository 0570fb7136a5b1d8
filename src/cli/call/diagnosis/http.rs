//! An answer over HTTP/2 that is not gRPC's.

use http::StatusCode;
use http::header::{CONTENT_TYPE, LOCATION, SERVER};
use tonic::Code;

use super::spoken::OUR_PORTS;
use crate::cli::call::channel::{Gateway, Head};
use crate::cli::call::failure::Failure;

/// The answer is not gRPC's.
pub(in crate::cli::call) fn not_grpc(gateway: &Gateway, head: &Head) -> Failure {
    let kind = head.header(CONTENT_TYPE).unwrap_or("no content type");
    let server = head.header(SERVER);
    let server = server
        .map(|server| format!(" of `{server}`"))
        .unwrap_or_default();
    let what = format!(
        "the answer of {} is not gRPC: HTTP {}, {kind}{server}",
        gateway.address.authority(),
        head.status.as_u16(),
    );
    let hint = match head.status.as_u16() {
        300..=399 => {
            let to = head.header(LOCATION).unwrap_or("nowhere");
            format!("it redirects to {to}, which gRPC does not follow; {OUR_PORTS}")
        }
        401 | 403 | 407 => "a proxy before the gateway demands a login of its own".to_owned(),
        404 | 405 => format!("a web server or a proxy without a route to the gateway; {OUR_PORTS}"),
        415 => "a proxy on the way changes the content type of gRPC".to_owned(),
        431 => "the headers are too large: is the token only a token?".to_owned(),
        429 => "a proxy before the gateway limits the rate; repeat it later".to_owned(),
        502..=504 => {
            "a proxy answers in place of the gateway, which it cannot reach: check that it \
                      runs, and that the proxy speaks HTTP/2 to it (docs/proxies.md)"
                .to_owned()
        }
        _ => format!("what listens there is a web server or a proxy; {OUR_PORTS}"),
    };
    Failure::new(code(head.status), what, hint)
}

/// The code of an HTTP status, by gRPC's table for clients
/// (<https://github.com/grpc/grpc/blob/master/doc/http-grpc-status-mapping.md>).
/// tonic applies it only to an answer without a body.
fn code(status: StatusCode) -> Code {
    match status.as_u16() {
        400 => Code::Internal,
        401 => Code::Unauthenticated,
        403 => Code::PermissionDenied,
        404 => Code::Unimplemented,
        429 | 502..=504 => Code::Unavailable,
        _ => Code::Unknown,
    }
}
