//! A stream that remembers how its peer began to speak, so that an error can say
//! what the peer is. h2 drops what it cannot read, and the type of an error.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// How many bytes are remembered: enough for the first line of an HTTP response.
const REMEMBERED: usize = 200;

/// A stream to the gateway, with or without TLS.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// What a stream has seen of its peer. A clone shares it.
#[derive(Debug, Clone, Default)]
pub(super) struct Record(Arc<Mutex<Seen>>);

#[derive(Debug, Default)]
struct Seen {
    first: Vec<u8>,
    tls_error: Option<rustls::Error>,
}

impl Record {
    /// The first bytes of the peer.
    pub(super) fn first(&self) -> Vec<u8> {
        self.0.lock().first.clone()
    }

    /// The error of TLS that ended the stream, if one did.
    pub(super) fn tls_error(&self) -> Option<rustls::Error> {
        self.0.lock().tls_error.clone()
    }
}

/// A stream and its record.
#[derive(Debug)]
pub(super) struct Recorded<S> {
    stream: S,
    record: Record,
}

impl<S> Recorded<S> {
    pub(super) fn new(stream: S) -> (Self, Record) {
        let record = Record::default();
        let copy = record.clone();
        (Self { stream, record }, copy)
    }
}

/// The error of TLS in an error of I/O.
pub(super) fn tls_error(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref()
}

impl<S: AsyncRead + Unpin> AsyncRead for Recorded<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        match &polled {
            Poll::Ready(Ok(())) => {
                let mut seen = self.record.0.lock();
                let room = REMEMBERED - seen.first.len();
                seen.first
                    .extend(buffer.filled()[before..].iter().take(room));
            }
            Poll::Ready(Err(error)) => {
                let error = tls_error(error).cloned();
                let mut seen = self.record.0.lock();
                seen.tls_error = seen.tls_error.take().or(error);
            }
            Poll::Pending => {}
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Recorded<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
