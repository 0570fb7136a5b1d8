use std::future::{pending, ready};
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::oneshot;
use tokio::time::pause;

use super::*;
use crate::server::discard::Discard;

/// Binds a free port.
async fn bind() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// Serves HTTP/2 on a listener until `close`.
fn spawn(
    listener: TcpListener,
    (max_connections, overflow): (usize, OverflowPolicy),
    close: impl Future<Output = ()> + Send + 'static,
) {
    let server = Listener {
        router: Router::new(),
        tls: None,
        max_connections,
        overflow,
        protocol: Protocol::Http2(ConnectionPolicy {
            max_deadline: Duration::ZERO,
            discard: Discard::new(),
        }),
    };
    #[expect(clippy::disallowed_methods, reason = "a server of the test")]
    tokio::spawn(server.serve(listener, close, pending()));
}

/// Serves HTTP/2 on a free port.
async fn start(max_connections: usize, overflow: OverflowPolicy) -> SocketAddr {
    let (listener, address) = bind().await;
    spawn(listener, (max_connections, overflow), pending());
    address
}

/// Sends the client preface. Returns whether the server sends its SETTINGS.
async fn is_served(stream: &mut TcpStream) -> bool {
    let preface = [
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        &[0, 0, 0, 4, 0, 0, 0, 0, 0][..],
    ];
    let _ = stream.write_all(&preface.concat()).await;
    stream.read_exact(&mut [0; 9]).await.is_ok()
}

#[tokio::test]
async fn a_connection_above_the_limit_is_closed_until_another_one_closes() {
    let address = start(2, OverflowPolicy::DrainIdle).await;
    let mut first = TcpStream::connect(address).await.unwrap();
    let mut second = TcpStream::connect(address).await.unwrap();
    assert!(is_served(&mut first).await && is_served(&mut second).await);
    let mut third = TcpStream::connect(address).await.unwrap();
    assert!(!is_served(&mut third).await);
    drop(first);
    // The server notices the close a moment later.
    let mut next = TcpStream::connect(address).await.unwrap();
    while !is_served(&mut next).await {
        next = TcpStream::connect(address).await.unwrap();
    }
}

#[tokio::test]
async fn an_idle_connection_is_drained_for_a_new_one() {
    let address = start(2, OverflowPolicy::DrainIdle).await;
    let mut first = TcpStream::connect(address).await.unwrap();
    let mut second = TcpStream::connect(address).await.unwrap();
    assert!(is_served(&mut first).await && is_served(&mut second).await);
    let mut third = TcpStream::connect(address).await.unwrap();
    assert!(
        !is_served(&mut third).await,
        "the others are still within their handshake"
    );
    // The paused clock advances when all tasks are idle.
    pause();
    sleep(HANDSHAKE_TIMEOUT).await;
    let mut third = TcpStream::connect(address).await.unwrap();
    assert_eq!(third.read(&mut [0; 9]).await.unwrap(), 0);
    let (start, mut received) = (Instant::now(), Vec::new());
    first.read_to_end(&mut received).await.unwrap();
    assert_eq!(start.elapsed().as_secs(), 5);
    let goaway = [7, 0, 0, 0, 0, 0];
    assert!(
        received.windows(6).any(|bytes| bytes == goaway),
        "no GOAWAY: {received:?}"
    );
    let mut next = TcpStream::connect(address).await.unwrap();
    assert!(is_served(&mut next).await && is_served(&mut second).await);
}

#[tokio::test]
async fn connections_in_the_backlog_are_served_after_the_port_closes() {
    let (listener, address) = bind().await;
    let mut first = TcpStream::connect(address).await.unwrap();
    let mut second = TcpStream::connect(address).await.unwrap();
    spawn(listener, (9, OverflowPolicy::DrainIdle), ready(()));
    assert!(is_served(&mut first).await && is_served(&mut second).await);
    let late = TcpStream::connect(address).await;
    assert!(late.is_err(), "the port still accepts connections");
}

#[tokio::test]
async fn a_handshake_completes_although_the_port_closes() {
    let (listener, address) = bind().await;
    let (close, closed) = oneshot::channel::<()>();
    spawn(listener, (9, OverflowPolicy::DrainIdle), closed.map(drop));
    let mut slow = TcpStream::connect(address).await.unwrap();
    slow.write_all(b"PRI * HTTP/2.0\r\n").await.unwrap();
    // The later connection is served, so the earlier one was accepted.
    let mut other = TcpStream::connect(address).await.unwrap();
    assert!(is_served(&mut other).await);
    close.send(()).unwrap();
    while TcpStream::connect(address).await.is_ok() {}
    slow.write_all(b"\r\nSM\r\n\r\n").await.unwrap();
    slow.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).await.unwrap();
    let settings = slow.read_exact(&mut [0; 9]).await;
    assert!(settings.is_ok(), "the connection closed: {settings:?}");
}

#[tokio::test]
async fn the_oldest_connection_is_evicted_for_a_new_one() {
    let address = start(2, OverflowPolicy::EvictOldest).await;
    let mut open = Vec::new();
    for _ in 0..5 {
        let mut stream = TcpStream::connect(address).await.unwrap();
        assert!(is_served(&mut stream).await);
        open.push(stream);
    }
    for (number, stream) in open.iter_mut().enumerate() {
        let (ping, payload) = ([0, 0, 8, 6, 0, 0, 0, 0, 0], *b"anybody?");
        let _ = stream.write_all(&[&ping[..], &payload].concat()).await;
        let mut received = Vec::new();
        while !received.ends_with(&payload)
            && matches!(stream.read_buf(&mut received).await, Ok(1..))
        {}
        let is_open = received.ends_with(&payload);
        assert_eq!(is_open, number >= 3, "{number}");
    }
}

#[tokio::test]
async fn a_connection_that_does_not_finish_its_preface_is_closed() {
    // The paused clock advances when all tasks are idle.
    pause();
    let address = start(9, OverflowPolicy::DrainIdle).await;
    for preface in ["", "P", "PRI * HTTP/2.0\r\n\r\nSM\r\n"] {
        let start = Instant::now();
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(preface.as_bytes()).await.unwrap();
        assert_eq!(stream.read(&mut [0; 9]).await.unwrap(), 0);
        assert_eq!(start.elapsed().as_secs(), 10, "{preface:?}");
    }
}
