//! The HTTP clients towards the upstream: their settings, and their rotation.
//!
//! Decisions: docs/decisions/0016-http2-upstream.md, docs/decisions/0017-reqwest.md.

#![expect(
    clippy::disallowed_types,
    reason = "the client of the one module that calls the upstream"
)]

mod failure;
mod last_connect;
mod negotiation;
mod pool;
mod protocol;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use reqwest::{Client, redirect, retry};
use rustls::{ClientConfig, RootCertStore};

use super::endpoint::Endpoint;
use super::proxy::Proxy;
use super::resolve::Resolver;
use crate::tls;
use crate::tls::pem::Identity;
use crate::user_agent::USER_AGENT;
pub(super) use failure::not_processed;
pub(super) use last_connect::ConnectFailure;
use last_connect::LastConnect;
use negotiation::Negotiation;
pub(super) use pool::Lease;
use pool::{Pool, PooledClient};
pub(crate) use protocol::Protocol;

/// How long a connection may take: the name lookup, TCP, a proxy's tunnel and
/// the TLS handshake together. It has room for one silent name server (5 s in
/// glibc) and for lost packets, which are sent again after one second and after
/// three. The addresses of a name share the time for TCP. Separate bounds would
/// need hooks that reqwest does not have.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long an unused connection is kept: well under the 60 s after which an
/// AWS load balancer closes it, because a request that meets the close is lost.
const POOL_IDLE_TIMEOUT: Duration = Duration::from_secs(20);

/// How many unused connections of HTTP/1.1 are kept: one for each concurrent call, by
/// default. With fewer, steady load of as many calls would open some for a tenth of its requests. After
/// a burst of more, those beyond are closed at once, and files are free for callers again.
const MAX_IDLE: usize = 1024;

/// After how much silence a peer is probed, how often, and how long sent data
/// may stay without an acknowledgement.
const KEEPALIVE: Duration = Duration::from_secs(15);
const KEEPALIVE_PROBES: u32 = 3;
const UNACKNOWLEDGED_TIMEOUT: Duration = Duration::from_secs(30);

/// After how much silence of a connection of HTTP/2 with requests on it a PING is sent, and
/// how long it may take. All new requests go to such a connection, so one that is dead is
/// found sooner than one of HTTP/1.1; and the acknowledgements of TCP may be a proxy's.
const PING: Duration = Duration::from_secs(5);

/// The most bytes of a response's head, which HTTP/2 counts with 32 for each line: what
/// hyper accepts of HTTP/1.1.
const MAX_HEAD: u32 = 400 * 1024;

/// The settings of the connections to the upstream, besides its address.
#[derive(Debug, Default)]
pub struct ClientOptions {
    /// The authorities that may have issued the upstream's certificate, in
    /// place of the system's.
    pub authorities: Option<RootCertStore>,
    /// The client certificate for an upstream that asks for one.
    pub identity: Option<Identity>,
    /// The proxy that all requests go through.
    pub proxy: Option<Proxy>,
    /// Whether to use HTTP/2 with an upstream that offers it.
    pub http2: bool,
}

/// The settings of each client.
struct Settings {
    tls: ClientConfig,
    resolver: Resolver,
    proxy: Option<Proxy>,
    http2: bool,
}

/// The current clients of one upstream, which are replaced from time to time. Clones
/// share them.
#[derive(Clone)]
pub struct RotatingClient {
    settings: Arc<Settings>,
    pool: Arc<Mutex<Pool>>,
    /// `None` where only HTTP/1.1 is used.
    negotiation: Option<Arc<Negotiation>>,
}

impl fmt::Debug for RotatingClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RotatingClient").finish_non_exhaustive()
    }
}

impl RotatingClient {
    /// The clients of `endpoint`.
    ///
    /// # Errors
    ///
    /// If TLS is needed and the system has no trusted certificates, or a
    /// certificate, key or proxy cannot be used.
    pub fn new(endpoint: &Endpoint, options: ClientOptions) -> Result<Self, String> {
        let authorities = match options.authorities {
            None if !endpoint.is_secure() => Some(RootCertStore::empty()),
            authorities => authorities,
        };
        let settings = Settings {
            // Shared, so that a new client resumes the TLS sessions of the last one.
            tls: tls::client(authorities, options.identity, Protocol::Http1.alpn())?,
            resolver: Resolver::system(),
            proxy: options.proxy,
            http2: options.http2,
        };
        let first = settings.build(Protocol::Http1);
        let first = first.map_err(|error| error.to_string())?;
        let settings = Arc::new(settings);
        Ok(Self::with_pool(endpoint, settings, Pool::new(first)))
    }

