//! One connection, from its first byte to its end.

use std::io::{self, Cursor};
use std::pin::pin;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use crate::spread::about;

/// What an HTTP/2 connection begins with.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// How much metadata a call may have, in bytes: so that one call with a token
/// of any size that gets through a proxy has its status. hyper gives up the
/// connection, with all calls on it, where one call has far more than this.
const MAX_METADATA: u32 = 96 * 1024;

/// How many calls a connection may have at once: twice the places that there
/// are by default. A client that is told of a lower limit queues its calls in
/// itself, where no refusal tells it to go elsewhere; without any, one
/// connection could open calls faster than they are refused.
const MAX_STREAMS: u32 = 2048;

/// How many calls a client may give up before they were looked at. One that
/// goes on opening and resetting calls costs more than it pays; its connection
/// is closed.
const MAX_PENDING_RESETS: usize = 20;

/// How many calls of one connection may break the rules of HTTP/2 before it
/// is closed.
const MAX_ERROR_RESETS: usize = 256;

/// Finds a client that vanished, whose calls would go on for nobody, and one
/// that stops in the middle of a frame.
const KEEP_ALIVE: Duration = Duration::from_secs(30);
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(20);

/// How old a connection gets, on average. Clients keep a connection as long as
/// they can, so that replicas that come later would get none: each connection
/// is asked to go now and then, and finds them when it comes back.
const AGE: Duration = Duration::from_mins(5);

/// How connections are led to their end.
#[derive(Debug, Clone, Copy)]
pub(super) struct Manners {
    /// How long a connection that has reached its age has for its calls.
    pub grace: Duration,
}

/// Reads what every client says first. Something else than HTTP/2 is given
/// back as far as it was read, for hyper to answer it.
pub(super) async fn preface(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Vec<u8>> {
    let mut read = Vec::with_capacity(PREFACE.len());
    while read.len() < PREFACE.len() && PREFACE.starts_with(&read) {
        let missing = (PREFACE.len() - read.len()) as u64;
        if (&mut *stream).take(missing).read_buf(&mut read).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(read)
}

/// Serves a connection that has said `first`, until it is old or `closing`
/// changes, and then until its calls have ended.
pub(super) async fn serve<S>(
    stream: S,
    first: Vec<u8>,
    router: Router,
    manners: Manners,
    mut closing: watch::Receiver<()>,
) where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (reader, writer) = tokio::io::split(stream);
    let stream = tokio::io::join(Cursor::new(first).chain(reader), writer);
    let connection = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .max_header_list_size(MAX_METADATA)
        .max_concurrent_streams(MAX_STREAMS)
        .max_pending_accept_reset_streams(MAX_PENDING_RESETS)
        .max_local_error_reset_streams(MAX_ERROR_RESETS)
        .keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE_TIMEOUT)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let mut connection = pin!(connection);
    let is_old = tokio::select! {
        ended = &mut connection => return told(ended),
        _ = closing.changed() => false,
        () = sleep(about(AGE)) => true,
    };
    // GOAWAY: new calls are to be made elsewhere, those under way go on.
    connection.as_mut().graceful_shutdown();
    if !is_old {
        // Whoever closes says when to stop waiting.
        return told(connection.await);
    }
    let ended = timeout(manners.grace, connection).await;
    ended.map_or_else(
        |_| tracing::debug!("an old connection did not end by itself"),
        told,
    );
}

fn told(ended: hyper::Result<()>) {
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended");
    }
}
