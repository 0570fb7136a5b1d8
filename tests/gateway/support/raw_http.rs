//! Raw connections: a vendor that can write any bytes, and calls whose bytes
//! the test chooses.

use std::net::SocketAddr;
use std::pin::Pin;
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

/// The preface of an HTTP/2 connection.
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Serves a connection.
type Serve = Box<dyn Fn(TcpStream) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send>;

/// A stub listener in place of the vendor, which need not speak HTTP.
pub struct RawVendor {
    pub address: SocketAddr,
    connections: Arc<AtomicUsize>,
}

impl RawVendor {
    /// Starts a vendor that runs `serve` for each connection.
    pub async fn start<F, S>(serve: F) -> Self
    where
        F: Fn(TcpStream) -> S + Send + 'static,
        S: Future<Output = ()> + Send + 'static,
    {
        Self::accept(Box::new(move |stream| Box::pin(serve(stream)))).await
    }

    /// Not generic, because the build takes longer with each instance.
    async fn accept(serve: Serve) -> Self {
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

    /// Starts a vendor that responds to each request with these bytes, and closes
    /// the connection.
    pub async fn with_bytes(response: impl Into<Bytes>) -> Self {
        let response = response.into();
        Self::start(move |mut stream| {
            let response = response.clone();
            async move {
                read_request(&mut stream).await;
                // The gateway may close the connection before the end.
                let _ = stream.write_all(&response).await;
            }
        })
        .await
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The number of connections so far.
    pub fn connections(&self) -> usize {
        self.connections.load(SeqCst)
    }
}

/// Reads a request to its end; returns its head in lower case.
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

/// A response of the gateway as it is on the wire.
#[derive(Debug)]
pub struct RawResponse {
    pub http: StatusCode,
    /// The headers and the trailers.
    pub headers: HeaderMap,
    pub body: Bytes,
    has_trailers: bool,
}

impl RawResponse {
    /// Reads a response to its end.
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

    /// The gRPC status; panics if there is none.
    #[track_caller]
    pub fn status(&self) -> Status {
        let status = Status::from_header_map(&self.headers);
        let status = status.unwrap_or_else(|| panic!("no status: {self:?}"));
        // gRPC core clients apply the pushback of a trailers-only response only.
        let is_alone = !self.has_trailers && self.body.is_empty();
        assert!(status.code() == tonic::Code::Ok || is_alone, "{self:?}");
        status
    }

    /// The body, or the status of the failure.
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

/// The headers of a call with a token.
pub fn head(path: &str) -> http::request::Builder {
    http::Request::post(format!("http://gateway{path}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("authorization", "Bearer token")
}

/// A message with its gRPC prefix, uncompressed.
pub fn frame(message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    [&[0][..], &length, message].concat()
}

/// Sends a call unchanged over a new connection, by a client without a
/// deadline; reads the response to its end.
pub async fn send(gateway: &Gateway, call: http::Request<Body>) -> RawResponse {
    let stream = TcpStream::connect(gateway.address).await.unwrap();
    // The headers and the message are two writes.
    stream.set_nodelay(true).unwrap();
    let (mut client, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
        .await
        .unwrap();
    tokio::spawn(connection);
    let response = async {
        let response = client.send_request(call).await;
        let response = response.expect("the gateway responds");
        let response = RawResponse::read(response).await;
        response.expect("the response ends")
    };
    let response = timeout(Duration::from_secs(20), response).await;
    response.expect("the gateway responds within its deadline")
}
