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
    /// All problems, each with its setting and file.
    pub fn from_files(
        (cert_setting, cert): (&str, Option<&str>),
        (key_setting, key): (&str, Option<&str>),
    ) -> Result<Option<Self>, Vec<String>> {
        let chain = cert.map(|path| {
            let chain = file(path).and_then(|pem| certificates(&pem));
            chain.map_err(|wrong| format!("{cert_setting}: `{path}` {wrong}"))
        });
        let in_key = |path: &str, wrong: String| format!("{key_setting}: `{path}` {wrong}");
        let parsed = key.map(|path| {
            let parsed = file(path).and_then(|pem| self::key(&pem));
            parsed.map_err(|wrong| in_key(path, wrong))
        });
        let lonely = match (cert, key) {
            (Some(cert), None) => Some(needs(cert_setting, cert, key_setting)),
            (None, Some(key)) => Some(needs(key_setting, key, cert_setting)),
            _ => None,
        };
        match (chain, parsed) {
            (None, None) => Ok(None),
            (Some(Ok(chain)), Some(Ok(parsed))) => Self::new(chain, parsed)
                .map(Some)
                .map_err(|wrong| vec![in_key(key.unwrap_or_default(), wrong)]),
            (chain, parsed) => {
                let wrong = [chain.and_then(Result::err), parsed.and_then(Result::err)];
                Err(wrong.into_iter().flatten().chain(lonely).collect())
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

/// The problem of a file that is useless without that of another setting.
fn needs(setting: &str, file: &str, other: &str) -> String {
    format!("{setting}: `{file}` needs {other} too")
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
