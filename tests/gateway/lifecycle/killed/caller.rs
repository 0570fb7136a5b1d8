//! A caller with one connection, which knows what it was told of each call.

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
pub enum End {
    Answered(Bytes),
    Failed(Status),
    /// The connection did not take the call, or the gateway said that it did
    /// not look at it.
    TurnedAway,
    /// The connection was closed before a word was said on it.
    NotLetIn,
    /// The connection broke, and nothing was told.
    Lost(hyper::Error),
}

/// A connection to the gateway, which is not made again.
#[derive(Debug, Clone)]
pub struct Caller {
    client: SendRequest<Body>,
    /// Whether the gateway said anything.
    is_let_in: Arc<AtomicBool>,
}

impl Caller {
    /// A new connection; none where nobody listens any more.
    pub async fn connect(address: &str) -> Option<Self> {
        let stream = TcpStream::connect(address).await.ok()?;
        let is_let_in = Arc::new(AtomicBool::new(false));
        let stream = Heard(stream, Arc::clone(&is_let_in));
        // Its first words may find it closed.
        let handshake = http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
        let (client, connection) = handshake.await.ok()?;
        tokio::spawn(connection);
        Some(Self { client, is_let_in })
    }

    /// Makes a call, and waits for as long as its connection lasts.
    pub async fn call(&self, write: &Write) -> End {
        let method = method(write.rpc);
        let message = frame(&encode(&method, write.request.clone()));
        let mut call = head(&path(&method)).body(Body::from(message)).unwrap();
        let token = format!("Bearer {}", write.token).parse().unwrap();
        call.headers_mut().insert("authorization", token);
        if let Some(timeout) = write.timeout {
            let timeout = format!("{}m", timeout.as_millis()).parse().unwrap();
            call.headers_mut().insert("grpc-timeout", timeout);
        }
        let travelled = async {
            let response = self.client.clone().send_request(call).await?;
            RawResponse::read(response).await
        };
        match travelled.await {
            Ok(travelled) => match travelled.result() {
                Ok(answer) => End::Answered(answer.slice(5..)),
                Err(status) => End::Failed(status),
            },
            Err(error) if is_untouched(&error) => End::TurnedAway,
            Err(_) if !self.is_let_in.load(SeqCst) => End::NotLetIn,
            Err(error) => End::Lost(error),
        }
    }
}

/// A connection that notes that something was read from it.
struct Heard(TcpStream, Arc<AtomicBool>);

impl AsyncRead for Heard {
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

impl AsyncWrite for Heard {
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

/// Whether a call that broke is known not to have been looked at.
fn is_untouched(error: &hyper::Error) -> bool {
    if error.is_canceled() {
        // It had not been written to the connection.
        return true;
    }
    let cause =
        std::error::Error::source(error).and_then(|cause| cause.downcast_ref::<h2::Error>());
    cause.is_some_and(|cause| {
        let is_refused = cause.is_reset() && cause.reason() == Some(Reason::REFUSED_STREAM);
        // GOAWAY names the last call that was looked at; this one came after.
        let is_beyond = cause.is_go_away() && cause.reason() == Some(Reason::NO_ERROR);
        cause.is_remote() && (is_refused || is_beyond)
    })
}

/// Longer than any call of these tests can last.
pub const PATIENCE: Duration = Duration::from_secs(60);
