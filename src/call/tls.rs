//! TLS to the gateway.

use std::io;
use std::sync::Arc;

use clap::Args;
use http::Uri;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::tls::pem::{self, Identity};
use crate::tls::{self, Trust};

/// The flags of TLS.
#[derive(Debug, Clone, Args)]
pub(super) struct TlsArgs {
    /// Trust the authorities in this PEM file, and not those of the system
    #[arg(long, value_name = "FILE")]
    tls_ca: Option<String>,

    /// Show the certificate in this PEM file
    #[arg(long, value_name = "FILE")]
    tls_cert: Option<String>,

    /// The private key of that certificate, a PEM file
    #[arg(long, value_name = "FILE")]
    tls_key: Option<String>,

    /// The name that the gateway's certificate is for [default: the host of the address]
    #[arg(long, value_name = "NAME")]
    tls_server_name: Option<String>,
}

/// How connections are made that speak TLS.
#[derive(Clone)]
pub(super) struct Secure {
    connector: TlsConnector,
    name: Option<ServerName<'static>>,
}

impl TlsArgs {
    /// The first of the flags that is given, if any is.
    pub(super) fn given(&self) -> Option<&'static str> {
        let given = [
            ("--tls-ca", &self.tls_ca),
            ("--tls-cert", &self.tls_cert),
            ("--tls-key", &self.tls_key),
            ("--tls-server-name", &self.tls_server_name),
        ];
        let given = given.into_iter().find(|(_, value)| value.is_some());
        given.map(|(flag, _)| flag)
    }

    /// What the flags say.
    pub(super) fn read(&self) -> Result<Secure, String> {
        let trust = match &self.tls_ca {
            None => Trust::System,
            Some(path) => Trust::Only(
                pem::file(path)
                    .and_then(|pem| pem::certificates(&pem))
                    .map_err(|wrong| format!("--tls-ca: `{path}` {wrong}"))?,
            ),
        };
        let identity = match (&self.tls_cert, &self.tls_key) {
            (None, None) => None,
            (Some(cert), Some(key)) => Some(Identity::read("tls-cert", cert, "tls-key", key)?),
            _ => return Err("--tls-cert and --tls-key need one another".to_owned()),
        };
        let name = self.tls_server_name.as_ref().map(|name| {
            ServerName::try_from(name.clone())
                .map_err(|_| format!("--tls-server-name: `{name}` is no name of a server"))
        });
        let config = tls::client(trust, identity, b"h2").map_err(|wrong| match &self.tls_ca {
            Some(path) => format!("--tls-ca: `{path}` {wrong}"),
            None => format!("{wrong}; give --tls-ca"),
        })?;
        Ok(Secure {
            connector: TlsConnector::from(Arc::new(config)),
            name: name.transpose()?,
        })
    }
}

impl Secure {
    /// Connects to the host and port of a URI.
    pub(super) async fn connect(self, uri: Uri) -> io::Result<TokioIo<TlsStream<TcpStream>>> {
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
