//! TLS, towards callers and towards the vendor: what both sides share.
//!
//! Versions 1.2 and 1.3, with the suites of one provider: none of them is
//! weak, so there is nothing to choose.

pub mod dial;
pub mod pem;

use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion, version};
use rustls_platform_verifier::Verifier;

use pem::Identity;

/// The versions that are spoken.
pub const VERSIONS: &[&SupportedProtocolVersion] = &[&version::TLS13, &version::TLS12];

/// What does the cryptography.
#[must_use]
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// Whom a client trusts.
#[derive(Debug)]
pub enum Trust {
    /// The authorities that the system trusts.
    System,
    /// These authorities alone.
    Only(Vec<CertificateDer<'static>>),
    /// Nobody: for a client that speaks no TLS.
    Nobody,
}

/// What a client's TLS needs: whom it trusts, what it shows of itself, and the
/// one protocol that it speaks inside.
///
/// # Errors
///
/// If the system has no authorities, or those given are none.
pub fn client(
    trust: Trust,
    identity: Option<Identity>,
    protocol: &[u8],
) -> Result<ClientConfig, String> {
    let provider = provider();
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(VERSIONS)
        .map_err(|error| error.to_string())?;
    let builder = match trust {
        Trust::System => {
            let verifier = Verifier::new(provider).map_err(|error| {
                format!("the system has no certificates of authorities: {error}")
            })?;
            // Dangerous is what a verifier could be, and the system's is not.
            builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(verifier))
        }
        Trust::Only(authorities) => builder.with_root_certificates(roots(authorities)?),
        Trust::Nobody => builder.with_root_certificates(RootCertStore::empty()),
    };
    let mut config = match identity {
        None => builder.with_no_client_auth(),
        Some(Identity { chain, key }) => builder
            .with_client_auth_cert(chain, key)
            .map_err(|error| error.to_string())?,
    };
    config.alpn_protocols = vec![protocol.to_vec()];
    Ok(config)
}

/// A store of these authorities.
///
/// # Errors
///
/// Says which of them is none.
pub fn roots(authorities: Vec<CertificateDer<'static>>) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for (index, authority) in authorities.into_iter().enumerate() {
        roots.add(authority).map_err(|error| {
            format!("is no authority in its certificate {}: {error}", index + 1)
        })?;
    }
    Ok(roots)
}
