//! A request that waits for its connection while its token is parked.

use std::sync::Arc;

use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, mpsc};
use tokio_rustls::TlsAcceptor;
use tonic::Code;

use super::upstream::{acceptor, read_head};
use crate::support::certificates::{Authority, TempDir};
use crate::support::process::ServerProcess;
use crate::support::raw_http::RawVendor;
use crate::support::{Gateway, NO_RETRIES, expect_error};

const REFUSAL: &[u8] = b"HTTP/1.1 429 Too Many Requests\r\nretry-after: 3600\r\n\
                         content-length: 0\r\nconnection: close\r\n\r\n";

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\
                        content-length: 2\r\nconnection: close\r\n\r\n{}";

/// What a vendor does with its connections, and when.
#[derive(Clone)]
struct Vendor {
    acceptor: TlsAcceptor,
    /// Told of the first request, and that it may be refused.
    asked: mpsc::UnboundedSender<()>,
    refuses: Arc<Semaphore>,
    /// Told of each other connection, that its handshake may go on, and what came of it.
    connected: mpsc::UnboundedSender<()>,
    shakes_hands: Arc<Semaphore>,
    sent: mpsc::UnboundedSender<Vec<u8>>,
}

impl Vendor {
    async fn first(self, stream: TcpStream) {
        let mut stream = self.acceptor.accept(stream).await.unwrap();
        read_head(&mut stream).await;
        self.asked.send(()).unwrap();
        self.refuses.acquire().await.unwrap().forget();
        stream.write_all(REFUSAL).await.unwrap();
        let _ = stream.shutdown().await;
    }

    async fn other(self, stream: TcpStream) {
        self.connected.send(()).unwrap();
        self.shakes_hands.acquire().await.unwrap().forget();
        let mut read = Vec::new();
        if let Ok(mut stream) = self.acceptor.accept(stream).await {
            read = read_head(&mut stream).await;
            let _ = stream.write_all(ANSWER).await;
            let _ = stream.shutdown().await;
        }
        self.sent.send(read).unwrap();
    }
}

#[tokio::test]
async fn a_request_that_waits_for_a_connection_does_not_leave_once_its_token_is_parked() {
    let (authority, folder) = (Authority::new(), TempDir::new());
    let (asked, mut is_asked) = mpsc::unbounded_channel();
    let (connected, mut is_connected) = mpsc::unbounded_channel();
    let (sent, mut was_sent) = mpsc::unbounded_channel();
    let (refuses, shakes_hands) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let vendor = Vendor {
        acceptor: acceptor(&authority.local(), None),
        asked,
        refuses: Arc::clone(&refuses),
        connected,
        shakes_hands: Arc::clone(&shakes_hands),
        sent,
    };
    let is_first = std::sync::atomic::AtomicBool::new(true);
    let raw = RawVendor::start(move |stream| {
        let is_first = is_first.swap(false, std::sync::atomic::Ordering::SeqCst);
        let vendor = vendor.clone();
        async move {
            if is_first {
                vendor.first(stream).await;
            } else {
                vendor.other(stream).await;
            }
        }
    })
    .await;
    let url = format!("https://{}", raw.address);
    let ca = folder.file("ca.pem", &authority.pem);
    let serving = tokio::task::spawn_blocking(move || {
        ServerProcess::start(
            &["serve", "--upstream-url", &url, "--upstream-ca", &ca],
            &[],
        )
    })
    .await
    .unwrap();
    let gateway = Gateway::connect(serving.address.parse().unwrap()).await;

    let patch = "PatchUserPresencesPurecloud";
    let call = |user: &'static str, metadata: &'static [(&str, &str)]| {
        let gateway = gateway.clone();
        let request = json!({"userId": user, "body": {}});
        tokio::spawn(async move { gateway.call_with_metadata(patch, request, metadata).await })
    };
    let first = call("a", &[("authorization", "Bearer token"), NO_RETRIES]);
    is_asked.recv().await.unwrap();
    let second = call("b", &[("authorization", "Bearer token")]);
    is_connected.recv().await.unwrap();
    refuses.add_permits(1);
    // The caller knows: the token is parked.
    expect_error(
        first.await.unwrap(),
        Code::ResourceExhausted,
        "UPSTREAM_ERROR",
    );
    shakes_hands.add_permits(1);
    let answer = second.await.unwrap();
    expect_error(answer, Code::ResourceExhausted, "TOKEN_QUOTA_EXHAUSTED");
    // Nor does it leave any more.
    drop(serving);
    assert_eq!(was_sent.recv().await.unwrap(), b"", "it left");
}
