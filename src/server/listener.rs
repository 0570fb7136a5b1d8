//! Listens on a port: accepts connections, serves them, and drains them at the
//! end.
//!
//! hyper-util and tonic have such loops. This one stays as long as their
//! graceful shutdown waits for connections that never sent a preface
//! (<https://github.com/hyperium/hyper/issues/4170>), and stops accepting at
//! once, without a lame-duck phase
//! (<https://github.com/grpc/grpc-rust/issues/1940>).
//!
//! Decision: docs/decisions/0003-hyper-serves-tonic-decodes.md.

pub(super) mod tls;

use axum::Router;
use hyper::server::conn::http1::Builder;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tokio_rustls::server::TlsStream;
use tokio_util::either::Either;

use super::connection::activity::ConnectionActivity;
use super::connection::{self, ConnectionPolicy, Opening};
use super::http1;
use super::limits::{ACCEPT_BACKOFF, HANDSHAKE_TIMEOUT, MAX_SCRAPES, SCRAPE_TIMEOUT};
use super::listener::tls::{Accepted, Tls};

/// A connection. One type for both kinds: with two, all code of HTTP/2 was compiled
/// twice.
type Stream = Either<TcpStream, Box<TlsStream<TcpStream>>>;

/// The settings of a port, which [`Listener::serve`] consumes.
#[derive(Debug, Clone)]
pub(super) struct Listener {
    pub router: Router,
    pub tls: Option<Tls>,
    /// The number of concurrent connections.
    pub max_connections: usize,
    pub overflow: OverflowPolicy,
    pub protocol: Protocol,
}

/// What to do with a connection above the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OverflowPolicy {
    /// Close it at once: its client can try another replica, which it could not
    /// while the connection waits in a queue. Shortly before the limit, send GOAWAY
    /// to the connections that have been idle for longest.
    DrainIdle,
    /// Close the oldest connection for it, so that short requests are served even if
    /// clients leave connections open.
    EvictOldest,
}

/// The protocol of a port's connections.
#[derive(Debug, Clone)]
pub(super) enum Protocol {
    /// One request for each connection, within [`SCRAPE_TIMEOUT`].
    Http1,
    Http2(ConnectionPolicy),
}

/// Serves the metrics page for as long as it is polled.
pub async fn serve_metrics(listener: TcpListener, router: Router) {
    let server = Listener {
        router,
        tls: None,
        max_connections: MAX_SCRAPES,
        overflow: OverflowPolicy::EvictOldest,
        protocol: Protocol::Http1,
    };
    let never = std::future::pending;
    server.serve(listener, never(), never()).await;
}

impl Listener {
    /// Accepts connections until `close` completes. Then sends GOAWAY to all
    /// connections, those of the backlog included, which may carry a first call.
    /// When `grace` completes, closes the connections that are still open.
    pub(super) async fn serve(
        self,
        listener: TcpListener,
        close: impl Future<Output = ()>,
        grace: impl Future<Output = ()>,
    ) {
        let (closed, closing) = watch::channel(());
        let mut connections = Connections::default();
        let mut close = std::pin::pin!(close);
        // Log once per saturated period, not once per connection.
        let mut is_saturated = false;
        loop {
            let accepted = tokio::select! {
                () = &mut close => break,
                Some(_) = connections.tasks.join_next() => continue,
                accepted = listener.accept() => accepted,
            };
            connections
                .make_room(self.overflow, self.max_connections)
                .await;
            let was_saturated = std::mem::replace(&mut is_saturated, true);
            match accepted {
                Ok((stream, _)) if connections.tasks.len() < self.max_connections => {
                    is_saturated = false;
                    connections.spawn(&self, stream, &closing);
                }
                Ok(_) if was_saturated => {}
                Ok(_) => tracing::warn!(
                    max = self.max_connections,
                    "connection limit reached; closing new connections"
                ),
                Err(error) => {
                    if !was_saturated {
                        tracing::warn!(%error, "connections cannot be accepted");
                    }
                    sleep(ACCEPT_BACKOFF).await;
                }
            }
        }
        drop(closed);
        for stream in take_backlog(listener) {
            if connections.tasks.len() < self.max_connections {
                connections.spawn(&self, stream, &closing);
            }
        }
        let mut tasks = connections.tasks;
        let ended = async { while tasks.join_next().await.is_some() {} };
        tokio::select! {
            () = ended => {}
            () = grace => {}
        }
        if !tasks.is_empty() {
            tracing::info!(
                count = tasks.len(),
                "closing connections that are still open"
            );
        }
        // Dropping the set aborts its tasks.
    }

