//! A received HTTP request.

use std::net::SocketAddr;

use http::{HeaderMap, Method, Uri, header};

use super::payload::Payload;
use super::query::Query;

/// The address of this end of a request's connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct LocalAddress(pub(super) SocketAddr);

/// A request with its whole body. It has no `Debug`, which would show its token.
pub(super) struct ReceivedRequest {
    pub(super) method: Method,
    pub(super) uri: Uri,
    pub(super) headers: HeaderMap,
    pub(super) payload: Payload,
    pub(super) query: Query,
    /// Absent without a connection, as in some tests.
    pub(super) local: Option<SocketAddr>,
}

impl ReceivedRequest {
    /// The host and the port that the client used, if it named them.
    pub(super) fn host(&self) -> Option<&str> {
        match self.uri.authority() {
            Some(authority) => Some(authority.as_str()),
            None => self.header(&header::HOST),
        }
    }

    /// The value of a header, if it is text.
    pub(super) fn header(&self, name: &header::HeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}
