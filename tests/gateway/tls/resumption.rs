//! Which TLS sessions clients can resume.

use rustls::{ClientConfig, HandshakeKind, SupportedProtocolVersion, version};

use super::served::{Secure, secure};
use super::{client_config, handshake};
use crate::support::certificates::{Authority, IssuedCertificate, TempDir};

/// Returns a client of one TLS version, with a session cache.
fn caching_client(
    authority: &Authority,
    certificate: Option<&IssuedCertificate>,
    version: &'static SupportedProtocolVersion,
) -> ClientConfig {
    let any = client_config(authority, certificate);
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

/// Makes two handshakes with one session cache; returns the kind of the second.
async fn second_handshake(
    secure: &Secure,
    certificate: Option<&IssuedCertificate>,
    version: &'static SupportedProtocolVersion,
) -> HandshakeKind {
    let config = caching_client(&secure.authority, certificate, version);
    let address = secure.gateway.address.as_str();
    let first = handshake(address, config.clone()).await.unwrap();
    assert_eq!(
        first.get_ref().1.handshake_kind(),
        Some(HandshakeKind::Full)
    );
    let second = handshake(address, config).await.unwrap();
    let kind = second.get_ref().1.handshake_kind();
    kind.expect("the handshake is complete")
}

#[tokio::test]
async fn a_session_with_a_client_certificate_is_not_resumed() {
    let (clients, folder) = (Authority::new(), TempDir::new());
    let client_ca = folder.file("clients.pem", &clients.pem);
    let secure = secure(&["--tls-client-ca", &client_ca], &[]);
    let certificate = clients.issue(&["caller"]);
    for version in [&version::TLS12, &version::TLS13] {
        let kind = second_handshake(&secure, Some(&certificate), version).await;
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
