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
        protocol: Protocol::Http2(ConnectionPolicy {
            max_deadline: Duration::ZERO,
            discard: Discard::new(),
        }),
    };
    #[expect(clippy::disallowed_methods, reason = "a server of the test")]
    tokio::spawn(server.serve(listener, close, pending()));
}

async fn opened(max_connections: usize, overflow: OverflowPolicy) -> SocketAddr {
    let (listener, address) = bound().await;
    open(listener, (max_connections, overflow), pending());
    address
}

/// Sends the preface, and returns whether the server answers.
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
    // The server takes a moment to notice.
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
    // The clock advances when nothing else happens.
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
    // The later connection is served, so the earlier one was accepted.
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
    // The clock advances when nothing else happens.
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
