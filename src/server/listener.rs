//! A port on which connections are accepted, and what becomes of them.

pub(super) mod tls;

use axum::Router;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, sleep, timeout_at};

use super::connection::activity::ConnectionActivity;
use super::connection::{self, ConnectionPolicy};
use super::limits::{ACCEPT_BACKOFF, HANDSHAKE_TIMEOUT};
use super::listener::tls::Tls;

/// A port before it is opened.
#[derive(Debug, Clone)]
pub(super) struct Listener {
    /// What answers.
    pub router: Router,
    /// What is spoken below HTTP/2, if anything.
    pub tls: Option<Tls>,
    /// How many connections there may be at once.
    pub max_connections: usize,
    /// What one more does.
    pub overflow: OverflowPolicy,
    /// How connections are led to their end.
    pub policy: ConnectionPolicy,
}

/// What becomes of a connection for which there is no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OverflowPolicy {
    /// It is closed as soon as it is accepted: its client is free to go
    /// elsewhere, which it would not be in a queue. Shortly before there is no
    /// room left, those that have had no calls for longest are asked to go.
    DrainIdle,
    /// The oldest is closed for it. Whoever asks and goes is let in, however
    /// many others stay.
    EvictOldest,
}

impl Listener {
    /// Accepts connections until `close` is done. Then all are asked to go,
    /// also those that have just come: their first call may be with them.
    /// Those that are still there when `grace` is done are closed.
    pub(super) async fn serve(
        self,
        listener: TcpListener,
        close: impl Future<Output = ()>,
        grace: impl Future<Output = ()>,
    ) {
        let (closed, closing) = watch::channel(());
        let mut connections = JoinSet::new();
        let mut open = Connections::default();
        let mut close = std::pin::pin!(close);
        // Said once for a time in which it is so, and not for each connection.
        let mut is_stuck = false;
        loop {
            let accepted = tokio::select! {
                () = &mut close => break,
                Some(_) = connections.join_next() => continue,
                accepted = listener.accept() => accepted,
            };
            self.make_room(&mut open, &mut connections).await;
            let was_stuck = is_stuck;
            is_stuck = true;
            match accepted {
                Ok((stream, _)) if connections.len() < self.max_connections => {
                    is_stuck = false;
                    let activity = ConnectionActivity::new();
                    let connection = self.clone().open(stream, activity.clone(), closing.clone());
                    open.0.push((connections.spawn(connection), activity));
                }
                Ok(_) if was_stuck => {}
                Ok(_) => tracing::warn!(
                    max = self.max_connections,
                    "there are as many connections as there may be; more are closed"
                ),
                Err(error) => {
                    if !was_stuck {
                        tracing::warn!(%error, "connections cannot be accepted");
                    }
                    sleep(ACCEPT_BACKOFF).await;
                }
            }
        }
        drop(closed);
        for stream in take_backlog(listener) {
            if connections.len() < self.max_connections {
                let open = self
                    .clone()
                    .open(stream, ConnectionActivity::new(), closing.clone());
                connections.spawn(open);
            }
        }
        let gone = async { while connections.join_next().await.is_some() {} };
        tokio::select! {
            () = gone => {}
            () = grace => {}
        }
        if !connections.is_empty() {
            tracing::info!(
                count = connections.len(),
                "connections did not end by themselves"
            );
        }
        // Those that are left end with their set.
    }

    /// Sees to it that there is room for one more, if that can be done.
    async fn make_room(&self, open: &mut Connections, connections: &mut JoinSet<()>) {
        // Those that have ended take no room, whether that was noticed or not.
        while connections.try_join_next().is_some() {}
        open.reap();
        match self.overflow {
            OverflowPolicy::DrainIdle => {
                // They need a moment to go, in which others come.
                let nearly = self.max_connections - self.max_connections / 64;
                if open.0.len() >= nearly {
                    open.drain_idlest();
                }
            }
            OverflowPolicy::EvictOldest => {
                while connections.len() >= self.max_connections && !open.0.is_empty() {
                    open.0.remove(0).0.abort();
                    connections.join_next().await;
                }
            }
        }
    }

