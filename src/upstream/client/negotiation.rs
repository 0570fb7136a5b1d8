//! Finds whether the upstream offers HTTP/2, by the TLS handshake of a connection of its
//! own (ALPN, RFC 7301).
//!
//! It starts with the gateway. No request waits for it: until it is known, requests use
//! HTTP/1.1. reqwest could
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

use super::pool::MAX_AGE;
use super::{CONNECT_TIMEOUT, Protocol, RotatingClient};
use crate::jitter::jittered;
use crate::upstream::dial::dial;
use crate::upstream::endpoint::Endpoint;

/// How long after a negotiation a request can start another one, if that failed, or if a
/// request by HTTP/2 has failed since: less than the attempts at a request take, so that
/// its last one uses what the upstream speaks now.
const MIN_INTERVAL: Duration = Duration::from_millis(100);

/// The negotiation with one upstream.
pub(super) struct Negotiation {
    /// The host and the port.
    authority: String,
    name: String,
    next: Mutex<Next>,
}

/// When the next negotiation starts; `None` while one is in progress.
type Next = Option<Times>;

/// After one of these times, a request starts a negotiation.
struct Times {
    /// Any request.
    regular: Instant,
    /// One that failed by HTTP/2.
    after_failure: Instant,
}

impl Negotiation {
    pub(super) fn new(endpoint: &Endpoint) -> Self {
        let (host, _) = endpoint.host_port();
        Self {
            authority: endpoint.authority(),
            name: host.trim_matches(['[', ']']).to_owned(),
            next: Mutex::new(Some(Times {
                regular: Instant::now(),
                after_failure: Instant::now(),
            })),
        }
    }

    /// Whether one starts now; it must be ended then.
    fn begin(&self, due: impl Fn(&Times) -> Instant) -> bool {
        let mut next = self.next.lock();
        let starts = next.as_ref().map(due);
        let begins = starts.is_some_and(|at| at <= Instant::now());
        if begins {
            *next = None;
        }
        begins
    }

    fn end(&self, is_known: bool) {
        let after_failure = Instant::now() + MIN_INTERVAL;
        let regular = if is_known {
            Instant::now() + jittered(MAX_AGE)
        } else {
            after_failure
        };
        *self.next.lock() = Some(Times {
            regular,
            after_failure,
        });
    }
}

impl RotatingClient {
    /// Starts a negotiation, unless there is nothing to negotiate, or the last one holds.
    pub(crate) fn negotiate(&self) {
        self.negotiate_if(|next| next.regular);
    }

    /// Starts a negotiation after a failure by HTTP/2, unless one has just ended.
    pub(super) fn negotiate_again(&self) {
        self.negotiate_if(|next| next.after_failure);
    }

    fn negotiate_if(&self, due: impl Fn(&Times) -> Instant) {
        let Some(negotiation) = self.negotiation.as_ref().filter(|it| it.begin(due)) else {
            return;
        };
        let (clients, negotiation) = (self.clone(), Arc::clone(negotiation));
        #[expect(
            clippy::disallowed_methods,
            reason = "one handshake for the calls of the next minutes, with an end of its own"
        )]
        tokio::spawn(async move {
            let result = timeout(CONNECT_TIMEOUT, clients.handshake(&negotiation)).await;
            negotiation.end(matches!(result, Ok(Ok(_))));
            match result {
                Ok(Ok(protocol)) => clients.switch_to(protocol),
                // A request will fail for the same reason, and says so.
                Ok(Err(why)) => debug!(why, "cannot negotiate the HTTP version of the upstream"),
                Err(_) => debug!("cannot negotiate the HTTP version of the upstream in time"),
            }
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
