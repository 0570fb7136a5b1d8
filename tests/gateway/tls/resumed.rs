//! TLS sessions that clients resume, and where they cannot.

use rustls::{ClientConfig, HandshakeKind, SupportedProtocolVersion, version};

use super::served::{Secure, secure};
use super::{handshake, trusting};
use crate::support::certificates::{Authority, IssuedCertificate, TempDir};

/// A client of one version of TLS, which remembers its sessions.
fn client(
    authority: &Authority,
    shown: Option<&IssuedCertificate>,
    version: &'static SupportedProtocolVersion,
) -> ClientConfig {
    let any = trusting(authority, shown);
    let mut config = ClientConfig::builder_with_provider(presence_gateway::tls::provider())
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(
            presence_gateway::tls::roots(
                presence_gateway::tls::pem::certificates(authority.pem.as_bytes()).unwrap(),
            )
            .unwrap(),
        )
        .with_no_client_auth();
    config.alpn_protocols.clone_from(&any.alpn_protocols);
    config.client_auth_cert_resolver = any.client_auth_cert_resolver;
    config
}

/// How the second handshake of a client is made that has kept its session.
async fn second_handshake(
    secure: &Secure,
    shown: Option<&IssuedCertificate>,
    version: &'static SupportedProtocolVersion,
) -> HandshakeKind {
    let config = client(&secure.authority, shown, version);
    let address = secure.gateway.address.as_str();
    let first = handshake(address, config.clone()).await.unwrap();
    assert_eq!(
        first.get_ref().1.handshake_kind(),
        Some(HandshakeKind::Full)
    );
    let second = handshake(address, config).await.unwrap();
    let kind = second.get_ref().1.handshake_kind();
    kind.expect("the handshake has been made")
}

#[tokio::test]
async fn a_session_that_began_with_a_client_certificate_is_not_resumed() {
    let (clients, folder) = (Authority::new(), TempDir::new());
    let client_ca = folder.file("clients.pem", &clients.pem);
    let secure = secure(&["--tls-client-ca", &client_ca], &[]);
    let shown = clients.issue(&["caller"]);
    for version in [&version::TLS12, &version::TLS13] {
        let kind = second_handshake(&secure, Some(&shown), version).await;
        assert_eq!(kind, HandshakeKind::Full, "{version:?}");
    }
}

#[tokio::test]
async fn a_session_without_a_client_certificate_is_resumed() {
    let secure = secure(&[], &[]);
    for version in [&version::TLS12, &version::TLS13] {
        let kind = second_handshake(&secure, None, version).await;
        assert_eq!(kind, HandshakeKind::Resumed, "{version:?}");
    }
}
