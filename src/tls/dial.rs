//! Connections that speak HTTP/2 over TLS, for gRPC clients.

use std::fmt;
use std::io;
use std::sync::Arc;

use http::Uri;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// How connections are made. A clone makes the same.
#[derive(Clone)]
pub struct Dial {
    connector: TlsConnector,
    name: Option<ServerName<'static>>,
}

impl fmt::Debug for Dial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dial").finish_non_exhaustive()
    }
}

impl Dial {
    /// Connections with this TLS, to a server whose certificate is for `name`,
    /// or else for the host that is connected to.
    #[must_use]
    pub fn new(tls: ClientConfig, name: Option<ServerName<'static>>) -> Self {
        let connector = TlsConnector::from(Arc::new(tls));
        Self { connector, name }
    }

    /// Connects to the host and port of a URI.
    ///
    /// # Errors
    ///
    /// If there is no connection, or it does not speak HTTP/2 over TLS.
    pub async fn connect(self, uri: Uri) -> io::Result<TokioIo<TlsStream<TcpStream>>> {
        let host = uri.host().unwrap_or_default();
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let name = match self.name {
            Some(name) => name,
            None => ServerName::try_from(host.to_owned()).map_err(io::Error::other)?,
        };
        let stream = TcpStream::connect((host, uri.port_u16().unwrap_or(443))).await?;
        let stream = self.connector.connect(name, stream).await?;
        match stream.get_ref().1.alpn_protocol() {
            Some(b"h2") => Ok(TokioIo::new(stream)),
            _ => Err(io::Error::other(
                "the server does not speak HTTP/2 over TLS",
            )),
        }
    }
}
