//! How a connection to the vendor is made: the name of the vendor or of
//! its proxy, TCP, a tunnel through the proxy, and TLS where it is spoken.
//!
//! Each of these phases has a bound of its own, since each waits for somebody
//! else; the call's deadline bounds them all. hyper-util finishes a connection
//! whose call took another one meanwhile, or drops it with the call, so no
//! attempt outlives the sum of the bounds.

use std::future::{Ready, ready};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::BoxFuture;
use http::{HeaderValue, Uri};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::Name;
use hyper_util::client::proxy::matcher::Matcher;
use hyper_util::rt::TokioIo;
use reqwest::Url;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tower::{Service, ServiceExt};

use super::connection::Connection;
use super::resolve::Resolver;
use super::tunnel;

/// How long one address may take to accept. One that is there does so within
/// milliseconds; a lost packet is sent again after one second.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// How long all addresses of a host may take together.
pub const ALL_ADDRESSES_TIMEOUT: Duration = Duration::from_secs(10);

/// How long the handshake of TLS may take: two round trips, and the signature
/// of a server that may have much to do.
pub const TLS_TIMEOUT: Duration = Duration::from_secs(10);

/// After which silence a peer is asked whether it is still there, how often,
/// and how long what was sent may go without a word from it.
const KEEPALIVE: Duration = Duration::from_secs(15);
const KEEPALIVE_PROBES: u32 = 3;
const UNHEARD: Duration = Duration::from_secs(30);

pub(super) type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Makes connections.
#[derive(Debug, Clone)]
pub(super) struct Connector {
    resolver: Resolver,
    tls: Arc<ClientConfig>,
    proxy: Option<Proxy>,
}

/// A proxy that all requests go through.
#[derive(Clone)]
pub(super) struct Proxy {
    uri: Uri,
    /// What it wants to be told, where it has a user and a password.
    pub authorization: Option<HeaderValue>,
}

impl std::fmt::Debug for Proxy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Proxy")
    }
}

impl Proxy {
    /// The proxy at a URL, which may hold a user and a password.
    pub(super) fn at(url: &Url) -> Option<Self> {
        let matcher = Matcher::builder().all(url.as_str()).build();
        let proxy = matcher.intercept(&Uri::from_static("http://vendor"))?;
        Some(Self {
            uri: proxy.uri().clone(),
            authorization: proxy.basic_auth().cloned(),
        })
    }

    /// Its host and port, for people: without its user and password.
    pub(super) fn place(&self) -> String {
        place(&self.uri)
    }
}

impl Connector {
    pub(super) fn new(tls: Arc<ClientConfig>, proxy: Option<Proxy>) -> Self {
        Self {
            resolver: Resolver::system(),
            tls,
            proxy,
        }
    }

    /// The proxy, which must be told who comes where it is asked itself, and
    /// not for a tunnel.
    pub(super) fn proxy_of(&self, uri: &Uri) -> Option<&Proxy> {
        self.proxy.as_ref().filter(|_| !is_secure(uri))
    }

    async fn dial(self, to: Uri) -> Result<Connection, BoxError> {
        let first = self.proxy.as_ref().map_or(&to, |proxy| &proxy.uri);
        let mut tcp = self.connect(first).await?;
        if !is_secure(&to) {
            return Ok(Connection::new(tcp.into(), self.proxy.is_some()));
        }
        if let Some(proxy) = &self.proxy {
            let (target, authorization) = (place(&to), proxy.authorization.as_ref());
            let stream = tcp.inner_mut();
            tunnel::open(stream, &target, &proxy.place(), authorization).await?;
        }
        let name = ServerName::try_from(host(&to).to_owned())?;
        let handshake = TlsConnector::from(self.tls).connect(name, TokioIo::new(tcp));
        match timeout(TLS_TIMEOUT, handshake).await {
            Ok(stream) => Ok(Connection::new(stream?.into(), false)),
            Err(_) => Err(late(format!(
                "the TLS handshake with {} took longer than {TLS_TIMEOUT:?}",
                place(&to)
            ))),
        }
    }

    /// Connects to the first address of a host that accepts; those of the
    /// other family are tried beside the first's (RFC 6555).
    async fn connect(&self, to: &Uri) -> Result<TokioIo<TcpStream>, BoxError> {
        let found = self.resolver.resolve(host(to)).await?;
        let connecting = connector(&found).oneshot(to.clone());
        match timeout(ALL_ADDRESSES_TIMEOUT, connecting).await {
            Ok(Ok(stream)) => Ok(stream),
            Ok(Err(error)) if !is_late(&error) => Err(error.into()),
            _ => Err(late(format!(
                "TCP connect to {} took longer than {CONNECT_TIMEOUT:?} for each address, or \
                 {ALL_ADDRESSES_TIMEOUT:?} for all",
                place(to)
            ))),
        }
    }
}

