//! How a connection to the vendor comes about: over TCP, through a proxy where
//! there is one, with TLS where it is spoken.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::BoxFuture;
use http::{HeaderMap, HeaderValue, Uri, header};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_rustls::{HttpsConnector, MaybeHttpsStream};
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::client::proxy::matcher::Matcher;
use hyper_util::rt::TokioIo;
use reqwest::Url;
use rustls::ClientConfig;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tower::Service;

use super::client::USER_AGENT;

/// How long a connection may take to come about. A vendor that is there
/// answers within milliseconds; a lost packet is sent again after one second.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// After which silence a peer is asked whether it is still there, how often,
/// and how long what was sent may go without a word from it.
const KEEPALIVE: Duration = Duration::from_secs(15);
const KEEPALIVE_PROBES: u32 = 3;
const UNHEARD: Duration = Duration::from_secs(30);

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Makes connections.
#[derive(Debug, Clone)]
pub(super) struct Dial {
    tcp: HttpConnector,
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
}

impl Dial {
    pub(super) fn new(tls: Arc<ClientConfig>, proxy: Option<Proxy>) -> Self {
        let mut tcp = HttpConnector::new();
        // It would take plain http alone.
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(CONNECT_TIMEOUT));
        tcp.set_keepalive(Some(KEEPALIVE));
        tcp.set_keepalive_interval(Some(KEEPALIVE));
        tcp.set_keepalive_retries(Some(KEEPALIVE_PROBES));
        #[cfg(target_os = "linux")]
        tcp.set_tcp_user_timeout(Some(UNHEARD));
        Self { tcp, tls, proxy }
    }

    /// The proxy, which must be told who comes where it is asked itself, and
    /// not for a tunnel.
    pub(super) fn proxy_of(&self, uri: &Uri) -> Option<&Proxy> {
        self.proxy.as_ref().filter(|_| !is_secure(uri))
    }

    async fn dial(self, to: Uri) -> Result<Line, BoxError> {
        let Self { mut tcp, tls, .. } = self;
        let (stream, is_proxied) = match self.proxy {
            None => (HttpsConnector::from((tcp, tls)).call(to).await?, false),
            Some(proxy) if is_secure(&to) => {
                let mut tunnel = Tunnel::new(proxy.uri, tcp);
                if let Some(authorization) = proxy.authorization {
                    tunnel = tunnel.with_auth(authorization);
                }
                let agent = HeaderValue::from_static(USER_AGENT);
                let headers = HeaderMap::from_iter([(header::USER_AGENT, agent)]);
                let tunnel = tunnel.with_headers(headers);
                (HttpsConnector::from((tunnel, tls)).call(to).await?, false)
            }
            Some(proxy) => (MaybeHttpsStream::Http(tcp.call(proxy.uri).await?), true),
        };
        Ok(Line { stream, is_proxied })
    }
}

fn is_secure(uri: &Uri) -> bool {
    uri.scheme() == Some(&http::uri::Scheme::HTTPS)
}

impl Service<Uri> for Dial {
    type Response = Line;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Line, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, to: Uri) -> Self::Future {
        let dial = self.clone().dial(to);
        Box::pin(async {
            match timeout(CONNECT_TIMEOUT, dial).await {
                Ok(line) => line,
                Err(_) => {
                    Err(io::Error::new(io::ErrorKind::TimedOut, "operation timed out").into())
                }
            }
        })
    }
}

/// A connection.
#[derive(Debug)]
pub(super) struct Line {
    stream: MaybeHttpsStream<TokioIo<TcpStream>>,
    /// Whether a proxy reads the requests, which must tell it where they go.
    is_proxied: bool,
}

impl Connection for Line {
    fn connected(&self) -> Connected {
        self.stream.connected().proxy(self.is_proxied)
    }
}

impl Read for Line {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl Write for Line {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, pieces)
    }
}
