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
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use parking_lot::Mutex;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout};

use super::connect::Phase;

/// How long an attempt waits for a lookup: one silent name server, and time
/// for the second one to answer. The lookup itself goes on.
pub const LOOKUP_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a result that no attempt has used is kept.
const UNUSED_RESULT_LIFE: Duration = Duration::from_secs(30);

/// The result of a lookup, and when it came.
#[derive(Debug, Clone)]
struct Found {
    addresses: Result<Arc<[IpAddr]>, Arc<io::Error>>,
    at: Instant,
}

impl Found {
    fn now(addresses: io::Result<Vec<IpAddr>>) -> Self {
        Self {
            addresses: addresses.map(Arc::from).map_err(Arc::new),
            at: Instant::now(),
        }
    }
}

type Lookup = Shared<BoxFuture<'static, Found>>;

/// Begins a lookup, which goes on whether it is polled or not.
type Start = dyn Fn(String) -> BoxFuture<'static, Found> + Send + Sync;

/// The address of a name that the next attempt begins with. Clones share it.
#[derive(Debug, Clone, Default)]
pub(super) struct AddressOrder(Arc<AtomicUsize>);

impl AddressOrder {
    /// Begins with the next address from now on.
    pub(super) fn advance(&self) {
        self.0.fetch_add(1, Relaxed);
    }

    fn sort(&self, addresses: &[IpAddr]) -> Vec<IpAddr> {
        let mut addresses = addresses.to_vec();
        let first = self.0.load(Relaxed) % addresses.len().max(1);
        addresses.rotate_left(first);
        addresses
    }
}

/// Looks names up. Clones share the lookup under way.
#[derive(Clone)]
pub(super) struct Resolver {
    start: Arc<Start>,
    /// The lookup under way, or one whose result no attempt has used yet. One
    /// is enough: a client connects to the upstream alone, or to its proxy.
    current: Arc<Mutex<Option<(String, Lookup)>>>,
    pub order: AddressOrder,
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
            Phase::Lookup.begin();
            let found = resolver.lookup(name.as_str()).await?;
            Phase::Tcp.begin();
            let addresses = resolver.order.sort(&found).into_iter();
            // The port of the URL takes the place of 0.
            let addresses = addresses.map(|address| SocketAddr::new(address, 0));
            Ok(Box::new(addresses) as Addrs)
        })
    }
}

