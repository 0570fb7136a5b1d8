#!/usr/bin/env bash
# reqwest: with a server that offers HTTP/2 by ALPN, concurrent first requests each open
# a connection, of which one is used; and never a second one when its streams are used up.
#
# Versions: crates reqwest 0.13.5, hyper-util 0.1.21, h2 0.4.20, Rust 1.95.
#
# Behaviour: a pool that finds no connection starts one for each request, as HTTP/1.1
# needs; only when the first TLS handshake has ended is it known that one was enough. The
# others are completed too, and closed. Later, 100 streams being the server's limit, of
# 150 concurrent requests 50 wait for the others. RFC 9113 (9.1) advises one connection
# for each host; that the limit of one makes requests wait is easily overlooked.
# `http2_prior_knowledge()` opens one connection in the first case.
#
# Output seen on 2026-11-29:
#   negotiated, 20 first requests: 20 connections, 1 of them with requests
#   negotiated, 150 requests that wait: 100 at the server, 0 more connections
#   prior knowledge, 20 first requests: 1 connections, 1 of them with requests
#   prior knowledge, 150 requests that wait: 100 at the server, 0 more connections
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
rcgen = { version = "0.14", default-features = false, features = ["crypto", "pem", "ring"] }
reqwest = { version = "=0.13.5", default-features = false, features = ["http2", "rustls-no-provider"] }
rustls = { version = "0.23", default-features = false, features = ["ring", "std"] }
tokio = { version = "1", features = ["macros", "net", "rt", "sync", "time"] }
tokio-rustls = { version = "0.26", default-features = false }
TOML
cat >src/main.rs <<'RUST'
use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

/// What the server saw, and whether it answers.
struct Seen {
    connections: Mutex<usize>,
    used: Mutex<HashSet<usize>>,
    waiting: Mutex<usize>,
    answers: watch::Sender<bool>,
}

async fn serve(seen: Arc<Seen>, tls: TlsAcceptor, stream: TcpStream, number: usize) {
    let Ok(stream) = tls.accept(stream).await else { return };
    let mut server = h2::server::Builder::new();
    server.max_concurrent_streams(100);
    let Ok(mut connection) = server.handshake::<_, bytes::Bytes>(stream).await else { return };
    while let Some(Ok((_, mut respond))) = connection.accept().await {
        seen.used.lock().unwrap().insert(number);
        *seen.waiting.lock().unwrap() += 1;
        let mut answers = seen.answers.subscribe();
        tokio::spawn(async move {
            answers.wait_for(|&answers| answers).await.unwrap();
            let _ = respond.send_response(http::Response::new(()), true);
        });
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let provider = rustls::crypto::ring::default_provider();
    provider.install_default().unwrap();
    let issued = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::try_from(issued.signing_key.serialize_der()).unwrap();
    let mut config = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![issued.cert.der().clone()], key)
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let tls = TlsAcceptor::from(Arc::new(config));
    for prior_knowledge in [false, true] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://localhost:{}/", listener.local_addr().unwrap().port());
        let seen = Arc::new(Seen {
            connections: Mutex::default(),
            used: Mutex::default(),
            waiting: Mutex::default(),
            answers: watch::channel(true).0,
        });
        let (server, acceptor) = (Arc::clone(&seen), tls.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let number = {
                    let mut connections = server.connections.lock().unwrap();
                    *connections += 1;
                    *connections
                };
                tokio::spawn(serve(server.clone(), acceptor.clone(), stream, number));
            }
        });
        let certificate = reqwest::Certificate::from_pem(issued.cert.pem().as_bytes()).unwrap();
        let client = reqwest::Client::builder().no_proxy().tls_certs_only([certificate]);
        let client = if prior_knowledge { client.http2_prior_knowledge() } else { client };
        let client = client.build().unwrap();
        let request = || {
            let request = client.get(&url).send();
            tokio::spawn(async move { request.await.unwrap() })
        };
        let name = if prior_knowledge { "prior knowledge" } else { "negotiated" };

        let first: Vec<_> = (0..20).map(|_| request()).collect();
        for request in first {
            request.await.unwrap();
        }
        // The connections that are not used end on their own.
        tokio::time::sleep(Duration::from_secs(1)).await;
        let before = *seen.connections.lock().unwrap();
        let used = seen.used.lock().unwrap().len();
        println!("{name}, 20 first requests: {before} connections, {used} of them with requests");

        *seen.waiting.lock().unwrap() = 0;
        seen.answers.send_replace(false);
        let more: Vec<_> = (0..150).map(|_| request()).collect();
        tokio::time::sleep(Duration::from_secs(2)).await;
        let waiting = *seen.waiting.lock().unwrap();
        let opened = *seen.connections.lock().unwrap() - before;
        println!("{name}, 150 requests that wait: {waiting} at the server, {opened} more connections");
        seen.answers.send_replace(true);
        for request in more {
            request.await.unwrap();
        }
    }
}
RUST
cargo run --quiet >seen.txt
cat seen.txt
cat >expected.txt <<'SEEN'
negotiated, 20 first requests: 20 connections, 1 of them with requests
negotiated, 150 requests that wait: 100 at the server, 0 more connections
prior knowledge, 20 first requests: 1 connections, 1 of them with requests
prior knowledge, 150 requests that wait: 100 at the server, 0 more connections
SEEN
diff expected.txt seen.txt
