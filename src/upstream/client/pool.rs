//! The clients in use. Each client of HTTP/2 has one connection; so that no request waits
//! behind the upstream's limit of streams, there are as many clients as the concurrent
//! requests need.

use std::sync::Arc;
use std::time::Duration;

use reqwest::Client;
use tokio::time::Instant;

use super::{LastConnect, Protocol};
use crate::jitter::jittered;

/// How long clients are used, on average. The upstream's name is looked up for
/// new connections only, and busy ones never end: if the upstream moves to
/// other addresses, its old ones would stay in use.
pub(super) const MAX_AGE: Duration = Duration::from_mins(5);

/// The most concurrent requests on one connection of HTTP/2: no server should allow less
/// (RFC 9113, section 6.5.2). Most allow 100 or 128; behind their limit, requests would
/// wait.
const STREAMS_PER_CONNECTION: usize = 100;

/// A client, and how its last attempt to connect ended.
#[derive(Clone)]
pub(super) struct PooledClient {
    pub client: Client,
    pub last_connect: LastConnect,
}

/// The clients in use.
pub(super) struct Pool {
    protocol: Protocol,
    /// At least one. A request gets the first one that has room, so that the last ones
    /// become idle.
    clients: Vec<Arc<PooledClient>>,
    /// When they are replaced.
    pub(super) until: Instant,
}

/// A client that a request uses until this is dropped.
pub(in crate::upstream) struct Lease {
    client: Arc<PooledClient>,
    /// What the client speaks.
    pub(in crate::upstream) protocol: Protocol,
}

impl Lease {
    /// The client.
    pub(in crate::upstream) fn client(&self) -> &Client {
        &self.client.client
    }

    /// How the client's last attempt to connect ended.
    pub(in crate::upstream) fn last_connect(&self) -> &LastConnect {
        &self.client.last_connect
    }
}

impl Pool {
    /// A pool of HTTP/1.1.
    pub(super) fn new(first: PooledClient) -> Self {
        Self {
            protocol: Protocol::Http1,
            clients: vec![Arc::new(first)],
            until: Instant::now() + jittered(MAX_AGE),
        }
    }

    /// Returns the client for a request. `build` makes a client, and is not expected to
    /// fail.
    pub(super) fn lease(&mut self, build: impl Fn(Protocol) -> Option<PooledClient>) -> Lease {
        if Instant::now() >= self.until {
            self.replace(self.protocol, &build);
        }
        let with_room = self.clients.iter().position(|client| self.has_room(client));
        let index = with_room.unwrap_or_else(|| {
            self.clients.extend(build(self.protocol).map(Arc::new));
            self.clients.len() - 1
        });
        Lease {
            client: Arc::clone(&self.clients[index]),
            protocol: self.protocol,
        }
    }

    fn has_room(&self, client: &Arc<PooledClient>) -> bool {
        match self.protocol {
            Protocol::Http1 => true,
            // One of the references is the pool's.
            Protocol::Http2 => Arc::strong_count(client) <= STREAMS_PER_CONNECTION,
        }
    }

    /// Replaces the clients, whose connections end with their last requests.
    pub(super) fn replace(
        &mut self,
        protocol: Protocol,
        build: impl Fn(Protocol) -> Option<PooledClient>,
    ) {
        if let Some(client) = build(protocol) {
            self.clients = vec![Arc::new(client)];
            self.protocol = protocol;
        }
        self.until = Instant::now() + jittered(MAX_AGE);
    }

    pub(super) fn first(&self) -> &PooledClient {
        &self.clients[0]
    }

    pub(super) fn protocol(&self) -> Protocol {
        self.protocol
    }
}
