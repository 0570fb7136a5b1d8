#!/usr/bin/env bash
# The Rust crate redis: the causes of an error hold no io::Error.
#
# Versions: crate redis 1.8.1, Rust 1.95.
#
# Behaviour: when a connection fails, `RedisError::kind` is `Io`, and `source` is
# documented as the lower-level source. Code that walks the causes and downcasts
# each, as one does to find the error of TLS or the io::ErrorKind, finds nothing:
# the source is `Arc<dyn Error + Send + Sync>`, a type of its own, whose own source
# is already that of the io::Error. The io::Error is found only by a downcast to that
# Arc first, and by a downcast of what it points to then. Its text is the io::Error's,
# so that printed causes do not show it. `as_io_error` of the crate is private.
#
# Output seen on 2026-11-29:
#   kind: Io, refused: true
#   an io::Error among the causes: false
#   the source is an Arc: true
#   what it points to is an io::Error: Some(ConnectionRefused)
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
redis = { version = "=1.8.1", default-features = false }

[profile.dev]
debug = false
TOML
cat >src/main.rs <<'RUST'
use std::error::Error;
use std::io;
use std::iter::successors;
use std::net::TcpListener;
use std::sync::Arc;

type Shared = Arc<dyn Error + Send + Sync>;

fn main() {
    // A port that nobody listens on any more.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let client = redis::Client::open(format!("redis://127.0.0.1:{port}")).unwrap();
    let error = client.get_connection().err().unwrap();
    println!("kind: {:?}, refused: {}", error.kind(), error.is_connection_refusal());

    let mut causes = successors(Some(&error as &(dyn Error + 'static)), |&cause| cause.source());
    println!("an io::Error among the causes: {}", causes.any(|cause| cause.is::<io::Error>()));

    let source = error.source().unwrap().downcast_ref::<Shared>();
    println!("the source is an Arc: {}", source.is_some());
    let inner = source.and_then(|source| source.downcast_ref::<io::Error>());
    println!("what it points to is an io::Error: {:?}", inner.map(io::Error::kind));
}
RUST

cargo run --quiet >seen
cat seen
diff - seen <<'EXPECTED' || { echo "this has changed" >&2; exit 1; }
kind: Io, refused: true
an io::Error among the causes: false
the source is an Arc: true
what it points to is an io::Error: Some(ConnectionRefused)
EXPECTED