    /// Leads one connection from its first byte to its end.
    async fn open(
        self,
        stream: TcpStream,
        activity: ConnectionActivity,
        closing: watch::Receiver<()>,
    ) {
        // Answers are small: none shall wait to be joined by a second one.
        let _ = stream.set_nodelay(true);
        let end = Instant::now() + HANDSHAKE_TIMEOUT;
        let Some(tls) = &self.tls else {
            return self.serve_connection(stream, end, activity, closing).await;
        };
        match timeout_at(end, tls.accept(stream)).await {
            Ok(Ok(stream)) => self.serve_connection(stream, end, activity, closing).await,
            Ok(Err(error)) => tracing::debug!(%error, "a TLS handshake failed"),
            Err(_) => tracing::debug!("a TLS handshake took too long"),
        }
    }

    async fn serve_connection<S>(
        self,
        mut stream: S,
        end: Instant,
        activity: ConnectionActivity,
        closing: watch::Receiver<()>,
    ) where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let first = timeout_at(end, connection::preface(&mut stream)).await;
        if let Ok(Ok(first)) = first {
            let terms = (self.policy, activity);
            connection::serve(stream, first, self.router, terms, closing).await;
        }
    }
}

/// The connections of a port, in the order in which they came.
#[derive(Debug, Default)]
struct Connections(Vec<(AbortHandle, ConnectionActivity)>);

impl Connections {
    fn reap(&mut self) {
        self.0.retain(|(connection, _)| !connection.is_finished());
    }

    fn drain_idlest(&self) {
        let idle = self.0.iter();
        let idle = idle.filter_map(|(_, activity)| Some((activity.idle_since()?, activity)));
        if let Some((_, idlest)) = idle.min_by_key(|&(since, _)| since) {
            idlest.request_goaway();
        }
    }
}

