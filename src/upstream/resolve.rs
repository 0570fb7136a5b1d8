//! Resolves names. Concurrent lookups of a name are one lookup (singleflight). If
//! it takes longer than the attempt that started it, the next attempt uses its
//! result.
//!
//! For each lookup, the system's resolver waits for a silent first name server
//! (5 s in glibc) before it asks the second, and it cannot be cancelled. So the
//! result of a lookup must not be lost with its caller, and calls that wait for a
//! name must hold one thread together.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use parking_lot::Mutex;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::task::spawn_blocking;
use tokio::time::Instant;

/// How long an unused result is kept for the next attempt.
const UNUSED_RESULT_LIFE: Duration = Duration::from_secs(30);

/// The result of a lookup, and when it came.
#[derive(Debug, Clone)]
struct Found {
    addresses: Result<Arc<[SocketAddr]>, Arc<io::Error>>,
    at: Instant,
}

impl Found {
    fn now(addresses: io::Result<Vec<SocketAddr>>) -> Self {
        Self {
            addresses: addresses.map(Arc::from).map_err(Arc::new),
            at: Instant::now(),
        }
    }
}

type Lookup = Shared<BoxFuture<'static, Found>>;

/// Starts a lookup, which proceeds even if it is not polled.
type Start = dyn Fn(String) -> BoxFuture<'static, Found> + Send + Sync;

/// Resolves names. Clones share the lookup in progress.
#[derive(Clone)]
pub(super) struct Resolver {
    start: Arc<Start>,
    /// By name, the lookup in progress, or one whose result no attempt has used yet.
    /// The names are few: the hosts of the regions, or that of the proxy.
    current: Arc<Mutex<HashMap<String, Lookup>>>,
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resolver").finish_non_exhaustive()
    }
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let resolver = self.clone();
        Box::pin(async move {
            let addresses = resolver.lookup(name.as_str()).await?.to_vec();
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

impl Resolver {
    /// A resolver that asks the system.
    pub(super) fn system() -> Self {
        Self::new(|name| {
            // It runs to its end even if no attempt waits for it any more.
            let lookup = spawn_blocking(move || {
                // The port of the URL takes the place of 0.
                Found::now((name.as_str(), 0).to_socket_addrs().map(Iterator::collect))
            });
            let failed = |error| Found::now(Err(io::Error::other(error)));
            Box::pin(async move { lookup.await.unwrap_or_else(failed) })
        })
    }

    fn new<S>(start: S) -> Self
    where
        S: Fn(String) -> BoxFuture<'static, Found> + Send + Sync + 'static,
    {
        Self {
            start: Arc::new(start),
            current: Arc::default(),
        }
    }

    /// Returns the addresses of a host.
    ///
    /// # Errors
    ///
    /// If it has none; the error names the host.
    async fn lookup(&self, host: &str) -> io::Result<Arc<[SocketAddr]>> {
        let begun = Instant::now();
        loop {
            let lookup = self.join(host);
            let found = lookup.clone().await;
            self.forget(host, &lookup);
            match found.addresses {
                Ok(addresses) if found.at.elapsed() <= UNUSED_RESULT_LIFE => return Ok(addresses),
                Err(error) if found.at >= begun => {
                    let why = format!("the name lookup of `{host}` failed: {error}");
                    return Err(io::Error::new(error.kind(), why));
                }
                // Its addresses are too old, or it failed before this attempt
                // started: look up again.
                _ => {}
            }
        }
    }

    /// Returns the lookup of this name that is in progress, or starts one.
    fn join(&self, name: &str) -> Lookup {
        let mut current = self.current.lock();
        let start = || (self.start)(name.to_owned()).shared();
        current.entry(name.to_owned()).or_insert_with(start).clone()
    }

    /// Lets the next attempt start a new lookup, unless a new one has started.
    fn forget(&self, name: &str, used: &Lookup) {
        let mut current = self.current.lock();
        if current.get(name).is_some_and(|lookup| lookup.ptr_eq(used)) {
            current.remove(name);
        }
    }
}

#[cfg(test)]
mod tests;
