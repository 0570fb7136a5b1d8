//! Finds whether the upstream offers HTTP/2, by the TLS handshake of a connection of its
//! own (ALPN, RFC 7301).
//!
//! No request waits for it: until it is known, requests use HTTP/1.1. reqwest could
//! negotiate with each connection, but then every request that finds none starts a
//! handshake, and all but one are thrown away (hyper-util 0.1.21).

use std::sync::Arc;
use std::time::Duration;

use http::Uri;
use parking_lot::Mutex;
use rustls::pki_types::ServerName;
use tokio::io::AsyncWriteExt;
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;
use tracing::{debug, info};

use super::{CONNECT_TIMEOUT, Protocol, RotatingClient};
use crate::upstream::dial::dial;
use crate::upstream::endpoint::Endpoint;

/// How long after the start of a negotiation a failed request can start another one.
const MIN_INTERVAL: Duration = Duration::from_secs(1);

/// The negotiation with one upstream.
pub(super) struct Negotiation {
    /// The host and the port.
    authority: String,
    name: String,
    /// When the next one may start; `None` while one is in progress.
    not_before: Mutex<Option<Instant>>,
}

impl Negotiation {
    pub(super) fn new(endpoint: &Endpoint) -> Self {
        let (host, _) = endpoint.host_port();
        Self {
            authority: endpoint.authority(),
            name: host.trim_matches(['[', ']']).to_owned(),
            not_before: Mutex::new(Some(Instant::now())),
        }
    }

    /// Whether a negotiation may start now; it must be ended then.
    fn begin(&self) -> bool {
        let mut not_before = self.not_before.lock();
        let may = not_before.is_some_and(|at| at <= Instant::now());
        if may {
            *not_before = None;
        }
        may
    }
}

impl RotatingClient {
    /// Starts a negotiation, unless there is nothing to negotiate, one is in progress, or
    /// the last one has just ended. Its result replaces the clients if it is another one.
    pub(in crate::upstream) fn negotiate(&self) {
        let Some(negotiation) = self.negotiation.clone().filter(|it| it.begin()) else {
            return;
        };
        let clients = self.clone();
        #[expect(
            clippy::disallowed_methods,
            reason = "one handshake for the calls of the next minutes, with an end of its own"
        )]
        tokio::spawn(async move {
            match timeout(CONNECT_TIMEOUT, clients.handshake(&negotiation)).await {
                Ok(Ok(protocol)) => clients.switch_to(protocol),
                // A request will fail for the same reason, and says so.
                Ok(Err(why)) => debug!(why, "cannot negotiate the HTTP version of the upstream"),
                Err(_) => debug!("cannot negotiate the HTTP version of the upstream in time"),
            }
            *negotiation.not_before.lock() = Some(Instant::now() + MIN_INTERVAL);
        });
    }

    /// Connects, and returns the protocol that the upstream chooses.
    async fn handshake(&self, negotiation: &Negotiation) -> Result<Protocol, String> {
        let address = format!("https://{}", negotiation.authority);
        let address: Uri = address.parse().map_err(|_| "its address is malformed")?;
        let stream = dial(self.proxy(), address).await?;
        let name = ServerName::try_from(negotiation.name.clone());
        let name = name.map_err(|error| error.to_string())?;
        let tls = self.settings.tls(&[Protocol::Http2, Protocol::Http1]);
        let tls = TlsConnector::from(Arc::new(tls)).connect(name, stream);
        let mut stream = tls.await.map_err(|error| error.to_string())?;
        let chosen = stream.get_ref().1.alpn_protocol();
        let is_http2 = chosen == Some(Protocol::Http2.alpn());
        // The peer has what it needs; it does not matter whether it reads the end.
        let _ = stream.shutdown().await;
        Ok(if is_http2 {
            Protocol::Http2
        } else {
            Protocol::Http1
        })
    }

    /// Replaces the clients by those of another protocol.
    pub(super) fn switch_to(&self, protocol: Protocol) {
        let mut pool = self.pool.lock();
        if pool.protocol() == protocol {
            return;
        }
        pool.replace(protocol, |protocol| self.settings.build(protocol).ok());
        drop(pool);
        let upstream = self.negotiation.as_ref().map(|it| &*it.authority);
        let protocol = protocol.name();
        info!(
            upstream,
            protocol, "negotiated the HTTP version of the upstream"
        );
    }
}
