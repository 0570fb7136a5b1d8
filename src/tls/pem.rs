//! Certificates and keys in PEM files.

use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use super::provider;

/// A certificate chain and its key.
#[derive(Debug)]
pub struct Identity {
    /// The leaf first.
    pub chain: Vec<CertificateDer<'static>>,
    /// The key of the first certificate.
    pub key: PrivateKeyDer<'static>,
}

impl Identity {
    /// Reads the certificate and the key from the files that two settings name;
    /// `None` where neither is given.
    ///
    /// # Errors
    ///
    /// The problem, with the setting and the file.
    pub fn from_files(
        cert: (&str, Option<&str>),
        key: (&str, Option<&str>),
    ) -> Result<Option<Self>, String> {
        match (cert, key) {
            ((_, None), (_, None)) => Ok(None),
            ((cert_setting, Some(cert)), (key_setting, Some(key))) => {
                let chain = file(cert)
                    .and_then(|pem| certificates(&pem))
                    .map_err(|wrong| format!("{cert_setting}: `{cert}` {wrong}"))?;
                file(key)
                    .and_then(|pem| self::key(&pem))
                    .and_then(|key| Self::new(chain, key))
                    .map(Some)
                    .map_err(|wrong| format!("{key_setting}: `{key}` {wrong}"))
            }
            ((setting, Some(file)), (other, None)) | ((other, None), (setting, Some(file))) => {
                Err(format!("{setting}: `{file}` needs {other} too"))
            }
        }
    }

    /// Checks that a key belongs to a certificate.
    ///
    /// # Errors
    ///
    /// If the key is of an unknown kind or belongs to another certificate. The
    /// text continues a sentence that begins with the path of the key.
    pub fn new(
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) -> Result<Self, String> {
        let certified = CertifiedKey::from_der(chain.clone(), key.clone_key(), &provider());
        match certified {
            Ok(_) => Ok(Self { chain, key }),
            Err(rustls::Error::InconsistentKeys(_)) => {
                Err("is not the key of the certificate".to_owned())
            }
            Err(error) => Err(format!("cannot be used with the certificate: {error}")),
        }
    }
}

/// Reads a file.
///
/// # Errors
///
/// The text continues a sentence that begins with the path.
pub fn file(path: &str) -> Result<Vec<u8>, String> {
    std::fs::read(path).map_err(|error| format!("cannot be read: {error}"))
}

/// Reads all certificates of a file.
///
/// # Errors
///
/// The text continues a sentence that begins with the path.
pub fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let certificates = certificates.map_err(|error| format!("is not readable PEM: {error}"))?;
    if certificates.is_empty() {
        return Err("holds no certificate in PEM (`-----BEGIN CERTIFICATE-----`)".to_owned());
    }
    Ok(certificates)
}

/// Reads the certificates of authorities from the file at `path`.
///
/// # Errors
///
/// As the end of a sentence that begins with the path.
pub fn authorities(path: &str) -> Result<RootCertStore, String> {
    certificates(&file(path)?).and_then(super::roots)
}

/// Reads the private key of a file.
///
/// # Errors
///
/// The text continues a sentence that begins with the path.
pub fn key(pem: &[u8]) -> Result<PrivateKeyDer<'static>, String> {
    PrivateKeyDer::from_pem_slice(pem).map_err(|_| {
        "holds no private key in PEM (`-----BEGIN PRIVATE KEY-----`, without a password)".to_owned()
    })
}
