//! TLS and a proxy between the gateway and the vendor.

use std::sync::Arc;

use parking_lot::Mutex;
use presence_gateway::tls::pem::{self, Identity};
use presence_gateway::tls::{VERSIONS, provider, roots};
use rustls::ServerConfig;
use rustls::server::WebPkiClientVerifier;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use crate::support::certificates::{Authority, IssuedCertificate, TempDir};
use crate::support::process::{ProcessOutput, ServerProcess, run};
use crate::support::raw_http::RawVendor;

pub(super) const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\
                        content-length: 2\r\nconnection: close\r\n\r\n{}";

/// For tests that count connections or answer them in turn: none of them only negotiates.
pub(super) const HTTP1: &str = "--upstream-http2=false";

/// Returns an acceptor with this certificate, which requires one of `clients`.
pub fn acceptor(issued: &IssuedCertificate, clients: Option<&Authority>) -> TlsAcceptor {
    let authority = |pem: &str| roots(pem::certificates(pem.as_bytes()).unwrap()).unwrap();
    let verifier = match clients {
        None => WebPkiClientVerifier::no_client_auth(),
        Some(clients) => {
            let roots = Arc::new(authority(&clients.pem));
            WebPkiClientVerifier::builder_with_provider(roots, provider())
                .build()
                .unwrap()
        }
    };
    let chain = pem::certificates(issued.cert.as_bytes()).unwrap();
    let Identity { chain, key } =
        Identity::new(chain, pem::key(issued.key.as_bytes()).unwrap()).unwrap();
    let config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(VERSIONS)
        .unwrap()
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain, key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

/// Reads a request to the end of its head, or of the stream.
pub async fn read_head(stream: &mut (impl AsyncRead + Unpin)) -> Vec<u8> {
    let mut read = Vec::new();
    while !has_head(&read) {
        if stream.read_buf(&mut read).await.unwrap_or(0) == 0 {
            break;
        }
    }
    read
}

fn has_head(read: &[u8]) -> bool {
    read.windows(4).any(|bytes| bytes == b"\r\n\r\n")
}

/// Starts a vendor with this certificate, which requires one of `clients`.
pub(super) async fn vendor(issued: &IssuedCertificate, clients: Option<&Authority>) -> RawVendor {
    let acceptor = acceptor(issued, clients);
    RawVendor::start(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            let Ok(mut stream) = acceptor.accept(stream).await else {
                return;
            };
            if !has_head(&read_head(&mut stream).await) {
                return;
            }
            let _ = stream.write_all(ANSWER).await;
            let _ = stream.shutdown().await;
        }
    })
    .await
}

/// Makes a call through a gateway with these flags and variables.
pub(super) async fn call_through(flags: &[&str], environment: &[(&str, &str)]) -> ProcessOutput {
    call_rpc_through(["GetPresenceSettings", "{}"], flags, environment).await
}

/// Makes a call of an RPC through a gateway with these flags and variables.
pub(super) async fn call_rpc_through(
    rpc: [&str; 2],
    flags: &[&str],
    environment: &[(&str, &str)],
) -> ProcessOutput {
    let rpc = rpc.map(str::to_owned);
    let owned = |text: &&str| (*text).to_owned();
    let flags: Vec<String> = flags.iter().map(owned).collect();
    let environment: Vec<(String, String)> = environment
        .iter()
        .map(|(name, value)| (owned(name), owned(value)))
        .collect();
    // Waits in a blocking thread, because the vendor runs in the test's runtime.
    tokio::task::spawn_blocking(move || {
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        let environment: Vec<(&str, &str)> = environment
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        let gateway = ServerProcess::start(&[&["serve"], &flags[..]].concat(), &environment);
        let call = ["call", &rpc[0], &rpc[1], "--token", "any", "--address"];
        run(&[&call[..], &[&gateway.address]].concat(), &[])
    })
    .await
    .unwrap()
}

#[track_caller]
pub(super) fn assert_unreachable(run: &ProcessOutput, reason: &str) {
    assert_eq!(run.code, Some(1), "{run:#?}");
    assert!(run.stderr.contains("UPSTREAM_UNREACHABLE"), "{run:#?}");
    assert!(run.stderr.contains(reason), "{run:#?}");
}

#[tokio::test]
async fn the_vendor_must_present_a_certificate_of_a_trusted_authority() {
    let (authority, folder) = (Authority::new(), TempDir::new());
    let vendor_ = vendor(&authority.local(), None).await;
    let url = format!("https://{}", vendor_.address);
    let ca = folder.file("ca.pem", &authority.pem);
    let foreign = folder.file("foreign.pem", &Authority::new().pem);
    let served = call_through(&["--upstream-url", &url, "--upstream-ca", &ca], &[]).await;
    assert_eq!(served.code, Some(0), "{served:#?}");
    for flags in [
        &["--upstream-url", &url][..],
        &["--upstream-url", &url, "--upstream-ca", &foreign],
    ] {
        assert_unreachable(&call_through(flags, &[]).await, "invalid peer certificate");
    }
    let other = vendor(&authority.issue(&["other.example"]), None).await;
    let url = format!("https://{}", other.address);
    let refused = call_through(&["--upstream-url", &url, "--upstream-ca", &ca], &[]).await;
    assert_unreachable(&refused, "certificate not valid for name");
}

