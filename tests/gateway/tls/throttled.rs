//! A request that waits for its connection while its token is throttled.

use std::sync::Arc;

use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, mpsc};
use tokio_rustls::TlsAcceptor;
use tonic::Code;

use super::upstream::{HTTP1, acceptor, read_head};
use crate::support::certificates::{Authority, TempDir};
use crate::support::process::ServerProcess;
use crate::support::raw_http::RawVendor;
use crate::support::{Gateway, NO_RETRIES, expect_error};

const REFUSAL: &[u8] = b"HTTP/1.1 429 Too Many Requests\r\nretry-after: 3600\r\n\
                         content-length: 0\r\nconnection: close\r\n\r\n";

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\
                        content-length: 2\r\nconnection: close\r\n\r\n{}";

/// A vendor that answers the first connection with 429, and delays the handshakes
/// of the others.
#[derive(Clone)]
struct Vendor {
    acceptor: TlsAcceptor,
    /// Receives a message when the first request has arrived.
    arrived: mpsc::UnboundedSender<()>,
    /// Permits the 429.
    may_refuse: Arc<Semaphore>,
    /// Receives a message for each later connection.
    connected: mpsc::UnboundedSender<()>,
    /// Permits the handshake of a later connection.
    may_shake_hands: Arc<Semaphore>,
    /// Receives what a later connection has read.
    received: mpsc::UnboundedSender<Vec<u8>>,
}

impl Vendor {
    async fn refuse(self, stream: TcpStream) {
        let mut stream = self.acceptor.accept(stream).await.unwrap();
        read_head(&mut stream).await;
        self.arrived.send(()).unwrap();
        self.may_refuse.acquire().await.unwrap().forget();
        stream.write_all(REFUSAL).await.unwrap();
        let _ = stream.shutdown().await;
    }

    async fn serve(self, stream: TcpStream) {
        self.connected.send(()).unwrap();
        self.may_shake_hands.acquire().await.unwrap().forget();
        let mut read = Vec::new();
        if let Ok(mut stream) = self.acceptor.accept(stream).await {
            read = read_head(&mut stream).await;
            let _ = stream.write_all(ANSWER).await;
            let _ = stream.shutdown().await;
        }
        self.received.send(read).unwrap();
    }
}

#[tokio::test]
async fn a_request_that_waits_for_a_connection_is_not_sent_once_its_token_is_throttled() {
    let (authority, folder) = (Authority::new(), TempDir::new());
    let (arrived, mut arrivals) = mpsc::unbounded_channel();
    let (connected, mut connections) = mpsc::unbounded_channel();
    let (received, mut reads) = mpsc::unbounded_channel();
    let (may_refuse, may_shake_hands) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let vendor = Vendor {
        acceptor: acceptor(&authority.local(), None),
        arrived,
        may_refuse: Arc::clone(&may_refuse),
        connected,
        may_shake_hands: Arc::clone(&may_shake_hands),
        received,
    };
    let is_first = std::sync::atomic::AtomicBool::new(true);
    let raw = RawVendor::start(move |stream| {
        let is_first = is_first.swap(false, std::sync::atomic::Ordering::SeqCst);
        let vendor = vendor.clone();
        async move {
            if is_first {
                vendor.refuse(stream).await;
            } else {
                vendor.serve(stream).await;
            }
        }
    })
    .await;
    let url = format!("https://{}", raw.address);
    let ca = folder.file("ca.pem", &authority.pem);
    let serving = tokio::task::spawn_blocking(move || {
        ServerProcess::start(
            &["serve", "--upstream-url", &url, "--upstream-ca", &ca, HTTP1],
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
    arrivals.recv().await.unwrap();
    let second = call("b", &[("authorization", "Bearer token")]);
    connections.recv().await.unwrap();
    may_refuse.add_permits(1);
    // The caller has the 429: the token is throttled.
    expect_error(
        first.await.unwrap(),
        Code::ResourceExhausted,
        "UPSTREAM_ERROR",
    );
    may_shake_hands.add_permits(1);
    let result = second.await.unwrap();
    expect_error(result, Code::ResourceExhausted, "TOKEN_QUOTA_EXHAUSTED");
    // The request is not sent later either.
    drop(serving);
    assert_eq!(reads.recv().await.unwrap(), b"", "the request was sent");
}
