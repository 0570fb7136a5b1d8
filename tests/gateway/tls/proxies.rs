//! What a proxy towards the vendor may answer, and what it refuses.

use std::time::Duration;

use tokio::io::{AsyncWriteExt, copy_bidirectional};
use tokio::net::TcpStream;
use tokio::time::sleep;

use super::upstream::{called, unreachable, vendor};
use crate::support::certificates::{Authority, TempDir};
use crate::support::raw_http::{RawVendor, read_request};

/// A proxy that takes so long, and opens a tunnel with each of these pieces of
/// an answer.
async fn opening(takes: Duration, answer: &'static [&'static str]) -> RawVendor {
    RawVendor::start(move |mut stream| async move {
        let head = read_request(&mut stream).await;
        sleep(takes).await;
        let target = head.split(' ').nth(1).unwrap().to_owned();
        let mut vendor = TcpStream::connect(target).await.unwrap();
        for piece in answer {
            stream.write_all(piece.as_bytes()).await.unwrap();
            stream.flush().await.unwrap();
            // So that it is a piece of its own at the other end, most times.
            tokio::task::yield_now().await;
        }
        let _ = copy_bidirectional(&mut stream, &mut vendor).await;
    })
    .await
}

#[tokio::test]
async fn a_200_opens_a_tunnel_however_it_comes() {
    let (authority, folder) = (Authority::new(), TempDir::new());
    let vendor = vendor(&authority.local(), None).await;
    let url = format!("https://{}", vendor.address);
    let ca = folder.file("ca.pem", &authority.pem);
    for answer in [
        &["HTTP/1.1 200 Connection established\r\n\r\n"][..],
        &["HTTP/1.0 200 OK\r\nproxy-agent: any\r\n\r\n"],
        // A length means nothing in it (RFC 9110, 9.3.6).
        &["HTTP/1.1 200 Odd\r\ncontent-length: 5\r\n\r\n"],
        &["HT", "TP/1.1 20", "0 OK\r", "\n\r", "\n"],
    ] {
        let proxy = opening(Duration::ZERO, answer).await;
        let proxied = format!("http://{}", proxy.address);
        let flags = ["--upstream-url", &url, "--upstream-ca", &ca];
        let served = called(&[&flags[..], &["--upstream-proxy", &proxied]].concat(), &[]).await;
        assert_eq!(served.code, Some(0), "{answer:?}: {served:#?}");
        assert_eq!(proxy.connections(), 1, "{answer:?}");
    }
}

/// It looks up a name and connects, each of which may take its seconds.
#[tokio::test]
async fn a_proxy_may_take_its_time_to_open_a_tunnel() {
    let (authority, folder) = (Authority::new(), TempDir::new());
    let vendor = vendor(&authority.local(), None).await;
    let url = format!("https://{}", vendor.address);
    let ca = folder.file("ca.pem", &authority.pem);
    let takes = Duration::from_millis(3500);
    let proxy = opening(takes, &["HTTP/1.1 200 OK\r\n\r\n"]).await;
    let proxied = format!("http://{}", proxy.address);
    let flags = ["--upstream-url", &url, "--upstream-ca", &ca];
    let served = called(&[&flags[..], &["--upstream-proxy", &proxied]].concat(), &[]).await;
    assert_eq!(served.code, Some(0), "{served:#?}");
    assert_eq!(proxy.connections(), 1);
}

/// Refusals, and how many connections to the proxy there are: one for each
/// attempt, and one more for each of which reqwest does not tell the status.
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
        "answered CONNECT with 200 OK",
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
    let url = ["--upstream-url", "https://presence.invalid"];
    for (answer, why, attempts) in REFUSALS {
        let proxy = RawVendor::with_bytes(answer).await;
        let proxied = format!("http://user:secret@{}", proxy.address);
        let refused = called(&[&url[..], &["--upstream-proxy", &proxied]].concat(), &[]).await;
        unreachable(&refused, &format!("the proxy {} {why}", proxy.address));
        assert!(!refused.stderr.contains("secret"), "{refused:#?}");
        assert_eq!(proxy.connections(), attempts, "{answer:?}");
    }
}

/// No tunnel is needed to a vendor of plain http: the proxy passes requests on.
#[tokio::test]
async fn a_proxy_that_refuses_a_plain_request_for_lack_of_a_password_is_named_too() {
    let answer = "HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n";
    let proxy = RawVendor::with_bytes(answer).await;
    let proxied = format!("http://user:secret@{}", proxy.address);
    let flags = ["--upstream-url", "http://127.0.0.1:1", "--upstream-proxy"];
    let refused = called(&[&flags[..], &[&proxied]].concat(), &[]).await;
    let why = format!("the proxy {} refused the request with 407", proxy.address);
    unreachable(&refused, &why);
    assert!(!refused.stderr.contains("secret"), "{refused:#?}");
    assert_eq!(proxy.connections(), 1);
}