/// Connects to these addresses of a host.
fn connector(found: &[IpAddr]) -> HttpConnector<Addresses> {
    let addresses = found.iter().map(|&ip| SocketAddr::new(ip, 0)).collect();
    let mut tcp = HttpConnector::new_with_resolver(Addresses(addresses));
    // It would take plain http alone.
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    // It divides the time by the addresses of each family (hyperium/hyper#1972).
    let six = found.iter().filter(|ip| ip.is_ipv6()).count();
    let most = u32::try_from(six.max(found.len() - six)).unwrap_or(u32::MAX);
    tcp.set_connect_timeout(Some(CONNECT_TIMEOUT.saturating_mul(most)));
    tcp.set_keepalive(Some(KEEPALIVE));
    tcp.set_keepalive_interval(Some(KEEPALIVE));
    tcp.set_keepalive_retries(Some(KEEPALIVE_PROBES));
    #[cfg(target_os = "linux")]
    tcp.set_tcp_user_timeout(Some(UNHEARD));
    tcp
}

/// What a name was found to stand for.
#[derive(Clone)]
struct Addresses(Vec<SocketAddr>);

impl Service<Name> for Addresses {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = io::Error;
    type Future = Ready<io::Result<Self::Response>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Name) -> Self::Future {
        ready(Ok(self.0.clone().into_iter()))
    }
}

fn late(why: String) -> BoxError {
    io::Error::new(io::ErrorKind::TimedOut, why).into()
}

fn is_late(error: &dyn std::error::Error) -> bool {
    let cause = error.source().and_then(|cause| cause.downcast_ref());
    cause.is_some_and(|cause: &io::Error| cause.kind() == io::ErrorKind::TimedOut)
}

fn is_secure(uri: &Uri) -> bool {
    uri.scheme() == Some(&http::uri::Scheme::HTTPS)
}

/// The host, as it is looked up and stands in a certificate.
fn host(uri: &Uri) -> &str {
    let host = uri.host().unwrap_or_default();
    host.trim_start_matches('[').trim_end_matches(']')
}

/// The host and port, as they stand in a URL.
fn place(uri: &Uri) -> String {
    let port = if is_secure(uri) { 443 } else { 80 };
    let port = uri.port_u16().unwrap_or(port);
    format!("{}:{port}", uri.host().unwrap_or_default())
}

impl Service<Uri> for Connector {
    type Response = Connection;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Connection, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, to: Uri) -> Self::Future {
        Box::pin(self.clone().dial(to))
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpSocket;
    use tokio::time::Instant;

    use super::*;
    use crate::tls::{Trust, client};

    fn dial() -> Connector {
        let tls = client(Trust::Nobody, None, b"http/1.1").unwrap();
        Connector::new(Arc::new(tls), None)
    }

    #[tokio::test(start_paused = true)]
    #[cfg(target_os = "linux")]
    async fn an_address_that_does_not_accept_is_named_with_the_phase() {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
        // With its one place taken, it drops what is asked of it.
        let listener = socket.listen(0).unwrap();
        let address = listener.local_addr().unwrap();
        let _taken = std::net::TcpStream::connect(address).unwrap();
        let begun = Instant::now();
        let uri = format!("http://{address}").parse().unwrap();
        let late = dial().connect(&uri).await.unwrap_err().to_string();
        assert_eq!(
            late,
            format!(
                "TCP connect to {address} took longer than 3s for each address, or 10s for all"
            )
        );
        assert_eq!(begun.elapsed().as_secs(), 3);
    }

    #[test]
    fn a_place_is_a_host_and_a_port_and_no_password() {
        for (uri, expected) in [
            ("https://vendor.example/", "vendor.example:443"),
            ("http://user:secret@proxy.example", "proxy.example:80"),
            ("https://[2001:db8::1]:8443", "[2001:db8::1]:8443"),
        ] {
            assert_eq!(place(&uri.parse().unwrap()), expected);
        }
        assert_eq!(
            host(&"https://[2001:db8::1]".parse().unwrap()),
            "2001:db8::1"
        );
    }
}
