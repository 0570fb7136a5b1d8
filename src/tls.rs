//! The TLS settings of all connections: from callers, to the vendor, to collectors.
//!
//! Versions 1.2 and 1.3, with the cipher suites of one provider. None of the
//! suites is weak, so there is no setting.

pub mod certificate;
pub mod dial;
mod name;
pub mod pem;

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion, version};
use rustls_platform_verifier::Verifier;

use pem::Identity;

/// The enabled versions.
pub const VERSIONS: &[&SupportedProtocolVersion] = &[&version::TLS13, &version::TLS12];

/// The cryptography provider. ring builds with a C compiler alone, on all
/// platforms; rustls's default does not.
#[must_use]
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// The TLS configuration of a client: the CAs that it trusts, or those of the
/// system; the certificate that it presents; and its one ALPN protocol.
///
/// # Errors
///
/// If the system has no CAs.
pub fn client(
    authorities: Option<RootCertStore>,
    identity: Option<Identity>,
    protocol: &[u8],
) -> Result<ClientConfig, String> {
    let builder = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(VERSIONS)
        .map_err(|error| error.to_string())?;
    let builder = if let Some(authorities) = authorities {
        builder.with_root_certificates(authorities)
    } else {
        // rustls calls any custom verifier dangerous; that of the system is not.
        builder
            .dangerous()
            .with_custom_certificate_verifier(verifier(None)?)
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

/// The verifier of servers' certificates, by these CAs or those of the system.
///
/// # Errors
///
/// If there are no CAs.
pub fn verifier(authorities: Option<RootCertStore>) -> Result<Arc<dyn ServerCertVerifier>, String> {
    match authorities {
        Some(authorities) => {
            let authorities = Arc::new(authorities);
            let verifier =
                WebPkiServerVerifier::builder_with_provider(authorities, provider()).build();
            Ok(verifier.map_err(|error| error.to_string())?)
        }
        None => match Verifier::new(provider()) {
            Ok(verifier) => Ok(Arc::new(verifier)),
            Err(error) => Err(format!(
                "the CA certificates of the system cannot be loaded: {error}"
            )),
        },
    }
}

/// A store of these CAs.
///
/// # Errors
///
/// The number of the certificate that cannot be used.
pub fn roots(authorities: Vec<CertificateDer<'static>>) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for (index, authority) in authorities.into_iter().enumerate() {
        roots.add(authority).map_err(|error| {
            format!(
                "has a certificate, number {}, that is no CA: {error}",
                index + 1
            )
        })?;
    }
    Ok(roots)
}
