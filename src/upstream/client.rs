//! The HTTP client towards the upstream: its settings, and its rotation.

#![expect(
    clippy::disallowed_types,
    reason = "the client of the one module that calls the upstream"
)]

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use reqwest::{Url, redirect, retry};
use rustls::client::Resumption;
use rustls::{ClientConfig, RootCertStore};
use tokio::time::Instant;

use super::connect::{ConnectLayer, NewConnections, SessionStore};
use super::endpoint::Endpoint;
use super::proxy::Proxy;
use super::resolve::Resolver;
use crate::jitter::jittered;
use crate::tls;
use crate::tls::pem::Identity;

/// How long an unused connection is kept: well under the 60 s after which an
/// AWS load balancer closes it, because a request that meets the close is lost.
pub const POOL_IDLE_TIMEOUT: Duration = Duration::from_secs(20);

/// How many unused connections are kept. After a burst, those beyond are
/// closed at once, and files are free for callers again.
const MAX_IDLE: usize = 256;

/// How long a client is used, on average. The upstream's name is looked up for
/// new connections only, and busy ones never end: if the upstream moves to
/// other addresses, its old ones would stay in use.
const MAX_AGE: Duration = Duration::from_mins(5);

/// After how much silence a peer is probed, how often, and how long sent data
/// may stay without an acknowledgement.
const KEEPALIVE: Duration = Duration::from_secs(15);
const KEEPALIVE_PROBES: u32 = 3;
const UNACKNOWLEDGED_TIMEOUT: Duration = Duration::from_secs(30);

/// The `User-Agent` of requests.
pub(super) const USER_AGENT: &str = concat!("presence-gateway/", env!("CARGO_PKG_VERSION"));

/// How the upstream is reached, besides its address.
#[derive(Default)]
pub struct ClientOptions {
    /// The authorities that may have issued the upstream's certificate, in
    /// place of the system's.
    pub authorities: Option<RootCertStore>,
    /// The client certificate for an upstream that asks for one.
    pub identity: Option<Identity>,
    /// The proxy that all requests go through.
    pub proxy: Option<Url>,
}

impl fmt::Debug for ClientOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The URL of a proxy may hold a password.
        f.debug_struct("ClientOptions").finish_non_exhaustive()
    }
}

/// Parses the URL of a proxy.
///
/// # Errors
///
/// As the end of a sentence that begins with the URL.
pub fn parse_proxy(raw: &str) -> Result<Url, String> {
    let url = Url::parse(raw)
        .map_err(|error| format!("is not a URL such as `http://proxy.example:3128` ({error})"))?;
    let has_no_path =
        matches!(url.path(), "" | "/") && url.query().is_none() && !url.cannot_be_a_base();
    match url.scheme() {
        "http" if has_no_path && url.fragment().is_none() => Ok(url),
        "http" => Err("must be a host and a port alone".to_owned()),
        _ => Err("must begin with `http://`: tokens are safe in TLS through it".to_owned()),
    }
}

/// A pooled client. It follows no redirect, retries nothing, decodes nothing,
/// and adds only `host`, `user-agent` and `proxy-authorization` to a request.
#[derive(Clone)]
pub(super) struct Client {
    pub http: reqwest::Client,
    pub new_connections: NewConnections,
}

/// The settings of each client.
struct Settings {
    tls: ClientConfig,
    resolver: Resolver,
    /// The host and port that TCP connects to.
    peer: Arc<str>,
    proxy_url: Option<Url>,
    proxy: Option<Proxy>,
    is_secure: bool,
}

/// The current client, which is replaced from time to time. Clones share it.
#[derive(Clone)]
pub(super) struct RotatingClient {
    settings: Arc<Settings>,
    current: Arc<Mutex<(Client, Instant)>>,
}

impl fmt::Debug for RotatingClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RotatingClient").finish_non_exhaustive()
    }
}

impl RotatingClient {
    /// Clients that reach `endpoint` in this way.
    pub(super) fn new(endpoint: &Endpoint, options: ClientOptions) -> Result<Self, String> {
        let is_secure = endpoint.is_secure();
        let authorities = match options.authorities {
            None if !is_secure => Some(RootCertStore::empty()),
            authorities => authorities,
        };
        let mut tls = tls::client(authorities, options.identity, b"http/1.1")?;
        // New clients resume the sessions of those before.
        tls.resumption = Resumption::store(Arc::new(SessionStore::new()));
        let proxy = options.proxy.as_ref().map(Proxy::new);
        let peer = match &proxy {
            Some(proxy) => proxy.host_port.clone(),
            None => endpoint.authority(),
        };
        let settings = Settings {
            tls,
            resolver: Resolver::system(),
            peer: peer.into(),
            proxy_url: options.proxy,
            proxy,
            is_secure,
        };
        let client = settings.build().map_err(|error| error.to_string())?;
        Ok(Self {
            settings: Arc::new(settings),
            current: Arc::new(Mutex::new((client, Instant::now() + jittered(MAX_AGE)))),
        })
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
    fn build(&self) -> reqwest::Result<Client> {
        let new_connections = NewConnections::default();
        let layer = ConnectLayer {
            peer: Arc::clone(&self.peer),
            has_tunnel: self.is_secure && self.proxy.is_some(),
            order: self.resolver.order.clone(),
            new_connections: new_connections.clone(),
        };
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
            .connector_layer(layer)
            .pool_idle_timeout(POOL_IDLE_TIMEOUT)
            .pool_max_idle_per_host(MAX_IDLE)
            .tcp_keepalive(KEEPALIVE)
            .tcp_keepalive_interval(KEEPALIVE)
            .tcp_keepalive_retries(KEEPALIVE_PROBES);
        #[cfg(target_os = "linux")]
        {
            builder = builder.tcp_user_timeout(UNACKNOWLEDGED_TIMEOUT);
        }
        if let Some(url) = &self.proxy_url {
            builder = builder.proxy(reqwest::Proxy::all(url.clone())?);
        }
        let http = builder.build()?;
        Ok(Client {
            http,
            new_connections,
        })
    }
}

#[cfg(test)]
mod tests;
