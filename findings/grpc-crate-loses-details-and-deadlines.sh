#!/usr/bin/env bash
# The Rust crate grpc: an error has no metadata, and a deadline does nothing.
#
# Versions: crate grpc 0.9.0 (by its README a preview), Rust 1.95.
#
# Behaviour: `Trailers::metadata` is documented as the metadata of the trailers,
# `CallOptions::set_deadline` as "when the deadline is reached, the call is
# cancelled". A server ends a call with a status and one entry of metadata, as
# Trailers-Only, or after a message: the crate gives the status, and no entry.
# So google.rpc details and `grpc-retry-pushback-ms` are lost. (The trailers of a
# call that ends with OK keep theirs, `grpc-status` among them.) With a deadline
# of 200 ms, the request has no `grpc-timeout`, and the call waits for the
# server's answer after 1 s.
#
# Output seen on 2026-11-29:
#   error without a message: Err(NotFound), 0 entries
#   error after a message: Err(NotFound), 0 entries
#   success: Ok, 2 entries
#   grpc-timeout of a call with a deadline: None
#   answered after its deadline: Err(NotFound), 0 entries
#
# Fails if that changes. Needs cargo; compiles for some minutes.
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
grpc = "=0.9.0"
h2 = "0.4"
http = "1"
tokio = { version = "1", features = ["macros", "net", "rt-multi-thread", "time"] }

[profile.dev]
debug = false
TOML
cat >src/main.rs <<'RUST'
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Buf, Bytes};
use grpc::client::{CallOptions, Channel, ChannelOptions, Invoke, RecvStream, ResponseStreamItem, SendOptions, SendStream};
use grpc::core::{RecvMessage, RequestHeaders, SendMessage};
use grpc::credentials::LocalChannelCredentials;
use http::{HeaderMap, Response};
use tokio::net::TcpListener;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

/// Ends each call as its method asks; reports the deadline that it was given.
async fn serve(listener: TcpListener, timeouts: UnboundedSender<Option<String>>) {
    let (stream, _) = listener.accept().await.unwrap();
    let mut connection = h2::server::handshake(stream).await.unwrap();
    while let Some(Ok((request, mut answer))) = connection.accept().await {
        timeouts.send(request.headers().get("grpc-timeout").map(|value| value.to_str().unwrap().to_owned())).unwrap();
        tokio::spawn(async move {
            let path = request.uri().path().to_owned();
            let end = |status: &'static str| {
                let mut trailers = HeaderMap::new();
                trailers.insert("grpc-status", status.parse().unwrap());
                trailers.insert("about", "this error".parse().unwrap());
                trailers
            };
            let mut response = Response::new(());
            response.headers_mut().insert("content-type", "application/grpc".parse().unwrap());
            if path == "/test.Store/Late" {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            if path == "/test.Store/Error" || path == "/test.Store/Late" {
                response.headers_mut().extend(end("5"));
                answer.send_response(response, true).unwrap();
            } else {
                let mut body = answer.send_response(response, false).unwrap();
                body.send_data(Bytes::from_static(&[0; 5]), false).unwrap();
                body.send_trailers(end(if path == "/test.Store/ErrorAfterMessage" { "5" } else { "0" })).unwrap();
            }
        });
    }
}

struct Empty;

impl SendMessage for Empty {
    fn encode(&self) -> Result<Box<dyn Buf + Send + Sync>, String> {
        Ok(Box::new(Bytes::new()))
    }
}

impl RecvMessage for Empty {
    fn decode(&mut self, _: &mut dyn Buf) -> Result<(), String> {
        Ok(())
    }
}

async fn call(channel: &Channel, method: &str, deadline: Option<Duration>) -> String {
    let mut options = CallOptions::new();
    if let Some(after) = deadline {
        options.set_deadline(Instant::now() + after);
    }
    let headers = RequestHeaders::new().with_method_name(format!("/test.Store/{method}"));
    let (mut sending, mut receiving) = channel.invoke(headers, options).await;
    sending.send(&Empty, SendOptions::new().with_final_msg(true)).await.unwrap();
    loop {
        if let ResponseStreamItem::Trailers(trailers) = receiving.recv(&mut Empty).await {
            let status = trailers.status().as_ref().map_or_else(|error| format!("Err({:?})", error.code()), |()| "Ok".to_owned());
            return format!("{status}, {} entries", trailers.metadata().len());
        }
    }
}

#[tokio::main]
async fn main() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (timeouts, mut seen) = unbounded_channel();
    tokio::spawn(serve(listener, timeouts));
    let channel = Channel::new(format!("dns:///{address}"), Arc::new(LocalChannelCredentials::new()), ChannelOptions::default());

    println!("error without a message: {}", call(&channel, "Error", None).await);
    println!("error after a message: {}", call(&channel, "ErrorAfterMessage", None).await);
    println!("success: {}", call(&channel, "Success", None).await);
    for _ in 0..3 {
        seen.recv().await.unwrap();
    }
    let late = call(&channel, "Late", Some(Duration::from_millis(200))).await;
    println!("grpc-timeout of a call with a deadline: {:?}", seen.recv().await.unwrap());
    println!("answered after its deadline: {late}");
}
RUST

cargo run --quiet >seen
cat seen
diff - seen <<'EXPECTED' || { echo "this has changed" >&2; exit 1; }
error without a message: Err(NotFound), 0 entries
error after a message: Err(NotFound), 0 entries
success: Ok, 2 entries
grpc-timeout of a call with a deadline: None
answered after its deadline: Err(NotFound), 0 entries
EXPECTED