    /// The clients of another endpoint, with the same settings and the same need of TLS.
    #[must_use]
    pub fn for_endpoint(&self, endpoint: &Endpoint) -> Self {
        let pool = Pool::new(self.pool.lock().first().clone());
        Self::with_pool(endpoint, Arc::clone(&self.settings), pool)
    }

    fn with_pool(endpoint: &Endpoint, settings: Arc<Settings>, pool: Pool) -> Self {
        let negotiates = settings.http2 && endpoint.is_secure();
        Self {
            settings,
            pool: Arc::new(Mutex::new(pool)),
            negotiation: negotiates.then(|| Arc::new(Negotiation::new(endpoint))),
        }
    }

    /// The TLS settings of connections that speak HTTP/1.1.
    pub(super) fn tls(&self) -> Arc<ClientConfig> {
        Arc::new(self.settings.tls(&[Protocol::Http1]))
    }

    /// The proxy that all requests go through.
    pub(super) fn proxy(&self) -> Option<&Proxy> {
        self.settings.proxy.as_ref()
    }

    /// Returns the client for a request that is sent now, until the lease is dropped.
    /// Clients that are too old are replaced; their connections end with their last
    /// requests.
    pub(super) fn lease(&self) -> Lease {
        self.negotiate();
        let build = |protocol| self.settings.build(protocol).ok();
        self.pool.lock().lease(build)
    }

    /// A client that speaks HTTP/1.1, whatever the upstream offers.
    ///
    /// # Errors
    ///
    /// Those of [`Self::new`], which has built one before.
    pub(super) fn http1(&self) -> reqwest::Result<Client> {
        Ok(self.settings.build(Protocol::Http1)?.client)
    }
}

impl Settings {
    /// The TLS settings for these protocols, the preferred one first.
    fn tls(&self, protocols: &[Protocol]) -> ClientConfig {
        let mut tls = self.tls.clone();
        tls.alpn_protocols = protocols.iter().map(|it| it.alpn().to_vec()).collect();
        tls
    }

    /// A pooled client. It follows no redirect, retries nothing, decodes nothing,
    /// and adds only `host`, `user-agent` and `proxy-authorization` to a request.
    fn build(&self, protocol: Protocol) -> reqwest::Result<PooledClient> {
        let last_connect = LastConnect::default();
        let builder = reqwest::Client::builder();
        let builder = match protocol {
            Protocol::Http1 => builder.http1_only(),
            Protocol::Http2 => builder
                .http2_prior_knowledge()
                .http2_keep_alive_interval(PING)
                .http2_keep_alive_timeout(PING)
                .http2_max_header_list_size(MAX_HEAD)
                .connector_layer(last_connect.clone()),
        };
        let mut builder = builder
            .user_agent(USER_AGENT)
            .redirect(redirect::Policy::none())
            .retry(retry::never())
            .referer(false)
            .no_proxy()
            .tls_backend_preconfigured(self.tls(&[protocol]))
            .dns_resolver(self.resolver.clone())
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_idle_timeout(POOL_IDLE_TIMEOUT)
            .pool_max_idle_per_host(MAX_IDLE)
            .tcp_keepalive(KEEPALIVE)
            .tcp_keepalive_interval(KEEPALIVE)
            .tcp_keepalive_retries(KEEPALIVE_PROBES);
        #[cfg(target_os = "linux")]
        {
            builder = builder.tcp_user_timeout(UNACKNOWLEDGED_TIMEOUT);
        }
        if let Some(proxy) = &self.proxy {
            builder = builder.proxy(reqwest::Proxy::all(proxy.url())?);
        }
        let client = builder.build()?;
        Ok(PooledClient {
            client,
            last_connect,
        })
    }
}

#[cfg(test)]
mod tests;
