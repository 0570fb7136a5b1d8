//! The flags of TLS for callers.

use clap::Args;

use crate::args::ConfigErrors;
use crate::server::{Tls, TlsFiles};
use crate::tls::pem::Identity;

/// The flags, as given.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "TLS for callers")]
pub(super) struct TlsArgs {
    /// Serve TLS with the certificate in this PEM file, followed by its intermediates
    #[arg(long, value_name = "FILE", env = "PRESENCE_GATEWAY_TLS_CERT")]
    tls_cert: Option<String>,

    /// Private key of that certificate, a PEM file
    #[arg(long, value_name = "FILE", env = "PRESENCE_GATEWAY_TLS_KEY")]
    tls_key: Option<String>,

    /// Require client certificates of a CA in this PEM file
    #[arg(long, value_name = "FILE", env = "PRESENCE_GATEWAY_TLS_CLIENT_CA")]
    #[arg(hide_short_help = true)]
    tls_client_ca: Option<String>,
}

impl TlsArgs {
    /// Parses the flags; `None` if none is given or one is wrong.
    pub(super) fn parse(&self, errors: &mut ConfigErrors) -> Option<Tls> {
        let client_ca = self.tls_client_ca.clone();
        match (&self.tls_cert, &self.tls_key) {
            (Some(cert), Some(key)) => {
                return errors.take_all(Tls::new(TlsFiles {
                    cert: cert.clone(),
                    key: key.clone(),
                    client_ca,
                }));
            }
            (None, None) => {}
            // One alone is an error, and may have others.
            (cert, key) => {
                let (cert, key) = (cert.as_deref(), key.as_deref());
                errors.take_all(Identity::from_files(
                    ("--tls-cert", cert),
                    ("--tls-key", key),
                ));
                return None;
            }
        }
        let file = client_ca?;
        errors.add(format!(
            "--tls-client-ca: `{file}` needs --tls-cert and --tls-key too"
        ));
        None
    }
}
