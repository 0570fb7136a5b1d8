#!/usr/bin/env bash
# hyper-util's client (and so reqwest): by HTTP/2, requests that wait for a connection fail
# when the request that opens it is cancelled, and get no cause when it fails.
#
# Versions: crates hyper-util 0.1.21, reqwest 0.13.5, h2 0.4.20, Rust 1.95.
#
# Behaviour: a client that speaks HTTP/2 alone opens one connection, within the future of
# the first request that needs it; the others wait for the pool. If that future is dropped
# (a timeout of its own, `select!`, a caller that goes away), all others fail with
# "request was canceled", although nobody cancelled them, and the pool does not try again:
# its own repetition is for connections that were reused. If the connection fails, the
# first request gets the cause, and the others the same words without one. By HTTP/1.1
# each request opens its own connection, and goes on.
#
# Output seen on 2026-11-30:
#   HTTP/1.1, the first request is dropped: 9 of 9 others succeed; request was canceled: 0
#   HTTP/2, the first request is dropped: 0 of 9 others succeed; request was canceled: 9
#   HTTP/1.1, no connection: 10 of 10 have the cause; request was canceled: 0
#   HTTP/2, no connection: 1 of 10 have the cause; request was canceled: 9
#
# Fails if that changes. Needs cargo.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
mkdir src
cat >Cargo.toml <<'TOML'
[package]
name = "probe"
version = "0.0.0"
edition = "2024"

[dependencies]
bytes = "1"
h2 = "=0.4.20"
http = "1"
hyper-util = "=0.1.21"
reqwest = { version = "=0.13.5", default-features = false, features = ["http2"] }
tokio = { version = "1", features = ["io-util", "macros", "net", "rt", "sync", "time"] }
TOML
cat >src/main.rs <<'RUST'
use std::error::Error;
use std::net::SocketAddr;
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;

/// A name server that takes its time.
struct Slow(Option<SocketAddr>);

impl Resolve for Slow {
    fn resolve(&self, _: Name) -> Resolving {
        let address = self.0;
        Box::pin(async move {
            sleep(Duration::from_millis(500)).await;
            match address {
                Some(address) => Ok(Box::new([address].into_iter()) as Addrs),
                None => Err("no such name".into()),
            }
        })
    }
}

async fn serve(mut stream: TcpStream, http2: bool) {
    if http2 {
        let mut server = h2::server::handshake(stream).await.unwrap();
        while let Some(Ok((_, mut respond))) = server.accept().await {
            let _: Result<h2::SendStream<bytes::Bytes>, _> =
                respond.send_response(http::Response::new(()), true);
        }
        return;
    }
    let mut read = [0; 4096];
    while stream.read(&mut read).await.unwrap_or(0) > 0 {
        let response = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
        stream.write_all(response).await.unwrap();
    }
}

fn text(error: &reqwest::Error) -> String {
    let mut text = String::new();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    for is_reachable in [true, false] {
        for http2 in [false, true] {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            tokio::spawn(async move {
                while let Ok((stream, _)) = listener.accept().await {
                    tokio::spawn(serve(stream, http2));
                }
            });
            let client = reqwest::Client::builder()
                .no_proxy()
                .dns_resolver(Slow(is_reachable.then_some(address)));
            let client = if http2 { client.http2_prior_knowledge() } else { client.http1_only() };
            let client = client.build().unwrap();
            let url = format!("http://server.test:{}/", address.port());
            let request = || tokio::spawn(client.get(&url).send());
            let first = request();
            // It has begun to connect.
            sleep(Duration::from_millis(100)).await;
            let mut requests: Vec<_> = (0..9).map(|_| request()).collect();
            sleep(Duration::from_millis(100)).await;
            if is_reachable {
                first.abort();
            } else {
                requests.push(first);
            }
            let (mut succeeded, mut explained, mut cancelled) = (0, 0, 0);
            let all = requests.len();
            for request in requests {
                match request.await.unwrap() {
                    Ok(_) => succeeded += 1,
                    Err(error) if text(&error).contains("no such name") => explained += 1,
                    Err(error) if text(&error).ends_with("request was canceled") => cancelled += 1,
                    Err(error) => println!("{}", text(&error)),
                }
            }
            let version = if http2 { "HTTP/2" } else { "HTTP/1.1" };
            if is_reachable {
                println!(
                    "{version}, the first request is dropped: {succeeded} of {all} others succeed; \
                     request was canceled: {cancelled}"
                );
            } else {
                println!(
                    "{version}, no connection: {explained} of {all} have the cause; \
                     request was canceled: {cancelled}"
                );
            }
        }
    }
}
RUST
cargo run --quiet >seen.txt
cat seen.txt
cat >expected.txt <<'SEEN'
HTTP/1.1, the first request is dropped: 9 of 9 others succeed; request was canceled: 0
HTTP/2, the first request is dropped: 0 of 9 others succeed; request was canceled: 9
HTTP/1.1, no connection: 10 of 10 have the cause; request was canceled: 0
HTTP/2, no connection: 1 of 10 have the cause; request was canceled: 9
SEEN
diff expected.txt seen.txt
