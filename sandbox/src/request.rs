//! A received HTTP request.

use std::net::SocketAddr;

use http::{HeaderMap, Method, Uri, Version, header};
use serde_json::Value;

use super::payload::Payload;
use super::query::Query;

/// The address of this end of a request's connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct LocalAddress(pub(super) SocketAddr);

/// A request with its whole body. It has no `Debug`, which would show its token.
pub(super) struct ReceivedRequest {
    pub(super) method: Method,
    pub(super) uri: Uri,
    pub(super) version: Version,
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

    /// The scheme and the host of the channels' sockets, as the client can reach them:
    /// with TLS if a proxy in front says that it does it.
    pub(super) fn websocket_origin(&self) -> String {
        const FORWARDED: header::HeaderName = header::HeaderName::from_static("x-forwarded-proto");
        let is_https = |proto: &str| proto.eq_ignore_ascii_case("https");
        let secure = if self.header(&FORWARDED).is_some_and(is_https) {
            "s"
        } else {
            ""
        };
        let local = self.local.map(|local| local.to_string());
        let host = self.host().map(str::to_owned).or(local);
        format!(
            "ws{secure}://{}",
            host.unwrap_or_else(|| "127.0.0.1:8080".to_owned())
        )
    }

    /// The value of a header, if it is text.
    pub(super) fn header(&self, name: &header::HeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The ids of its list: those of a bulk read in the query, and the users of a
    /// bulk write in the body.
    pub(super) fn listed_ids(&self) -> Vec<String> {
        let in_query = self.query.list("id").into_iter().map(str::to_owned);
        let updates = match self.payload.json(&self.headers) {
            Ok(Value::Array(updates)) => updates,
            _ => Vec::new(),
        };
        let in_body = updates.iter().filter_map(|update| update["id"].as_str());
        in_query.chain(in_body.map(str::to_owned)).collect()
    }
}
