//! Name lookups: those of a name that are wanted at the same time are one
//! (singleflight), and one that outlives the attempt that began it serves the
//! next attempt.
//!
//! The system's resolver waits for a silent first name server (5 s in glibc)
//! before it asks the second, each time anew, and cannot be cancelled. So a
//! lookup is not lost with its caller, and any number of calls that wait for a
//! name hold one thread.

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

/// How long a result that no attempt has used is kept.
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

/// Begins a lookup, which goes on whether it is polled or not.
type Start = dyn Fn(String) -> BoxFuture<'static, Found> + Send + Sync;

/// Looks names up. Clones share the lookup under way.
#[derive(Clone)]
pub(super) struct Resolver {
    start: Arc<Start>,
    /// The lookup under way, or one whose result no attempt has used yet. One
    /// is enough: a client connects to the upstream alone, or to its proxy.
    current: Arc<Mutex<Option<(String, Lookup)>>>,
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
            // It runs to its end also when nobody waits for it any more.
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
            self.forget(&lookup);
            match found.addresses {
                Ok(addresses) if found.at.elapsed() <= UNUSED_RESULT_LIFE => return Ok(addresses),
                Err(error) if found.at >= begun => {
                    let why = format!("the name lookup of `{host}` failed: {error}");
                    return Err(io::Error::new(error.kind(), why));
                }
                // Its addresses are too old, or it failed before this attempt.
                _ => {}
            }
        }
    }

    /// Returns the lookup of this name that is under way, or begins one.
    fn join(&self, name: &str) -> Lookup {
        let mut current = self.current.lock();
        match &*current {
            Some((known, lookup)) if known == name => lookup.clone(),
            _ => {
                let lookup = (self.start)(name.to_owned()).shared();
                *current = Some((name.to_owned(), lookup.clone()));
                lookup
            }
        }
    }

    /// Lets the next attempt begin a new lookup, unless one has begun already.
    fn forget(&self, used: &Lookup) {
        let mut current = self.current.lock();
        if matches!(&*current, Some((_, lookup)) if lookup.ptr_eq(used)) {
            *current = None;
        }
    }
}

#[cfg(test)]
mod tests;
