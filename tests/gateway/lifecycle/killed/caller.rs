//! A caller with one connection, which distinguishes how its calls end.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use h2::Reason;
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tonic::Status;

use super::write::Write;
use crate::support::raw_http::{RawResponse, frame, head};
use crate::support::{encode, method, path};

/// How a call ended for its caller.
#[derive(Debug)]
pub enum CallEnd {
    Response(Bytes),
    Failed(Status),
    /// The call was never written to the connection, or the gateway reported
    /// that it did not process it.
    NotProcessed,
    /// The connection closed before the gateway sent a byte.
    NotAccepted,
    /// The connection broke before a status arrived.
    ConnectionLost(hyper::Error),
}

/// A connection to the gateway that never reconnects.
#[derive(Debug, Clone)]
pub struct Caller {
    client: SendRequest<Body>,
    /// Whether the gateway sent a byte.
    has_received: Arc<AtomicBool>,
}

impl Caller {
    /// Connects; returns `None` once the gateway no longer listens.
    pub async fn connect(address: &str) -> Option<Self> {
        let stream = TcpStream::connect(address).await.ok()?;
        let has_received = Arc::new(AtomicBool::new(false));
        let stream = ReadObserver(stream, Arc::clone(&has_received));
        // The preface may find the connection closed.
        let handshake = http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
        let (client, connection) = handshake.await.ok()?;
        tokio::spawn(connection);
        Some(Self {
            client,
            has_received,
        })
    }

    /// Makes a call, and waits until it ends or its connection breaks.
    pub async fn call(&self, write: &Write) -> CallEnd {
        let method = method(write.rpc);
        let message = frame(&encode(&method, write.request.clone()));
        let mut call = head(&path(&method)).body(Body::from(message)).unwrap();
        let token = format!("Bearer {}", write.token).parse().unwrap();
        call.headers_mut().insert("authorization", token);
        if let Some(timeout) = write.timeout {
            let timeout = format!("{}m", timeout.as_millis()).parse().unwrap();
            call.headers_mut().insert("grpc-timeout", timeout);
        }
        let exchange = async {
            let response = self.client.clone().send_request(call).await?;
            RawResponse::read(response).await
        };
        match exchange.await {
            Ok(travelled) => match travelled.result() {
                Ok(response) => CallEnd::Response(response.slice(5..)),
                Err(status) => CallEnd::Failed(status),
            },
            Err(error) if is_unprocessed(&error) => CallEnd::NotProcessed,
            Err(_) if !self.has_received.load(SeqCst) => CallEnd::NotAccepted,
            Err(error) => CallEnd::ConnectionLost(error),
        }
    }
}

/// A connection that records when a byte was read from it.
struct ReadObserver(TcpStream, Arc<AtomicBool>);

impl AsyncRead for ReadObserver {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.0).poll_read(context, buffer);
        self.1.fetch_or(buffer.filled().len() > before, SeqCst);
        read
    }
}

impl AsyncWrite for ReadObserver {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}

/// Whether it is certain that the gateway did not process a failed call.
fn is_unprocessed(error: &hyper::Error) -> bool {
    if error.is_canceled() {
        // The call was never written to the connection.
        return true;
    }
    let cause =
        std::error::Error::source(error).and_then(|cause| cause.downcast_ref::<h2::Error>());
    cause.is_some_and(|cause| {
        let is_refused = cause.is_reset() && cause.reason() == Some(Reason::REFUSED_STREAM);
        // GOAWAY names the last processed call, and this one is later.
        let is_beyond = cause.is_go_away() && cause.reason() == Some(Reason::NO_ERROR);
        cause.is_remote() && (is_refused || is_beyond)
    })
}

/// Longer than any call of these tests can last.
pub const TIMEOUT: Duration = Duration::from_secs(60);