#[tokio::test]
async fn a_client_certificate_is_presented_to_a_vendor_that_requires_one() {
    let (authority, clients, folder) = (Authority::new(), Authority::new(), TempDir::new());
    let vendor = vendor(&authority.local(), Some(&clients)).await;
    let url = format!("https://{}", vendor.address);
    let ca = folder.file("ca.pem", &authority.pem);
    let issued = clients.issue(&["gateway"]);
    let cert = folder.file("client.pem", &issued.cert);
    let key = folder.file("client.key", &issued.key);
    let flags = ["--upstream-url", &url, "--upstream-ca", &ca];
    let identity = [
        "--upstream-client-cert",
        &cert,
        "--upstream-client-key",
        &key,
    ];
    let served = call_through(&[flags, identity].concat(), &[]).await;
    assert_eq!(served.code, Some(0), "{served:#?}");
    let refused = call_through(&flags, &[]).await;
    assert_eq!(refused.code, Some(1), "{refused:#?}");
}

#[tokio::test]
async fn a_configured_proxy_is_used_and_sees_no_token() {
    let (authority, folder) = (Authority::new(), TempDir::new());
    let vendor = vendor(&authority.local(), None).await;
    let received = Arc::new(Mutex::new(Vec::new()));
    let heads = Arc::clone(&received);
    let proxy = RawVendor::start(move |mut stream| {
        let heads = Arc::clone(&heads);
        async move {
            let head = crate::support::raw_http::read_request(&mut stream).await;
            let target = head.split(' ').nth(1).unwrap().to_owned();
            heads.lock().push(head);
            let mut vendor = TcpStream::connect(target).await.unwrap();
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
            let _ = copy_bidirectional(&mut stream, &mut vendor).await;
        }
    })
    .await;
    let url = format!("https://{}", vendor.address);
    let ca = folder.file("ca.pem", &authority.pem);
    let flags = ["--upstream-url", &url, "--upstream-ca", &ca];
    let proxied = format!("http://user:secret@{}", proxy.address);
    let served = call_through(&[&flags[..], &["--upstream-proxy", &proxied]].concat(), &[]).await;
    assert_eq!(served.code, Some(0), "{served:#?}");
    let heads = std::mem::take(&mut *received.lock());
    assert!(!heads.is_empty());
    // Those of the request, and of the connection that negotiates.
    for head in heads {
        let connect = format!("connect {} ", vendor.address);
        assert!(head.starts_with(&connect), "{head}");
        assert!(head.contains("proxy-authorization: basic "), "{head}");
        assert!(head.contains("user-agent: presence-gateway/"), "{head}");
        assert!(!head.contains("bearer"), "{head}");
    }

    let connections = proxy.connections();
    // Proxy variables of the environment are ignored.
    for name in ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"] {
        let served = call_through(&flags, &[(name, &proxied)]).await;
        assert_eq!(served.code, Some(0), "{served:#?}");
    }
    assert_eq!(proxy.connections(), connections);
}

#[test]
fn flags_without_effect_are_rejected() {
    let (authority, folder) = (Authority::new(), TempDir::new());
    let ca = folder.file("ca.pem", &authority.pem);
    let secret = "socks5://user:secret@proxy.example:1080";
    for (flags, problem) in [
        (
            &["--sandbox", "--upstream-ca", &ca][..],
            "--upstream-ca: has no effect, because the sandbox is inside the gateway",
        ),
        (
            &["--sandbox", "--upstream-proxy", "http://proxy.example:3128"],
            "--upstream-proxy: has no effect, because the sandbox is inside the gateway",
        ),
        (
            &["--upstream-url", "http://127.0.0.1:1", "--upstream-ca", &ca],
            "--upstream-ca: has no effect, because the upstream is plain http",
        ),
        (
            &["--region", "us-east-1", "--upstream-proxy", secret],
            "--upstream-proxy: `…` must begin with `http://`: tokens are safe in TLS through it",
        ),
        (
            &[
                "--region",
                "us-east-1",
                "--upstream-proxy",
                "http://proxy.example/path",
            ],
            "--upstream-proxy: `http://proxy.example/path` must be a host and a port alone",
        ),
        (
            &[
                "--upstream-url",
                "https://[::1]:8443",
                "--upstream-proxy",
                "http://proxy.example",
            ],
            "--upstream-proxy: cannot be used with `https://[::1]:8443`: TLS through a proxy \
             needs a host name or an IPv4 address",
        ),
        (
            &[
                "--upstream-url",
                "http://127.0.0.1:1",
                "--upstream-proxy",
                "http://proxy.example:3128",
            ],
            "--upstream-proxy: cannot be used with `http://127.0.0.1:1`, which the gateway \
             reaches without a network",
        ),
    ] {
        let refused = run(&[&["serve"], flags].concat(), &[]);
        assert_eq!(refused.config_errors(), [problem]);
        assert!(!refused.stderr.contains("secret"), "{refused:#?}");
    }
}
