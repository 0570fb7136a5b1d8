//! The flags of TLS towards callers.

use clap::Args;

use crate::args::ConfigErrors;
use crate::server::{Tls, TlsFiles};

/// The flags of TLS towards callers, as they are given.
#[derive(Debug, Clone, Args)]
pub(super) struct TlsArgs {
    /// Serve TLS with the certificate of this PEM file, which holds those up to its authority's too
    #[arg(long, value_name = "FILE", env = "PRESENCE_GATEWAY_TLS_CERT")]
    tls_cert: Option<String>,

    /// The private key of that certificate, a PEM file
    #[arg(long, value_name = "FILE", env = "PRESENCE_GATEWAY_TLS_KEY")]
    tls_key: Option<String>,

    /// Serve only clients with a certificate of an authority in this PEM file
    #[arg(long, value_name = "FILE", env = "PRESENCE_GATEWAY_TLS_CLIENT_CA")]
    tls_client_ca: Option<String>,
}

impl TlsArgs {
    /// `Some(None)` where no TLS is asked for.
    #[expect(clippy::option_option, reason = "no value, and a value that is none")]
    pub(super) fn read(&self, problems: &mut ConfigErrors) -> Option<Option<Tls>> {
        let (cert, key) = match (&self.tls_cert, &self.tls_key, &self.tls_client_ca) {
            (None, None, None) => return Some(None),
            (Some(cert), Some(key), _) => (cert.clone(), key.clone()),
            (Some(cert), None, _) => {
                problems.add(format!("--tls-cert: `{cert}` needs --tls-key too"));
                return None;
            }
            (None, Some(key), _) => {
                problems.add(format!("--tls-key: `{key}` needs --tls-cert too"));
                return None;
            }
            (None, None, Some(ca)) => {
                problems.add(format!(
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
                for problem in wrong {
                    problems.add(problem);
                }
                None
            }
        }
    }
}
