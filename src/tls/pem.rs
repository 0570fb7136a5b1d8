//! Certificates and keys in PEM files.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::OFlags;
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use super::provider;

/// The most bytes of a file: several times the CAs of a system.
const MAX_FILE: u64 = 1024 * 1024;

/// How long the writer of a pipe may take.
const PIPE_TIMEOUT: Duration = Duration::from_secs(5);

/// How often a pipe is read that has nothing new.
const PIPE_INTERVAL: Duration = Duration::from_millis(10);

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

/// Reads a file, or a pipe as a shell makes it (`<(…)`).
///
/// # Errors
///
/// If it is another thing, such as a device, too large, or a pipe without a writer. The
/// text continues a sentence that begins with the path.
pub fn file(path: &str) -> Result<Vec<u8>, String> {
    let cannot = |error: io::Error| format!("cannot be read: {error}");
    let kind = fs::metadata(path).map_err(cannot)?.file_type();
    let bytes = if kind.is_fifo() {
        pipe(path)?
    } else if kind.is_file() {
        let file = File::open(path).map_err(cannot)?;
        let mut bytes = Vec::new();
        let read = file.take(MAX_FILE + 1).read_to_end(&mut bytes);
        read.map_err(cannot)?;
        bytes
    } else if kind.is_dir() {
        return Err("is a directory, not a file".to_owned());
    } else {
        return Err("is neither a file nor a pipe".to_owned());
    };
    if bytes.len() as u64 > MAX_FILE {
        let mib = MAX_FILE >> 20;
        return Err(format!(
            "has more than {mib} MiB, so it is no file of certificates or keys"
        ));
    }
    Ok(bytes)
}

/// Reads a pipe. To open it would wait for its writer, and so would reading it.
fn pipe(path: &str) -> Result<Vec<u8>, String> {
    let cannot = |error: io::Error| format!("cannot be read: {error}");
    let non_blocking = OFlags::NONBLOCK.bits().cast_signed();
    let opened = File::options()
        .read(true)
        .custom_flags(non_blocking)
        .open(path);
    let mut file = opened.map_err(cannot)?;
    let end = Instant::now() + PIPE_TIMEOUT;
    let (mut bytes, mut chunk) = (Vec::new(), [0; 4096]);
    while bytes.len() as u64 <= MAX_FILE {
        match file.read(&mut chunk) {
            // Without a writer, a pipe is at its end, but one may come.
            Ok(0) if !bytes.is_empty() => break,
            Ok(0) => {}
            Ok(read) => {
                bytes.extend_from_slice(&chunk[..read]);
                continue;
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(cannot(error)),
        }
        if Instant::now() > end {
            return Err(format!(
                "is a pipe, and was not written to its end within {PIPE_TIMEOUT:?}"
            ));
        }
        thread::sleep(PIPE_INTERVAL);
    }
    Ok(bytes)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_has_no_end_or_is_none_is_not_read() {
        for (path, expected) in [
            ("/dev/zero", "is neither a file nor a pipe"),
            ("/tmp", "is a directory, not a file"),
            ("/no/such/file", "cannot be read: No such file"),
        ] {
            let wrong = file(path).unwrap_err();
            assert!(wrong.starts_with(expected), "{path}: {wrong}");
        }
        let path = std::env::temp_dir().join(format!("large-{}.pem", std::process::id()));
        for (size, is_accepted) in [(MAX_FILE, true), (MAX_FILE + 1, false)] {
            File::create(&path).unwrap().set_len(size).unwrap();
            let read = file(path.to_str().unwrap());
            assert_eq!(read.is_ok(), is_accepted, "{size}");
        }
        fs::remove_file(path).unwrap();
    }
}