/// Closes a port; gives the connections that wait to be accepted, which would
/// be lost with it.
fn take_backlog(listener: TcpListener) -> impl Iterator<Item = TcpStream> {
    let listener = listener.into_std().ok();
    // It does not block: where nobody waits, that is an error, and the end.
    let accept = move || Some(listener.as_ref()?.accept().ok()?.0);
    std::iter::from_fn(accept).filter_map(|stream| {
        stream.set_nonblocking(true).ok()?;
        TcpStream::from_std(stream).ok()
    })
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};
    use std::net::SocketAddr;
    use std::time::Duration;

    use futures_util::FutureExt;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::sync::oneshot;
    use tokio::time::pause;

    use super::*;
    use crate::server::discard::Discard;

    async fn bound() -> (TcpListener, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        (listener, address)
    }

    fn open(
        listener: TcpListener,
        (max_connections, overflow): (usize, OverflowPolicy),
        close: impl Future<Output = ()> + Send + 'static,
    ) {
        let server = Listener {
            router: Router::new(),
            tls: None,
            max_connections,
            overflow,
            policy: ConnectionPolicy {
                grace: Duration::ZERO,
                discard: Discard::new(),
            },
        };
        #[expect(clippy::disallowed_methods, reason = "a server of the test")]
        tokio::spawn(server.serve(listener, close, pending()));
    }

    async fn opened(max_connections: usize, overflow: OverflowPolicy) -> SocketAddr {
        let (listener, address) = bound().await;
        open(listener, (max_connections, overflow), pending());
        address
    }

    /// Speaks HTTP/2, and gives whether it was answered.
    async fn is_served(stream: &mut TcpStream) -> bool {
        let said = [
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            &[0, 0, 0, 4, 0, 0, 0, 0, 0][..],
        ];
        let _ = stream.write_all(&said.concat()).await;
        stream.read_exact(&mut [0; 9]).await.is_ok()
    }

    #[tokio::test]
    async fn one_connection_too_many_is_closed_until_another_leaves() {
        let address = opened(2, OverflowPolicy::DrainIdle).await;
        let mut first = TcpStream::connect(address).await.unwrap();
        let mut second = TcpStream::connect(address).await.unwrap();
        assert!(is_served(&mut first).await && is_served(&mut second).await);
        let mut third = TcpStream::connect(address).await.unwrap();
        assert!(!is_served(&mut third).await);
        drop(first);
        // It takes a moment to be noticed.
        let mut next = TcpStream::connect(address).await.unwrap();
        while !is_served(&mut next).await {
            next = TcpStream::connect(address).await.unwrap();
        }
    }

    #[tokio::test]
    async fn who_has_no_calls_goes_for_one_more() {
        let address = opened(2, OverflowPolicy::DrainIdle).await;
        let mut first = TcpStream::connect(address).await.unwrap();
        let mut second = TcpStream::connect(address).await.unwrap();
        assert!(is_served(&mut first).await && is_served(&mut second).await);
        let mut third = TcpStream::connect(address).await.unwrap();
        assert!(!is_served(&mut third).await, "the others have just come");
        // Time passes when nothing else happens.
        pause();
        sleep(HANDSHAKE_TIMEOUT).await;
        let mut third = TcpStream::connect(address).await.unwrap();
        assert_eq!(third.read(&mut [0; 9]).await.unwrap(), 0);
        let (begun, mut heard) = (Instant::now(), Vec::new());
        first.read_to_end(&mut heard).await.unwrap();
        assert_eq!(begun.elapsed().as_secs(), 5);
        let goaway = [7, 0, 0, 0, 0, 0];
        assert!(heard.windows(6).any(|said| said == goaway), "{heard:?}");
        let mut next = TcpStream::connect(address).await.unwrap();
        assert!(is_served(&mut next).await && is_served(&mut second).await);
    }

    #[tokio::test]
    async fn who_has_come_before_the_port_closes_is_served() {
        let (listener, address) = bound().await;
        let mut first = TcpStream::connect(address).await.unwrap();
        let mut second = TcpStream::connect(address).await.unwrap();
        open(listener, (9, OverflowPolicy::DrainIdle), ready(()));
        assert!(is_served(&mut first).await && is_served(&mut second).await);
        let late = TcpStream::connect(address).await;
        assert!(late.is_err(), "a connection was accepted after that");
    }

    #[tokio::test]
    async fn who_speaks_while_the_port_closes_is_heard_to_the_end() {
        let (listener, address) = bound().await;
        let (close, closed) = oneshot::channel::<()>();
        open(listener, (9, OverflowPolicy::DrainIdle), closed.map(drop));
        let mut slow = TcpStream::connect(address).await.unwrap();
        slow.write_all(b"PRI * HTTP/2.0\r\n").await.unwrap();
        // The one who came later was let in, so that this one was too.
        let mut other = TcpStream::connect(address).await.unwrap();
        assert!(is_served(&mut other).await);
        close.send(()).unwrap();
        while TcpStream::connect(address).await.is_ok() {}
        slow.write_all(b"\r\nSM\r\n\r\n").await.unwrap();
        slow.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).await.unwrap();
        let answer = slow.read_exact(&mut [0; 9]).await;
        assert!(answer.is_ok(), "it was hung up on: {answer:?}");
    }

    #[tokio::test]
    async fn where_the_oldest_goes_one_more_is_let_in() {
        let address = opened(2, OverflowPolicy::EvictOldest).await;
        let mut open = Vec::new();
        for _ in 0..5 {
            let mut stream = TcpStream::connect(address).await.unwrap();
            assert!(is_served(&mut stream).await);
            open.push(stream);
        }
        for (number, stream) in open.iter_mut().enumerate() {
            let (ping, said) = ([0, 0, 8, 6, 0, 0, 0, 0, 0], *b"anybody?");
            let _ = stream.write_all(&[&ping[..], &said].concat()).await;
            let mut heard = Vec::new();
            while !heard.ends_with(&said) && matches!(stream.read_buf(&mut heard).await, Ok(1..)) {}
            let is_open = heard.ends_with(&said);
            assert_eq!(is_open, number >= 3, "{number}");
        }
    }

    #[tokio::test]
    async fn a_connection_that_does_not_finish_its_first_word_is_closed() {
        // Time passes when nothing else happens.
        pause();
        let address = opened(9, OverflowPolicy::DrainIdle).await;
        for said in ["", "P", "PRI * HTTP/2.0\r\n\r\nSM\r\n"] {
            let begun = Instant::now();
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(said.as_bytes()).await.unwrap();
            assert_eq!(stream.read(&mut [0; 9]).await.unwrap(), 0);
            assert_eq!(begun.elapsed().as_secs(), 10, "{said:?}");
        }
    }
}