    /// Serves one connection from its first byte to its end.
    async fn handle(
        self,
        stream: TcpStream,
        activity: ConnectionActivity,
        closing: watch::Receiver<()>,
    ) {
        // Without Nagle's algorithm: responses are small, and would wait for the
        // next one.
        let _ = stream.set_nodelay(true);
        let end = Instant::now() + HANDSHAKE_TIMEOUT;
        let Some(tls) = &self.tls else {
            let stream = Either::Left(stream);
            return self.serve_connection(stream, end, activity, closing).await;
        };
        // The handshake and its stream are boxed: connections without TLS, and those whose
        // handshake is over, would have room for it.
        match timeout_at(end, Box::pin(tls.accept(stream))).await {
            Ok(Ok(Accepted::Http2(stream))) => {
                let stream = Either::Right(stream);
                self.serve_connection(stream, end, activity, closing).await;
            }
            Ok(Ok(Accepted::Tls(stream))) => {
                let stream = Either::Right(stream);
                reject(end, stream, Vec::new(), (http1::NEEDS_HTTP2, true)).await;
            }
            Ok(Ok(Accepted::Plain(stream))) => {
                let stream = Either::Left(stream);
                reject(end, stream, Vec::new(), (http1::NEEDS_TLS, true)).await;
            }
            Ok(Err(error)) => tracing::debug!(%error, "TLS handshake failed"),
            Err(_) => tracing::debug!("TLS handshake timed out"),
        }
    }

    async fn serve_connection(
        self,
        mut stream: Stream,
        handshake_end: Instant,
        activity: ConnectionActivity,
        closing: watch::Receiver<()>,
    ) {
        match self.protocol {
            Protocol::Http1 => {
                let connection = Builder::new()
                    .timer(TokioTimer::new())
                    .keep_alive(false)
                    .serve_connection(TokioIo::new(stream), TowerToHyperService::new(self.router));
                drop(timeout(SCRAPE_TIMEOUT, connection).await);
            }
            Protocol::Http2(policy) => {
                let has_tls = self.tls.is_some();
                match timeout_at(handshake_end, connection::opening(&mut stream)).await {
                    Ok(Ok(Opening::Http2)) => {
                        let policy = (policy, activity);
                        connection::serve(stream, self.router, policy, closing).await;
                    }
                    Ok(Ok(Opening::Other(read))) => {
                        let problem = (http1::NEEDS_HTTP2, has_tls);
                        reject(handshake_end, stream, read, problem).await;
                    }
                    // Probes and port scans connect and send nothing.
                    Ok(Err(_)) | Err(_) => {}
                }
            }
        }
    }
}

/// Answers a connection that is not HTTP/2, if it is HTTP/1, and closes it. The answer
/// has the problem, and how to call a port with TLS, or without.
async fn reject(end: Instant, stream: Stream, read: Vec<u8>, (problem, has_tls): (&str, bool)) {
    let protocol = match read.first() {
        Some(&tls::HANDSHAKE) => "TLS on a port without it (--tls-cert)",
        _ => "not HTTP/2",
    };
    tracing::debug!(protocol, "closing a connection that cannot carry gRPC");
    drop(timeout_at(end, http1::reject(stream, read, problem, has_tls)).await);
}

/// The open connections of a port.
#[derive(Debug, Default)]
struct Connections {
    tasks: JoinSet<()>,
    /// In the order in which they were accepted.
    open: Vec<(AbortHandle, ConnectionActivity)>,
}

impl Connections {
    fn spawn(&mut self, listener: &Listener, stream: TcpStream, closing: &watch::Receiver<()>) {
        let activity = ConnectionActivity::new();
        let connection = listener
            .clone()
            .handle(stream, activity.clone(), closing.clone());
        self.open.push((self.tasks.spawn(connection), activity));
    }

    /// Makes room for one more connection, if the policy can.
    async fn make_room(&mut self, overflow: OverflowPolicy, max: usize) {
        self.reap();
        match overflow {
            OverflowPolicy::DrainIdle => {
                // Before the limit, because the idle connections take a moment to
                // close, and others arrive meanwhile.
                if self.open.len() >= max - max / 64 {
                    self.drain_idlest();
                }
            }
            OverflowPolicy::EvictOldest => {
                while self.tasks.len() >= max && !self.open.is_empty() {
                    self.open.remove(0).0.abort();
                    self.tasks.join_next().await;
                }
            }
        }
    }

    /// Removes connections that have ended.
    fn reap(&mut self) {
        while self.tasks.try_join_next().is_some() {}
        self.open
            .retain(|(connection, _)| !connection.is_finished());
    }

    /// Sends GOAWAY to the connection that has been idle for longest.
    fn drain_idlest(&self) {
        let idle = self.open.iter();
        let idle = idle.filter_map(|(_, activity)| Some((activity.idle_since()?, activity)));
        if let Some((_, idlest)) = idle.min_by_key(|&(since, _)| since) {
            idlest.request_goaway();
        }
    }
}

/// Closes a port, and returns the connections of its backlog, which would be
/// reset otherwise.
fn take_backlog(listener: TcpListener) -> impl Iterator<Item = TcpStream> {
    let listener = listener.into_std().ok();
    // The socket does not block: with an empty backlog, `accept` fails, which ends
    // the iterator.
    let accept = move || Some(listener.as_ref()?.accept().ok()?.0);
    std::iter::from_fn(accept).filter_map(|stream| {
        stream.set_nonblocking(true).ok()?;
        TcpStream::from_std(stream).ok()
    })
}

#[cfg(test)]
mod tests;