impl Resolver {
    /// A resolver that asks the system.
    pub(super) fn system() -> Self {
        Self::new(|name| {
            // It runs to its end also when nobody waits for it any more.
            let lookup = spawn_blocking(move || {
                let addresses = (name.as_str(), 0).to_socket_addrs();
                Found::now(addresses.map(|all| all.map(|address| address.ip()).collect()))
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
            order: AddressOrder::default(),
        }
    }

    /// Returns the addresses of a host.
    ///
    /// # Errors
    ///
    /// If it has none, or the lookup is late; the error names the host.
    async fn lookup(&self, host: &str) -> io::Result<Arc<[IpAddr]>> {
        let begun = Instant::now();
        loop {
            let lookup = self.join(host);
            let Ok(found) = timeout(LOOKUP_TIMEOUT, lookup.clone()).await else {
                let why =
                    format!("the name lookup of `{host}` took longer than {LOOKUP_TIMEOUT:?}");
                return Err(io::Error::new(io::ErrorKind::TimedOut, why));
            };
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
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

    use futures_util::future::join_all;
    use tokio::time::sleep;

    use super::*;

    const FOUND: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

    /// A resolver that takes so long, fails so often at first, and counts.
    fn resolver(takes: Duration, failures: usize) -> (Resolver, Arc<AtomicUsize>) {
        let lookups = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&lookups);
        let resolver = Resolver::new(move |_| {
            let number = count.fetch_add(1, SeqCst);
            // Like the system's, it goes on whether it is polled or not.
            #[expect(clippy::disallowed_methods, reason = "in place of a thread")]
            let lookup = tokio::spawn(async move {
                sleep(takes).await;
                let failed = io::Error::other("no such host");
                Found::now(if number < failures {
                    Err(failed)
                } else {
                    Ok(vec![FOUND])
                })
            });
            Box::pin(async { lookup.await.unwrap() })
        });
        (resolver, lookups)
    }

    async fn resolve(resolver: &Resolver) -> Result<Vec<IpAddr>, String> {
        let found = resolver.lookup("vendor.example").await;
        found
            .map(|found| found.to_vec())
            .map_err(|error| error.to_string())
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_first_name_server_is_waited_for() {
        let (resolver, _) = resolver(Duration::from_secs(5), 0);
        assert_eq!(resolve(&resolver).await, Ok(vec![FOUND]));
    }

    #[tokio::test(start_paused = true)]
    async fn a_lookup_that_outlives_its_attempt_serves_the_next() {
        // Two silent name servers, in each of several search domains.
        let (resolver, lookups) = resolver(Duration::from_secs(25), 0);
        let late = "the name lookup of `vendor.example` took longer than 10s";
        for _ in 0..2 {
            assert_eq!(resolve(&resolver).await, Err(late.to_owned()));
        }
        assert_eq!(resolve(&resolver).await, Ok(vec![FOUND]));
        assert_eq!(lookups.load(SeqCst), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_lookup_whose_caller_is_gone_serves_the_next_attempt_for_a_while() {
        let (resolver, lookups) = resolver(Duration::from_secs(5), 0);
        let given_up = timeout(Duration::from_secs(3), resolve(&resolver)).await;
        assert!(given_up.is_err());
        sleep(Duration::from_secs(20)).await;
        let begun = Instant::now();
        assert_eq!(resolve(&resolver).await, Ok(vec![FOUND]));
        assert_eq!((lookups.load(SeqCst), begun.elapsed()), (1, Duration::ZERO));
        // It is used, so that the next one sees where the name points then.
        assert_eq!(resolve(&resolver).await, Ok(vec![FOUND]));
        assert_eq!(lookups.load(SeqCst), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_result_that_nobody_used_is_not_kept_for_long() {
        let (resolver, lookups) = resolver(Duration::from_secs(5), 0);
        let given_up = timeout(Duration::from_secs(3), resolve(&resolver)).await;
        assert!(given_up.is_err());
        sleep(UNUSED_RESULT_LIFE * 2).await;
        assert_eq!(resolve(&resolver).await, Ok(vec![FOUND]));
        assert_eq!(lookups.load(SeqCst), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_that_nobody_met_is_met_by_nobody() {
        let (resolver, lookups) = resolver(Duration::from_secs(5), 1);
        let given_up = timeout(Duration::from_secs(3), resolve(&resolver)).await;
        assert!(given_up.is_err());
        sleep(Duration::from_secs(20)).await;
        assert_eq!(resolve(&resolver).await, Ok(vec![FOUND]));
        assert_eq!(lookups.load(SeqCst), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn lookups_that_run_together_are_one() {
        let (resolver, lookups) = resolver(Duration::from_secs(1), 1);
        let failed = "the name lookup of `vendor.example` failed: no such host";
        let found = join_all((0..40).map(|_| resolve(&resolver))).await;
        assert!(found.iter().all(|found| *found == Err(failed.to_owned())));
        assert_eq!(lookups.load(SeqCst), 1);
        let found = join_all((0..40).map(|_| resolve(&resolver))).await;
        assert!(found.iter().all(|found| *found == Ok(vec![FOUND])));
        assert_eq!(lookups.load(SeqCst), 2);
    }

    #[test]
    fn an_address_that_does_not_accept_is_not_the_first_of_the_next_attempt() {
        let order = AddressOrder::default();
        let addresses = [1, 2].map(|last| IpAddr::from([192, 0, 2, last]));
        let [first, second] = addresses;
        assert_eq!(order.sort(&addresses), [first, second]);
        order.advance();
        assert_eq!(order.sort(&addresses), [second, first]);
        assert_eq!(order.sort(&[]), [] as [IpAddr; 0]);
    }

    #[tokio::test]
    async fn the_system_knows_the_local_host_and_no_invalid_one() {
        let resolver = Resolver::system();
        let found = resolver.lookup("localhost").await.unwrap();
        assert!(found.iter().all(IpAddr::is_loopback), "{found:?}");
        let unknown = resolver.lookup("presence.invalid").await.unwrap_err();
        let why = "the name lookup of `presence.invalid` failed: ";
        assert!(unknown.to_string().starts_with(why), "{unknown}");
    }
}
