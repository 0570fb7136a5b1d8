//! TLS towards callers: one certificate, and an authority of clients if they
//! must show one. The files are read again while it serves.

mod reload;

use std::fmt;
use std::io;
use std::sync::Arc;

use parking_lot::RwLock;
use rustls::ServerConfig;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::tls::pem::{self, Identity};
use crate::tls::{VERSIONS, provider, roots};

/// What callers and the gateway speak inside. A client that offers something
/// else, or nothing, would not understand a word.
const PROTOCOL: &[u8] = b"h2";

/// The names of the files.
#[derive(Debug, Clone)]
pub struct TlsFiles {
    /// The certificate, with those up to its authority's.
    pub cert: String,
    /// The key to it.
    pub key: String,
    /// The authorities of which clients must show a certificate; without,
    /// they show none.
    pub client_ca: Option<String>,
}

/// What the files hold.
#[derive(PartialEq, Eq)]
struct Contents {
    cert: Vec<u8>,
    key: Vec<u8>,
    client_ca: Option<Vec<u8>>,
}

/// TLS for connections that come in. A clone follows the same files.
#[derive(Clone)]
pub struct Tls {
    files: TlsFiles,
    config: Arc<RwLock<Arc<ServerConfig>>>,
    /// What the files held when they were last looked at, or what was wrong.
    seen: Arc<RwLock<Result<Contents, Vec<String>>>>,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Tls").field(&self.files).finish()
    }
}

impl Tls {
    /// TLS as these files say.
    ///
    /// # Errors
    ///
    /// All that is wrong with them, each with its flag.
    pub fn new(files: TlsFiles) -> Result<Self, Vec<String>> {
        let contents = files.read()?;
        let config = files.config(&contents)?;
        Ok(Self {
            files,
            config: Arc::new(RwLock::new(config)),
            seen: Arc::new(RwLock::new(Ok(contents))),
        })
    }

    /// Makes the handshake of a connection.
    ///
    /// None waits for another's end: whoever begins some and goes on with none
    /// would keep all others out. What bounds them is the number of
    /// connections, and the time that one has to open.
    pub(in crate::server) async fn accept(
        &self,
        stream: TcpStream,
    ) -> io::Result<TlsStream<TcpStream>> {
        let config = Arc::clone(&self.config.read());
        let stream = TlsAcceptor::from(config).accept(stream).await?;
        // The library lets one pass that offers no protocol at all.
        match stream.get_ref().1.alpn_protocol() {
            Some(PROTOCOL) => Ok(stream),
            _ => Err(io::Error::other(
                "the client does not offer HTTP/2 (ALPN `h2`)",
            )),
        }
    }
}

impl TlsFiles {
    fn read(&self) -> Result<Contents, Vec<String>> {
        let read = |flag, path: &str| pem::file(path).map_err(|wrong| tell(flag, path, &wrong));
        let cert = read("tls-cert", &self.cert);
        let key = read("tls-key", &self.key);
        let client_ca = self.client_ca.as_deref();
        let client_ca = client_ca
            .map(|path| read("tls-client-ca", path))
            .transpose();
        match (cert, key, client_ca) {
            (Ok(cert), Ok(key), Ok(client_ca)) => Ok(Contents {
                cert,
                key,
                client_ca,
            }),
            (cert, key, client_ca) => {
                let wrong = [cert.err(), key.err(), client_ca.err()];
                Err(wrong.into_iter().flatten().collect())
            }
        }
    }

    fn config(&self, contents: &Contents) -> Result<Arc<ServerConfig>, Vec<String>> {
        let cert =
            pem::certificates(&contents.cert).map_err(|wrong| tell("tls-cert", &self.cert, &wrong));
        let key = pem::key(&contents.key).map_err(|wrong| tell("tls-key", &self.key, &wrong));
        let client_ca = contents.client_ca.as_deref().zip(self.client_ca.as_deref());
        let verifier = match client_ca {
            None => Ok(WebPkiClientVerifier::no_client_auth()),
            Some((pem, path)) => pem::certificates(pem)
                .and_then(roots)
                .and_then(|roots| {
                    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider())
                        .build()
                        .map_err(|error| format!("cannot be used: {error}"))
                })
                .map_err(|wrong| tell("tls-client-ca", path, &wrong)),
        };
        let (cert, key, verifier) = match (cert, key, verifier) {
            (Ok(cert), Ok(key), Ok(verifier)) => (cert, key, verifier),
            (cert, key, verifier) => {
                let wrong = [cert.err(), key.err(), verifier.err()];
                return Err(wrong.into_iter().flatten().collect());
            }
        };
        let Identity { chain, key } =
            Identity::new(cert, key).map_err(|wrong| vec![tell("tls-key", &self.key, &wrong)])?;
        let config = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(VERSIONS)
            .and_then(|builder| {
                builder
                    .with_client_cert_verifier(verifier)
                    .with_single_cert(chain, key)
            });
        let mut config = config.map_err(|error| vec![error.to_string()])?;
        config.alpn_protocols = vec![PROTOCOL.to_vec()];
        if client_ca.is_some() {
            // A session that is resumed shows no certificate again: it would
            // outlast the one that it began with.
            config.session_storage = Arc::new(NoServerSessionStorage {});
            config.send_tls13_tickets = 0;
        }
        Ok(Arc::new(config))
    }
}

fn tell(flag: &str, path: &str, wrong: &str) -> String {
    format!("--{flag}: `{path}` {wrong}")
}
