//! Which clients a gateway with a certificate serves, with which protocols, and
//! health without TLS.

use std::sync::Arc;

use rustls::version;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tonic::Code;
use tonic::transport::Endpoint;
use tonic_health::pb::health_check_response::ServingStatus::{NotServing, Serving};

use super::{channel, client_config, handshake};
use crate::lifecycle::health::{NAMES, check};
use crate::support::Gateway;
use crate::support::certificates::{Authority, IssuedCertificate, TempDir};
use crate::support::process::{ProcessOutput, ServerProcess as Program, run};

/// A gateway with a certificate, and its authority.
pub struct Secure {
    pub authority: Authority,
    pub folder: TempDir,
    pub ca: String,
    pub gateway: Program,
}

pub fn secure(more: &[&str], environment: &[(&str, &str)]) -> Secure {
    let (authority, folder) = (Authority::new(), TempDir::new());
    let issued = authority.local();
    let cert = folder.file("cert.pem", &issued.cert);
    let key = folder.file("key.pem", &issued.key);
    let ca = folder.file("ca.pem", &authority.pem);
    let flags = ["serve", "--sandbox", "--tls-cert", &cert, "--tls-key", &key];
    let gateway = Program::start(&[&flags, more].concat(), environment);
    Secure {
        authority,
        folder,
        ca,
        gateway,
    }
}

fn call(address: &str, flags: &[&str]) -> ProcessOutput {
    let call = [
        "call",
        "GetSystempresences",
        "--token",
        "any",
        "--address",
        address,
    ];
    run(&[&call, flags].concat(), &[])
}

#[test]
fn only_a_caller_that_trusts_the_authority_is_served() {
    let secure = secure(&[], &[]);
    let address = secure.gateway.address.as_str();
    let https = format!("https://{address}");
    for served in [
        call(address, &["--tls-ca", &secure.ca]),
        call(&https, &["--tls-ca", &secure.ca]),
        call(
            &https,
            &["--tls-ca", &secure.ca, "--tls-server-name", "localhost"],
        ),
    ] {
        assert_eq!(served.code, Some(0), "{served:#?}");
        assert!(served.stdout.contains("ON_QUEUE"), "{served:#?}");
    }
    let foreign = secure.folder.file("foreign.pem", &Authority::new().pem);
    for (refused, reason) in [
        (call(address, &[]), ""),
        (
            call(&https, &["--tls-ca", &foreign]),
            "not issued by the authority in --tls-ca",
        ),
        (
            call(
                &https,
                &["--tls-ca", &secure.ca, "--tls-server-name", "other.example"],
            ),
            "is not for `other.example` (--tls-server-name)",
        ),
    ] {
        assert_eq!(refused.code, Some(1), "{refused:#?}");
        assert!(refused.stderr.starts_with("UNAVAILABLE: "), "{refused:#?}");
        assert!(refused.stderr.contains(reason), "{refused:#?}");
    }
}

#[test]
fn with_a_client_authority_callers_must_present_its_certificate() {
    let (clients, folder) = (Authority::new(), TempDir::new());
    let client_ca = folder.file("clients.pem", &clients.pem);
    let secure = secure(&["--tls-client-ca", &client_ca], &[]);
    let call_with = |issued: &IssuedCertificate| {
        let cert = folder.file("client.pem", &issued.cert);
        let key = folder.file("client.key", &issued.key);
        let flags = [
            "--tls-ca",
            &secure.ca,
            "--tls-cert",
            &cert,
            "--tls-key",
            &key,
        ];
        call(&secure.gateway.address, &flags)
    };
    let served = call_with(&clients.issue(&["caller"]));
    assert_eq!(served.code, Some(0), "{served:#?}");
    for refused in [
        call(&secure.gateway.address, &["--tls-ca", &secure.ca]),
        // A certificate of the authority of the gateway's own.
        call_with(&secure.authority.issue(&["caller"])),
    ] {
        assert_eq!(refused.code, Some(1), "{refused:#?}");
        assert!(refused.stderr.starts_with("UNAVAILABLE: "), "{refused:#?}");
    }
}

