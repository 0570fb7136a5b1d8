#!/usr/bin/env bash
# reqwest: a proxy that answers CONNECT with another 2xx than 200, or with an
# interim response before the 200, opens no tunnel; the error names no status.
#
# Versions: crates reqwest 0.13.5 and hyper-util 0.1.21, Rust 1.95.
#
# Behaviour: RFC 9110 (section 9.3.6) makes any 2xx to CONNECT a tunnel, and lets
# interim responses (1xx) precede a final one. The tunnel of hyper-util, which
# reqwest uses for https through an http proxy, compares the first bytes with
# `HTTP/1.1 200` and `HTTP/1.0 200`. All else, 407 apart, is the same error
# `unsuccessful`, whose type is private: neither the status nor the proxy can be
# read from it. With 200 the tunnel opens, and the TLS handshake follows.
#
# Output seen on 2026-11-29:
#   200: the TLS handshake begins
#   201: tunnel error: unsuccessful
#   204: tunnel error: unsuccessful
#   103, then 200: tunnel error: unsuccessful
#   403: tunnel error: unsuccessful
#   407: tunnel error: proxy authorization required
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
reqwest = { version = "=0.13.5", default-features = false, features = ["rustls-no-provider"] }
hyper-util = "=0.1.21"
rustls = { version = "0.23", default-features = false, features = ["ring"] }
tokio = { version = "1", features = ["macros", "net", "io-util", "rt"] }
TOML
cat >src/main.rs <<'RUST'
use std::error::Error as _;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// Answers one CONNECT; returns whether a TLS handshake follows.
async fn answer(listener: &TcpListener, head: &str) -> bool {
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        request.push(stream.read_u8().await.unwrap());
    }
    stream.write_all(head.as_bytes()).await.unwrap();
    // The first byte of a TLS record with a handshake.
    matches!(stream.read_u8().await, Ok(22))
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    for (name, head) in [
        ("200", "HTTP/1.1 200 OK\r\n\r\n"),
        ("201", "HTTP/1.1 201 Created\r\n\r\n"),
        ("204", "HTTP/1.1 204 No Content\r\n\r\n"),
        ("103, then 200", "HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"),
        ("403", "HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n"),
        ("407", "HTTP/1.1 407 Proxy Authentication Required\r\nproxy-authenticate: Basic\r\n\r\n"),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = format!("http://{}", listener.local_addr().unwrap());
        let client = reqwest::Client::builder()
            .proxy(reqwest::Proxy::all(proxy).unwrap())
            .tls_certs_only([])
            .build()
            .unwrap();
        let request = client.get("https://example.invalid/").send();
        let (is_tls, result) = tokio::join!(answer(&listener, head), request);
        let error = result.unwrap_err();
        let causes = std::iter::successors(error.source(), |&cause| cause.source());
        let tunnel = causes.map(ToString::to_string).find(|text| text.starts_with("tunnel error"));
        match tunnel {
            Some(text) => println!("{name}: {text}"),
            None if is_tls => println!("{name}: the TLS handshake begins"),
            None => println!("{name}: {error:?}"),
        }
    }
}
RUST
cargo run --quiet >seen
cat seen
diff seen - <<'EXPECTED' && exit
200: the TLS handshake begins
201: tunnel error: unsuccessful
204: tunnel error: unsuccessful
103, then 200: tunnel error: unsuccessful
403: tunnel error: unsuccessful
407: tunnel error: proxy authorization required
EXPECTED
echo "the behaviour has changed" >&2
exit 1
