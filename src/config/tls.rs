//! The flags of TLS for callers.

use clap::Args;

use crate::args::ConfigErrors;
use crate::server::{Tls, TlsFiles};

/// The flags, as given.
#[derive(Debug, Clone, Args)]
pub(super) struct TlsArgs {
    /// Serve TLS with the certificate in this PEM file, followed by its intermediates
    #[arg(long, value_name = "FILE", env = "PRESENCE_GATEWAY_TLS_CERT")]
    tls_cert: Option<String>,

    /// Private key of that certificate, a PEM file
    #[arg(long, value_name = "FILE", env = "PRESENCE_GATEWAY_TLS_KEY")]
    tls_key: Option<String>,

    /// Require client certificates of an authority in this PEM file
    #[arg(long, value_name = "FILE", env = "PRESENCE_GATEWAY_TLS_CLIENT_CA")]
    tls_client_ca: Option<String>,
}

impl TlsArgs {
    /// Parses the flags; `Some(None)` if none is given.
    #[expect(clippy::option_option, reason = "wrong flags, and no flags")]
    pub(super) fn parse(&self, errors: &mut ConfigErrors) -> Option<Option<Tls>> {
        let (cert, key) = match (&self.tls_cert, &self.tls_key, &self.tls_client_ca) {
            (None, None, None) => return Some(None),
            (Some(cert), Some(key), _) => (cert.clone(), key.clone()),
            (Some(cert), None, _) => {
                errors.add(format!("--tls-cert: `{cert}` needs --tls-key too"));
                return None;
            }
            (None, Some(key), _) => {
                errors.add(format!("--tls-key: `{key}` needs --tls-cert too"));
                return None;
            }
            (None, None, Some(ca)) => {
                errors.add(format!(
                    "--tls-client-ca: `{ca}` needs --tls-cert and --tls-key too"
                ));
                return None;
            }
        };
        let client_ca = self.tls_client_ca.clone();
        let tls = Tls::new(TlsFiles {
            cert,
            key,
            client_ca,
        });
        match tls {
            Ok(tls) => Some(Some(tls)),
            Err(wrong) => {
                for error in wrong {
                    errors.add(error);
                }
                None
            }
        }
    }
}
