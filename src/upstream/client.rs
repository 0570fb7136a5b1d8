//! The HTTP client towards the upstream: its settings, and its rotation.
//!
//! Decision: docs/decisions/0017-reqwest.md.

#![expect(
    clippy::disallowed_types,
    reason = "the client of the one module that calls the upstream"
)]

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use reqwest::{Client, redirect, retry};
use rustls::{ClientConfig, RootCertStore};
use tokio::time::Instant;

use super::endpoint::Endpoint;
use super::proxy::Proxy;
use super::resolve::Resolver;
use crate::jitter::jittered;
use crate::tls;
use crate::tls::pem::Identity;
use crate::user_agent::USER_AGENT;

/// How long a connection may take: the name lookup, TCP, a proxy's tunnel and
/// the TLS handshake together. It has room for one silent name server (5 s in
/// glibc) and for lost packets, which are sent again after one second and after
/// three. The addresses of a name share the time for TCP. Separate bounds would
/// need hooks that reqwest does not have.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long an unused connection is kept: well under the 60 s after which an
/// AWS load balancer closes it, because a request that meets the close is lost.
const POOL_IDLE_TIMEOUT: Duration = Duration::from_secs(20);

/// How many unused connections are kept: one for each concurrent call, by default. With
/// fewer, steady load of as many calls would open some for a tenth of its requests. After
/// a burst of more, those beyond are closed at once, and files are free for callers again.
const MAX_IDLE: usize = 1024;

/// How long a client is used, on average. The upstream's name is looked up for
/// new connections only, and busy ones never end: if the upstream moves to
/// other addresses, its old ones would stay in use.
const MAX_AGE: Duration = Duration::from_mins(5);

/// After how much silence a peer is probed, how often, and how long sent data
/// may stay without an acknowledgement.
const KEEPALIVE: Duration = Duration::from_secs(15);
const KEEPALIVE_PROBES: u32 = 3;
const UNACKNOWLEDGED_TIMEOUT: Duration = Duration::from_secs(30);

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
}

/// The settings of each client.
struct Settings {
    tls: ClientConfig,
    resolver: Resolver,
    proxy: Option<Proxy>,
}

/// The current client, which is replaced from time to time. Clones share it.
#[derive(Clone)]
pub struct RotatingClient {
    settings: Arc<Settings>,
    current: Arc<Mutex<(Client, Instant)>>,
}

impl fmt::Debug for RotatingClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RotatingClient").finish_non_exhaustive()
    }
}

impl RotatingClient {
    /// The clients of `endpoint`, and of others with the same need of TLS.
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
            tls: tls::client(authorities, options.identity, b"http/1.1")?,
            resolver: Resolver::system(),
            proxy: options.proxy,
        };
        let client = settings.build().map_err(|error| error.to_string())?;
        Ok(Self {
            settings: Arc::new(settings),
            current: Arc::new(Mutex::new((client, Instant::now() + jittered(MAX_AGE)))),
        })
    }

    /// The TLS settings of connections to the upstream.
    pub(super) fn tls(&self) -> Arc<ClientConfig> {
        Arc::new(self.settings.tls.clone())
    }

    /// The proxy that all requests go through.
    pub(super) fn proxy(&self) -> Option<&Proxy> {
        self.settings.proxy.as_ref()
    }

    /// Returns the client for a request that is sent now. One that is too old
    /// is replaced; its connections end with their last requests.
    pub(super) fn current(&self) -> Client {
        let mut current = self.current.lock();
        let now = Instant::now();
        if now >= current.1 {
            // The settings made a client before, so this one cannot fail.
            if let Ok(client) = self.settings.build() {
                current.0 = client;
            }
            current.1 = now + jittered(MAX_AGE);
        }
        current.0.clone()
    }
}

impl Settings {
    /// A pooled client. It follows no redirect, retries nothing, decodes nothing,
    /// and adds only `host`, `user-agent` and `proxy-authorization` to a request.
    fn build(&self) -> reqwest::Result<Client> {
        // HTTP/1.1: HTTP/2 would put all calls on one connection, and queue
        // them there behind the upstream's limit of streams.
        let mut builder = reqwest::Client::builder()
            .http1_only()
            .user_agent(USER_AGENT)
            .redirect(redirect::Policy::none())
            .retry(retry::never())
            .referer(false)
            .no_proxy()
            .tls_backend_preconfigured(self.tls.clone())
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
        builder.build()
    }
}

#[cfg(test)]
mod tests;