#[tokio::test]
async fn tls_1_2_and_1_3_carry_http_2_and_nothing_else() {
    let secure = secure(&[], &[]);
    let address = secure.gateway.address.as_str();
    for version in [&version::TLS12, &version::TLS13] {
        let roots = presence_gateway::tls::roots(
            presence_gateway::tls::pem::certificates(secure.authority.pem.as_bytes()).unwrap(),
        );
        let provider = presence_gateway::tls::provider();
        let mut config = rustls::ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(roots.unwrap())
            .with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec()];
        let stream = handshake(address, config.clone()).await.unwrap();
        let version_used = stream.get_ref().1.protocol_version();
        assert_eq!(version_used, Some(version.version));
        let both = vec![b"http/1.1".to_vec(), b"h2".to_vec()];
        for (offered, is_accepted) in [
            (both, true),
            (vec![b"http/1.1".to_vec()], false),
            (vec![], false),
        ] {
            config.alpn_protocols.clone_from(&offered);
            let result = handshake(address, config.clone()).await;
            assert_eq!(
                result.is_ok(),
                is_accepted,
                "{offered:?} {version:?}: {result:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_client_without_tls_is_disconnected() {
    let secure = secure(&[], &[]);
    for bytes in [crate::support::raw_http::PREFACE, &[0x16; 5000]] {
        let mut stream = TcpStream::connect(&secure.gateway.address).await.unwrap();
        // The gateway can close the connection in the middle.
        let _ = stream.write_all(bytes).await;
        let mut response = Vec::new();
        let _ = stream.read_to_end(&mut response).await;
        assert!(response.len() < 100, "{response:?}");
    }
    let config = client_config(&secure.authority, None);
    channel(&secure.gateway.address, &config).await.unwrap();
}

/// Sends a request in HTTP/1 and reads the response.
async fn http1(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> String {
    let request = b"GET / HTTP/1.1\r\nhost: gateway\r\n\r\n";
    stream.write_all(request).await.unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).await.unwrap();
    response
}

#[tokio::test]
async fn a_request_in_http_1_is_answered_with_how_to_call_and_is_no_call() {
    let secure = secure(&[], &[]);
    let address = secure.gateway.address.clone();
    let response = http1(TcpStream::connect(&address).await.unwrap()).await;
    assert!(response.starts_with("HTTP/1.1 400 "), "{response}");
    assert!(response.contains("This port uses TLS"), "{response}");
    assert!(
        response.contains("--address https://HOST:PORT"),
        "{response}"
    );
    assert!(
        response.contains("  grpcurl HOST:PORT list\n"),
        "{response}"
    );
    for offered in [vec![b"http/1.1".to_vec()], vec![]] {
        let mut config = client_config(&secure.authority, None);
        config.alpn_protocols = offered;
        let connector = TlsConnector::from(Arc::new(config));
        let stream = TcpStream::connect(&address).await.unwrap();
        let name = "localhost".try_into().unwrap();
        let stream = connector.connect(name, stream).await.unwrap();
        let response = http1(stream).await;
        assert!(response.starts_with("HTTP/1.1 400 "), "{response}");
        assert!(response.contains("needs HTTP/2"), "{response}");
        assert!(
            response.contains("presence-gateway call --list"),
            "{response}"
        );
    }
    call(&format!("https://{address}"), &["--tls-ca", &secure.ca]);
    secure.gateway.signal("TERM");
    let (_, log) = secure.gateway.wait();
    let calls = log
        .iter()
        .filter(|line| line.contains(r#""message":"call""#));
    assert_eq!(calls.count(), 1, "{log:#?}");
}

/// Returns the address of the health listener from the log.
fn health_address(gateway: &Program) -> String {
    let line: Value = serde_json::from_str(&gateway.log.lines()[0]).unwrap();
    line["health"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn the_health_listener_serves_probes_without_tls_until_the_exit() {
    let pause = [("PRESENCE_GATEWAY_LAME_DUCK", "10m")];
    let secure = secure(&["--health-listen", "127.0.0.1:0"], &pause);
    let endpoint = format!("http://{}", health_address(&secure.gateway));
    let plain = Endpoint::from_shared(endpoint).unwrap().connect().await;
    let plain = plain.unwrap();
    let config = client_config(&secure.authority, None);
    let tls = channel(&secure.gateway.address, &config).await.unwrap();
    for name in NAMES {
        assert_eq!(check(&plain, name).await.unwrap(), Serving, "{name}");
        assert_eq!(check(&tls, name).await.unwrap(), Serving, "{name}");
    }
    // This listener serves only health.
    let gateway = Gateway {
        address: secure.gateway.address.parse().unwrap(),
        channel: plain.clone(),
    };
    let refused = gateway
        .call("GetSystempresences", serde_json::json!({}))
        .await;
    assert_eq!(refused.unwrap_err().code(), Code::Unimplemented);

    secure.gateway.signal("TERM");
    for channel in [&plain, &tls] {
        while check(channel, "readiness").await.unwrap() == Serving {}
        for name in NAMES {
            let expected = if name == "liveness" {
                Serving
            } else {
                NotServing
            };
            assert_eq!(check(channel, name).await.unwrap(), expected, "{name}");
        }
    }
}

#[tokio::test]
async fn unfinished_handshakes_delay_nothing() {
    let secure = secure(&[], &[]);
    let mut waiting = Vec::new();
    // As many as a hostile peer opens at once.
    for _ in 0..200 {
        for bytes in [&[][..], &[0x16, 3, 1], &[0x16, 3, 1, 0x10, 0]] {
            let mut stream = TcpStream::connect(&secure.gateway.address).await.unwrap();
            stream.write_all(bytes).await.unwrap();
            waiting.push(stream);
        }
    }
    // A complete handshake, and no HTTP/2 preface after it.
    let config = client_config(&secure.authority, None);
    let stream = TcpStream::connect(&secure.gateway.address).await.unwrap();
    let connector = tokio_rustls::TlsConnector::from(std::sync::Arc::new(config.clone()));
    let name = "localhost".try_into().unwrap();
    let silent = connector.connect(name, stream);
    let silent = tokio::time::timeout(std::time::Duration::from_secs(5), silent).await;
    let silent = silent.expect("a complete handshake is delayed").unwrap();

    let channel = channel(&secure.gateway.address, &config).await.unwrap();
    assert_eq!(check(&channel, "").await.unwrap(), Serving);
    let signalled = std::time::Instant::now();
    secure.gateway.signal("TERM");
    let (status, log) = secure.gateway.wait();
    assert!(status.success(), "{status} {log:#?}");
    assert!(
        signalled.elapsed().as_secs() < 8,
        "{:?}",
        signalled.elapsed()
    );
    drop((waiting, silent, channel));
}
