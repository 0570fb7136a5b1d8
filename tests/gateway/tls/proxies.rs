//! The responses of a proxy between the gateway and the vendor.

use std::time::Duration;

use tokio::io::{AsyncWriteExt, copy_bidirectional};
use tokio::net::TcpStream;
use tokio::time::sleep;

use super::upstream::{HTTP1, assert_unreachable, call_through, vendor};
use crate::support::certificates::{Authority, TempDir};
use crate::support::raw_http::{RawVendor, read_request};

/// A proxy that waits for `delay`, and opens a tunnel with a response of these
/// pieces.
async fn tunnel_proxy(delay: Duration, response: &'static [&'static str]) -> RawVendor {
    RawVendor::start(move |mut stream| async move {
        let head = read_request(&mut stream).await;
        sleep(delay).await;
        let target = head.split(' ').nth(1).unwrap().to_owned();
        let mut vendor = TcpStream::connect(target).await.unwrap();
        for piece in response {
            stream.write_all(piece.as_bytes()).await.unwrap();
            stream.flush().await.unwrap();
            // The other end mostly reads it as a separate piece.
            tokio::task::yield_now().await;
        }
        let _ = copy_bidirectional(&mut stream, &mut vendor).await;
    })
    .await
}

#[tokio::test]
async fn a_200_in_any_form_opens_a_tunnel() {
    let (authority, folder) = (Authority::new(), TempDir::new());
    let vendor = vendor(&authority.local(), None).await;
    let url = format!("https://{}", vendor.address);
    let ca = folder.file("ca.pem", &authority.pem);
    for response in [
        &["HTTP/1.1 200 Connection established\r\n\r\n"][..],
        &["HTTP/1.0 200 OK\r\nproxy-agent: any\r\n\r\n"],
        // A length is ignored here (RFC 9110, 9.3.6).
        &["HTTP/1.1 200 Odd\r\ncontent-length: 5\r\n\r\n"],
        &["HT", "TP/1.1 20", "0 OK\r", "\n\r", "\n"],
    ] {
        let proxy = tunnel_proxy(Duration::ZERO, response).await;
        let proxied = format!("http://{}", proxy.address);
        let flags = ["--upstream-url", &url, "--upstream-ca", &ca, HTTP1];
        let served =
            call_through(&[&flags[..], &["--upstream-proxy", &proxied]].concat(), &[]).await;
        assert_eq!(served.code, Some(0), "{response:?}: {served:#?}");
        assert_eq!(proxy.connections(), 1, "{response:?}");
    }
}

/// The proxy resolves a name and connects, and either can take seconds.
#[tokio::test]
async fn a_slow_proxy_opens_a_tunnel() {
    let (authority, folder) = (Authority::new(), TempDir::new());
    let vendor = vendor(&authority.local(), None).await;
    let url = format!("https://{}", vendor.address);
    let ca = folder.file("ca.pem", &authority.pem);
    let delay = Duration::from_millis(3500);
    let proxy = tunnel_proxy(delay, &["HTTP/1.1 200 OK\r\n\r\n"]).await;
    let proxied = format!("http://{}", proxy.address);
    let flags = ["--upstream-url", &url, "--upstream-ca", &ca, HTTP1];
    let served = call_through(&[&flags[..], &["--upstream-proxy", &proxied]].concat(), &[]).await;
    assert_eq!(served.code, Some(0), "{served:#?}");
    assert_eq!(proxy.connections(), 1);
}

/// Responses that open no tunnel, the error, and the number of connections to the
/// proxy: one for each attempt, and a second one where reqwest does not return the
/// status.
const REFUSALS: [(&str, &str, usize); 8] = [
    (
        "HTTP/1.1 407 Proxy Authentication Required\r\nproxy-authenticate: Basic\r\n\r\n",
        "refused the tunnel with 407",
        1,
    ),
    (
        "HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nno",
        "refused the tunnel with 403",
        2,
    ),
    (
        "HTTP/1.1 302 Found\r\nlocation: http://login.example\r\n\r\n",
        "refused the tunnel with 302",
        2,
    ),
    (
        "HTTP/1.1 503 Service Unavailable\r\n\r\n",
        "refused the tunnel with 503",
        6,
    ),
    (
        "HTTP/1.1 204 No Content\r\n\r\n",
        "answered CONNECT with 204 No Content, which opens no tunnel unless it is 200",
        6,
    ),
    (
        "HTTP/1.1 103 Early Hints\r\nx: y\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
        "answered CONNECT with 200 OK only after a refusal or an interim response (1xx)",
        6,
    ),
    (
        "SSH-2.0-OpenSSH_9.2\r\n\r\n",
        "did not answer CONNECT: error sending request: client error (SendRequest): invalid HTTP version parsed",
        6,
    ),
    (
        "HTTP/1.1 200 OK\r\n",
        "opened no tunnel: unexpected end of file",
        3,
    ),
];

#[tokio::test]
async fn a_refusal_names_the_proxy_and_its_status_and_no_password() {
    let url = ["--upstream-url", "https://presence.invalid", HTTP1];
    for (response, reason, connections) in REFUSALS {
        let proxy = RawVendor::with_bytes(response).await;
        let proxied = format!("http://user:secret@{}", proxy.address);
        let refused =
            call_through(&[&url[..], &["--upstream-proxy", &proxied]].concat(), &[]).await;
        assert_unreachable(&refused, &format!("the proxy {} {reason}", proxy.address));
        assert!(!refused.stderr.contains("secret"), "{refused:#?}");
        assert_eq!(proxy.connections(), connections, "{response:?}");
    }
}

/// A vendor with plain http needs no tunnel: the proxy forwards requests.
#[tokio::test]
async fn a_proxy_that_answers_a_plain_request_with_407_is_named() {
    let response = "HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n";
    let proxy = RawVendor::with_bytes(response).await;
    let proxied = format!("http://user:secret@{}", proxy.address);
    let flags = ["--upstream-url", "http://127.0.0.1:1", "--upstream-proxy"];
    let refused = call_through(&[&flags[..], &[&proxied]].concat(), &[]).await;
    let reason = format!("the proxy {} refused the request with 407", proxy.address);
    assert_unreachable(&refused, &reason);
    assert!(!refused.stderr.contains("secret"), "{refused:#?}");
    assert_eq!(proxy.connections(), 1);
}
