//! The TLS flags of `call`.

mod peer;

use std::sync::Arc;

use clap::Args;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};

use crate::args::ConfigErrors;
use crate::tls;
use crate::tls::pem::{self, Identity};
use peer::KeepingVerifier;

pub(super) use peer::Peer;

/// How to connect with TLS.
pub(super) struct ClientTls {
    pub config: Arc<ClientConfig>,
    /// The name that the certificate must have, if it is not the host.
    pub name: Option<ServerName<'static>>,
    /// The file of `--tls-ca`.
    pub ca_file: Option<String>,
    /// Whether the client has a certificate.
    pub has_certificate: bool,
    pub peer: Peer,
}

/// The TLS flags of `call`.
#[derive(Debug, Clone, Args)]
pub(super) struct TlsArgs {
    /// Trust the CAs in this PEM file instead of those of the system
    #[arg(long, value_name = "FILE")]
    tls_ca: Option<String>,

    /// Present the certificate in this PEM file
    #[arg(long, value_name = "FILE")]
    tls_cert: Option<String>,

    /// The private key of that certificate, a PEM file
    #[arg(long, value_name = "FILE")]
    tls_key: Option<String>,

    /// The name in the gateway's certificate [default: the host of the address]
    #[arg(long, value_name = "NAME")]
    tls_server_name: Option<String>,
}

impl TlsArgs {
    /// The first flag that is given, if any.
    pub(super) fn first_given(&self) -> Option<&'static str> {
        let given = [
            ("--tls-ca", &self.tls_ca),
            ("--tls-cert", &self.tls_cert),
            ("--tls-key", &self.tls_key),
            ("--tls-server-name", &self.tls_server_name),
        ];
        let given = given.into_iter().find(|(_, value)| value.is_some());
        given.map(|(flag, _)| flag)
    }

    /// Reads the files that the flags name.
    pub(super) fn client(&self) -> Result<ClientTls, Vec<String>> {
        let mut errors = ConfigErrors::default();
        let authorities = self.tls_ca.as_ref();
        let authorities = authorities.map(|path| errors.parse("tls-ca", path, pem::authorities));
        let identity = errors.take_all(Identity::from_files(
            ("--tls-cert", self.tls_cert.as_deref()),
            ("--tls-key", self.tls_key.as_deref()),
        ));
        let name = self.tls_server_name.as_ref().map(|name| {
            errors.parse("tls-server-name", name, |name| {
                ServerName::try_from(name.to_owned())
                    .map_err(|_| "is not the name of a server".to_owned())
            })
        });
        let (Some(identity), false) = (identity, errors.count() > 0) else {
            return Err(errors.into_vec());
        };
        let has_certificate = identity.is_some();
        let verifier = tls::verifier(authorities.flatten())
            .map_err(|wrong| vec![format!("{wrong}; give --tls-ca")])?;
        let config = tls::client(Some(RootCertStore::empty()), identity, b"h2");
        let mut config = config.map_err(|wrong| vec![wrong])?;
        let peer = Peer::default();
        let keeping = KeepingVerifier {
            verifier,
            peer: Arc::clone(&peer),
        };
        // rustls calls any custom verifier dangerous; this one only remembers.
        config
            .dangerous()
            .set_certificate_verifier(Arc::new(keeping));
        Ok(ClientTls {
            config: Arc::new(config),
            name: name.flatten(),
            ca_file: self.tls_ca.clone(),
            has_certificate,
            peer,
        })
    }
}
