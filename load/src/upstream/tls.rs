//! TLS of the simulated vendor, with a certificate of its own authority.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use presence_gateway::tls::{VERSIONS, provider};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivatePkcs8KeyDer;
use tokio_rustls::TlsAcceptor;

use super::connections::Alpn;

/// The names of the certificate.
const NAMES: [&str; 2] = ["127.0.0.1", "localhost"];

/// The flags of TLS.
#[derive(Debug, Clone, clap::Args)]
pub struct Flags {
    /// The address and port to serve TLS on, beside the plain one
    #[arg(long, requires = "tls_ca")]
    pub(super) tls_listen: Option<SocketAddr>,

    /// The file that gets the CA's certificate, for the gateway's --upstream-ca
    #[arg(long, requires = "tls_listen")]
    pub(super) tls_ca: Option<PathBuf>,

    /// The protocols to offer by ALPN, the preferred one first
    #[arg(long, value_delimiter = ',', default_value = "h2,http/1.1")]
    pub(super) alpn: Vec<Alpn>,
}

/// The acceptor of TLS connections. Writes its authority to a file.
pub(super) fn acceptor(ca: &Path, alpn: &[Alpn]) -> Result<TlsAcceptor, String> {
    let (config, authority) = config(alpn).map_err(|error| format!("TLS: {error}"))?;
    fs::write(ca, authority).map_err(|error| format!("{}: {error}", ca.display()))?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

type Wrong = Box<dyn std::error::Error>;

/// The settings with a new certificate, and its authority in PEM.
fn config(alpn: &[Alpn]) -> Result<(ServerConfig, String), Wrong> {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let name = &mut params.distinguished_name;
    name.push(DnType::CommonName, "presence-gateway-load");
    let key = KeyPair::generate()?;
    let authority = params.self_signed(&key)?.pem();
    let issuer = Issuer::new(params, key);
    let key = KeyPair::generate()?;
    let certificate = CertificateParams::new(NAMES.map(str::to_owned))?;
    let certificate = certificate.signed_by(&key, &issuer)?.der().clone();
    let key = PrivatePkcs8KeyDer::from(key.serialize_der());
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(VERSIONS)?
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key.into())?;
    config.alpn_protocols = alpn.iter().map(|alpn| alpn.id().to_vec()).collect();
    Ok((config, authority))
}
