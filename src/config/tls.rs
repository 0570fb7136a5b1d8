//! The flags of TLS for callers.

use clap::Args;

use crate::args::ConfigErrors;
use crate::server::{Tls, TlsFiles};

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
        let (flag, file, other) = match (self.tls_cert.clone(), self.tls_key.clone()) {
            (Some(cert), Some(key)) => {
                let files = TlsFiles {
                    cert,
                    key,
                    client_ca,
                };
                let wrong = |wrong: Vec<_>| wrong.into_iter().for_each(|it| errors.add(it));
                return Tls::new(files).map_err(wrong).ok();
            }
            (Some(cert), None) => ("tls-cert", cert, "--tls-key"),
            (None, Some(key)) => ("tls-key", key, "--tls-cert"),
            (None, None) => ("tls-client-ca", client_ca?, "--tls-cert and --tls-key"),
        };
        errors.add(format!("--{flag}: `{file}` needs {other} too"));
        None
    }
}
