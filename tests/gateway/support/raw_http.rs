//! The wire itself: a vendor that may write anything, and calls whose every
//! byte is the test's own.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tonic::Status;

use crate::support::Gateway;

/// What an HTTP/2 connection begins with.
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A listener in the vendor's place, which need not speak HTTP.
pub struct RawVendor {
    pub address: SocketAddr,
    connections: Arc<AtomicUsize>,
}

impl RawVendor {
    /// A vendor that does with each connection as `serve` says.
    pub async fn start<F, S>(serve: F) -> Self
    where
        F: Fn(TcpStream) -> S + Send + 'static,
        S: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&connections);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                count.fetch_add(1, SeqCst);
                tokio::spawn(serve(stream));
            }
        });
        Self {
            address,
            connections,
        }
    }

    /// A vendor that answers each request with these bytes, and hangs up.
    pub async fn with_bytes(answer: impl Into<Bytes>) -> Self {
        let answer = answer.into();
        Self::start(move |mut stream| {
            let answer = answer.clone();
            async move {
                read_request(&mut stream).await;
                // The gateway may have seen enough before the end.
                let _ = stream.write_all(&answer).await;
            }
        })
        .await
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How many connections there were up to now.
    pub fn connections(&self) -> usize {
        self.connections.load(SeqCst)
    }
}

/// Reads a request to its end; gives its head.
pub async fn read_request(stream: &mut TcpStream) -> String {
    let mut read = Vec::new();
    let end = loop {
        if let Some(end) = read.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
            break end + 4;
        }
        if stream.read_buf(&mut read).await.unwrap_or(0) == 0 {
            return String::from_utf8_lossy(&read).into_owned();
        }
    };
    let head = String::from_utf8_lossy(&read[..end]).to_ascii_lowercase();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "));
    let length: usize = length.map_or(0, |length| length.trim().parse().unwrap());
    while read.len() < end + length {
        if stream.read_buf(&mut read).await.unwrap_or(0) == 0 {
            break;
        }
    }
    head
}

/// An answer of the gateway's as it travels.
#[derive(Debug)]
pub struct RawResponse {
    pub http: StatusCode,
    /// With the trailers, where there were any.
    pub headers: HeaderMap,
    pub body: Bytes,
    has_trailers: bool,
}

impl RawResponse {
    /// Reads an answer to its end.
    pub async fn read(response: http::Response<Incoming>) -> hyper::Result<Self> {
        let (parts, body) = response.into_parts();
        let body = body.collect().await?;
        let mut headers = parts.headers;
        let trailers = body.trailers().cloned();
        let has_trailers = trailers.is_some();
        headers.extend(trailers.unwrap_or_default());
        Ok(Self {
            http: parts.status,
            headers,
            body: body.to_bytes(),
            has_trailers,
        })
    }

    /// The status that the gateway sent, if it did.
    #[track_caller]
    pub fn status(&self) -> Status {
        let status = Status::from_header_map(&self.headers);
        let status = status.unwrap_or_else(|| panic!("no status: {self:?}"));
        // A core client heeds the pushback only where nothing came before it.
        let is_alone = !self.has_trailers && self.body.is_empty();
        assert!(status.code() == tonic::Code::Ok || is_alone, "{self:?}");
        status
    }

    /// The answer, or the failure.
    pub fn result(self) -> Result<Bytes, Status> {
        match self.status() {
            status if status.code() == tonic::Code::Ok => Ok(self.body),
            status => Err(status),
        }
    }

    /// The size of a header, in bytes.
    pub fn size(&self, header: &str) -> usize {
        self.headers.get(header).map_or(0, http::HeaderValue::len)
    }
}

/// The head of a call with a token.
pub fn head(path: &str) -> http::request::Builder {
    http::Request::post(format!("http://gateway{path}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("authorization", "Bearer token")
}

/// A message in its frame.
pub fn frame(message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    [&[0][..], &length, message].concat()
}

/// Sends a call as it is, over a connection of its own and by a client that
/// never gives up by itself; the answer is read to its end.
pub async fn send(gateway: &Gateway, call: http::Request<Body>) -> RawResponse {
    let stream = TcpStream::connect(gateway.address).await.unwrap();
    let (mut client, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
        .await
        .unwrap();
    tokio::spawn(connection);
    let travelled = async {
        let response = client.send_request(call).await;
        let response = response.expect("the gateway should answer");
        let travelled = RawResponse::read(response).await;
        travelled.expect("the answer should have an end")
    };
    let travelled = timeout(Duration::from_secs(20), travelled).await;
    travelled.expect("the gateway should answer within its deadline")
}
