//! The connections to all gateways; each is reopened when it ends.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use parking_lot::Mutex;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

/// The pause before the next attempt to connect.
const PAUSE: Duration = Duration::from_millis(100);

/// How long a call waits for an open connection.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The sender of a connection.
pub type Sender = SendRequest<Full<Bytes>>;

/// Connections, used round-robin.
#[derive(Debug)]
pub struct Connections {
    slots: Vec<Slot>,
    next: AtomicUsize,
    /// Changes when a connection opens.
    opened: watch::Sender<()>,
}

/// A slot for a connection to an address.
#[derive(Debug)]
struct Slot {
    address: SocketAddr,
    sender: Mutex<Option<Sender>>,
}

impl Connections {
    /// Opens `of_each` connections to each address, and reopens each that ends until
    /// all are dropped.
    ///
    /// # Errors
    ///
    /// If one of them cannot be opened at the start.
    pub async fn open(addresses: &[SocketAddr], of_each: usize) -> Result<Arc<Self>, String> {
        let mut slots = Vec::new();
        let mut ends = Vec::new();
        // Alternating addresses, so that round-robin spreads calls evenly.
        for _ in 0..of_each {
            for &address in addresses {
                let connected = connect(address).await;
                let (sender, end) = connected.map_err(|why| format!("{address}: {why}"))?;
                let sender = Mutex::new(Some(sender));
                slots.push(Slot { address, sender });
                ends.push(end);
            }
        }
        let connections = Arc::new(Self {
            slots,
            next: AtomicUsize::new(0),
            opened: watch::Sender::new(()),
        });
        for (slot, end) in ends.into_iter().enumerate() {
            tokio::spawn(keep(Arc::downgrade(&connections), slot, end));
        }
        Ok(connections)
    }

    /// The next open connection; `None` if none opens within the timeout.
    pub async fn next(&self) -> Option<Sender> {
        let mut opened = self.opened.subscribe();
        loop {
            for _ in 0..self.slots.len() {
                let next = self.next.fetch_add(1, Relaxed) % self.slots.len();
                let sender = self.slots[next].sender.lock();
                let sender = sender;
                if let Some(sender) = sender.as_ref().filter(|sender| !sender.is_closed()) {
                    return Some(sender.clone());
                }
            }
            timeout(TIMEOUT, opened.changed()).await.ok()?.ok()?;
        }
    }
}

/// Reopens the connection of a slot whenever it ends, until the connections are dropped.
async fn keep(connections: Weak<Connections>, slot: usize, mut end: End) {
    loop {
        end.await;
        end = loop {
            let Some(connections) = connections.upgrade() else {
                return;
            };
            let slot = &connections.slots[slot];
            *slot.sender.lock() = None;
            if let Ok((sender, end)) = connect(slot.address).await {
                *slot.sender.lock() = Some(sender);
                connections.opened.send_replace(());
                break end;
            }
            drop(connections);
            sleep(PAUSE).await;
        };
    }
}

/// Completes when a connection takes no more calls.
type End = Pin<Box<dyn Future<Output = ()> + Send>>;

async fn connect(address: SocketAddr) -> Result<(Sender, End), String> {
    let stream = TcpStream::connect(address).await;
    let stream = stream.map_err(|error| error.to_string())?;
    let _ = stream.set_nodelay(true);
    let shaken = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await;
    let (sender, connection) = shaken.map_err(|error| error.to_string())?;
    // Each call learns from its own stream how the connection ended.
    Ok((sender, Box::pin(async { drop(connection.await) })))
}
