//! TLS towards callers: one certificate, and for mutual TLS the CAs of clients.
//! The files are reloaded while the gateway serves.

mod reload;

use std::fmt;
use std::io;
use std::sync::Arc;

use parking_lot::RwLock;
use rustls::ServerConfig;
use rustls::pki_types::CertificateDer;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::tls::certificate::Certificate;
use crate::tls::pem::{self, Identity};
use crate::tls::{VERSIONS, provider, roots};

/// The ALPN protocol of calls.
const HTTP2: &[u8] = b"h2";

/// The ALPN protocol that is accepted to explain that calls need the other.
const HTTP1: &[u8] = b"http/1.1";

/// The first byte of a TLS handshake: the type of its record (RFC 8446, section 5.1).
pub(in crate::server) const HANDSHAKE: u8 = 0x16;

/// A connection as its client has opened it.
pub(super) enum Accepted {
    /// TLS for HTTP/2.
    Http2(Box<TlsStream<TcpStream>>),
    /// TLS for HTTP/1, or for no protocol that was negotiated.
    Tls(Box<TlsStream<TcpStream>>),
    /// No TLS.
    Plain(TcpStream),
}

/// The paths of the TLS files.
#[derive(Debug, Clone)]
pub struct TlsFiles {
    /// The certificate chain, the leaf first.
    pub cert: String,
    /// The key of the certificate.
    pub key: String,
    /// The CAs that must have issued the certificates of clients. Without it,
    /// clients present none.
    pub client_ca: Option<String>,
}

/// The contents of the files: the certificate, its key, and the CAs of clients.
type Contents = (Vec<u8>, Vec<u8>, Option<Vec<u8>>);

/// TLS for accepted connections. Clones follow the same files.
#[derive(Clone)]
pub struct Tls {
    files: TlsFiles,
    config: Arc<RwLock<Arc<ServerConfig>>>,
    /// The contents at the last check, or the problems with them.
    seen: Arc<RwLock<Result<Contents, Vec<String>>>>,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Tls").field(&self.files).finish()
    }
}

impl Tls {
    /// Loads the files.
    ///
    /// # Errors
    ///
    /// All problems with them, each with its flag.
    pub fn new(files: TlsFiles) -> Result<Self, Vec<String>> {
        let contents = files.read()?;
        let config = files.config(&contents)?;
        Ok(Self {
            files,
            config: Arc::new(RwLock::new(config)),
            seen: Arc::new(RwLock::new(Ok(contents))),
        })
    }

    /// The certificate of the gateway, as it was read.
    #[must_use]
    pub fn leaf(&self) -> Option<CertificateDer<'static>> {
        let seen = self.seen.read();
        let (cert, _, _) = seen.as_ref().ok()?;
        pem::certificates(cert).ok()?.into_iter().next()
    }

    /// Why clients reject the certificate of the gateway now, if it is at fault.
    #[must_use]
    pub fn problem(&self) -> Option<String> {
        Certificate::read(&self.leaf()?)?.problem
    }

    /// Logs why clients reject the certificate of the gateway now, if it is at fault.
    pub fn log_problem(&self) {
        if let Some(problem) = self.problem() {
            tracing::warn!(
                cert = %self.files.cert,
                "clients reject the certificate of --tls-cert: it {problem}"
            );
        }
    }

    /// The file with the CAs of clients, if they need a certificate.
    #[must_use]
    pub fn client_ca(&self) -> Option<&str> {
        self.files.client_ca.as_deref()
    }

    /// Performs the handshake of a connection.
    ///
    /// Handshakes do not queue: a client that starts some and continues none
    /// would lock all others out. The limits of connections and of the time for
    /// a handshake bound them.
    pub(super) async fn accept(&self, stream: TcpStream) -> io::Result<Accepted> {
        let mut first = [0; 3];
        stream.peek(&mut first).await?;
        // HTTP/1 without TLS. The alert of rustls must do for HTTP/2 (`PRI`), which
        // understands no response in HTTP/1.
        let is_http1 = first[0].is_ascii_alphabetic() || b"\r\n".contains(&first[0]);
        if is_http1 && first != *b"PRI" {
            return Ok(Accepted::Plain(stream));
        }
        let config = Arc::clone(&self.config.read());
        let stream = Box::new(TlsAcceptor::from(config).accept(stream).await?);
        // rustls accepts a client that offers no protocol at all.
        Ok(match stream.get_ref().1.alpn_protocol() {
            Some(HTTP2) => Accepted::Http2(stream),
            _ => Accepted::Tls(stream),
        })
    }
}

impl TlsFiles {
    fn read(&self) -> Result<Contents, Vec<String>> {
        let read = |flag, path: &str| pem::file(path).map_err(|wrong| problem(flag, path, &wrong));
        let client_ca = self.client_ca.as_deref();
        zip_results(
            read("tls-cert", &self.cert),
            read("tls-key", &self.key),
            client_ca
                .map(|path| read("tls-client-ca", path))
                .transpose(),
        )
    }

    fn config(&self, contents: &Contents) -> Result<Arc<ServerConfig>, Vec<String>> {
        let (cert, key, client_ca) = contents;
        let cert = pem::certificates(cert).map_err(|wrong| problem("tls-cert", &self.cert, &wrong));
        let key = pem::key(key).map_err(|wrong| problem("tls-key", &self.key, &wrong));
        let client_ca = client_ca.as_deref().zip(self.client_ca.as_deref());
        let verifier = match client_ca {
            None => Ok(WebPkiClientVerifier::no_client_auth()),
            Some((pem, path)) => pem::certificates(pem)
                .and_then(roots)
                .and_then(|roots| {
                    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider())
                        .build()
                        .map_err(|error| format!("cannot be used: {error}"))
                })
                .map_err(|wrong| problem("tls-client-ca", path, &wrong)),
        };
        let (cert, key, verifier) = zip_results(cert, key, verifier)?;
        let Identity { chain, key } = Identity::new(cert, key)
            .map_err(|wrong| vec![problem("tls-key", &self.key, &wrong)])?;
        let config = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(VERSIONS)
            .and_then(|builder| {
                builder
                    .with_client_cert_verifier(verifier)
                    .with_single_cert(chain, key)
            });
        let mut config = config.map_err(|error| vec![error.to_string()])?;
        config.alpn_protocols = vec![HTTP2.to_vec(), HTTP1.to_vec()];
        if client_ca.is_some() {
            // A resumed session presents no certificate again, so it would outlast
            // the certificate that it began with.
            config.session_storage = Arc::new(NoServerSessionStorage {});
            config.send_tls13_tickets = 0;
        }
        Ok(Arc::new(config))
    }
}

/// All three values, or all errors.
fn zip_results<A, B, C>(
    a: Result<A, String>,
    b: Result<B, String>,
    c: Result<C, String>,
) -> Result<(A, B, C), Vec<String>> {
    match (a, b, c) {
        (Ok(a), Ok(b), Ok(c)) => Ok((a, b, c)),
        (a, b, c) => Err([a.err(), b.err(), c.err()].into_iter().flatten().collect()),
    }
}

fn problem(flag: &str, path: &str, wrong: &str) -> String {
    format!("--{flag}: `{path}` {wrong}")
}
