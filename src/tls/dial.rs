//! The connector of gRPC clients: HTTP/2 over TLS.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use http::Uri;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tower::ServiceExt;

/// How long sent bytes may stay unacknowledged. By default, Linux keeps a
/// connection to a machine that is down for a quarter of an hour.
const UNACKNOWLEDGED: Duration = Duration::from_secs(20);

/// The connector of TCP connections.
#[must_use]
pub fn tcp() -> HttpConnector {
    let mut connector = HttpConnector::new();
    connector.enforce_http(false);
    connector.set_nodelay(true);
    connector.set_keepalive(Some(UNACKNOWLEDGED));
    connector.set_tcp_user_timeout(Some(UNACKNOWLEDGED));
    connector
}

/// Connects with one TLS configuration.
#[derive(Debug, Clone)]
pub struct H2Connector {
    tls: Arc<ClientConfig>,
    name: Option<ServerName<'static>>,
}

impl H2Connector {
    /// A connector to servers whose certificate is for `name`, or for the host
    /// that it connects to if there is none.
    #[must_use]
    pub fn new(tls: ClientConfig, name: Option<ServerName<'static>>) -> Self {
        Self {
            tls: Arc::new(tls),
            name,
        }
    }

    /// Connects to the host and port of a URI.
    ///
    /// # Errors
    ///
    /// If the connection fails, or the server does not offer HTTP/2 over TLS.
    pub async fn connect(self, uri: Uri) -> io::Result<TokioIo<TlsStream<TcpStream>>> {
        let host = uri.host().unwrap_or_default();
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let name = match self.name {
            Some(name) => name,
            None => ServerName::try_from(host.to_owned()).map_err(io::Error::other)?,
        };
        let stream = tcp().oneshot(uri.clone()).await.map_err(io::Error::other)?;
        let connector = TlsConnector::from(self.tls);
        let stream = connector.connect(name, stream.into_inner()).await?;
        match stream.get_ref().1.alpn_protocol() {
            Some(b"h2") => Ok(TokioIo::new(stream)),
            _ => Err(io::Error::other(
                "the server does not offer HTTP/2 over TLS (ALPN `h2`)",
            )),
        }
    }
}
