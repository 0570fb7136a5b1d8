//! A received HTTP request.

use http::{HeaderMap, Method, Uri};

use super::payload::Payload;
use super::query::Query;

/// A request with its whole body. It has no `Debug`, which would show its token.
pub(super) struct ReceivedRequest {
    pub(super) method: Method,
    pub(super) uri: Uri,
    pub(super) headers: HeaderMap,
    pub(super) payload: Payload,
    pub(super) query: Query,
}
