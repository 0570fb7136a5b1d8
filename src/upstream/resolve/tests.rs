use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use futures_util::future::join_all;
use tokio::time::{sleep, timeout};

use super::*;
use crate::upstream::client::CONNECT_TIMEOUT;

const FOUND: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 0);

/// A resolver whose lookups take `latency`, and whose first `failures` fail.
/// Returns it with the count of its lookups.
fn resolver(latency: Duration, failures: usize) -> (Resolver, Arc<AtomicUsize>) {
    let lookups = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&lookups);
    let resolver = Resolver::new(move |_| {
        let number = count.fetch_add(1, SeqCst);
        // Runs without being polled, as the system's lookup in a thread does.
        #[expect(clippy::disallowed_methods, reason = "stands in for a thread")]
        let lookup = tokio::spawn(async move {
            sleep(latency).await;
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

async fn resolve(resolver: &Resolver) -> Result<Vec<SocketAddr>, String> {
    let found = resolver.lookup("vendor.example").await;
    found
        .map(|found| found.to_vec())
        .map_err(|error| error.to_string())
}

#[tokio::test(start_paused = true)]
async fn a_lookup_may_outlast_a_silent_first_name_server() {
    let (resolver, _) = resolver(Duration::from_secs(5), 0);
    let found = timeout(CONNECT_TIMEOUT, resolve(&resolver)).await;
    assert_eq!(found, Ok(Ok(vec![FOUND])));
}

#[tokio::test(start_paused = true)]
async fn a_lookup_that_outlasts_its_attempt_serves_a_later_one() {
    // Two silent name servers, in each of several search domains.
    let (resolver, lookups) = resolver(Duration::from_secs(25), 0);
    for _ in 0..2 {
        let late = timeout(CONNECT_TIMEOUT, resolve(&resolver)).await;
        assert!(late.is_err(), "{late:?}");
    }
    assert_eq!(resolve(&resolver).await, Ok(vec![FOUND]));
    assert_eq!(lookups.load(SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn an_abandoned_lookup_serves_the_next_attempt() {
    let (resolver, lookups) = resolver(Duration::from_secs(5), 0);
    let abandoned = timeout(Duration::from_secs(3), resolve(&resolver)).await;
    assert!(abandoned.is_err());
    sleep(Duration::from_secs(20)).await;
    let start = Instant::now();
    assert_eq!(resolve(&resolver).await, Ok(vec![FOUND]));
    assert_eq!((lookups.load(SeqCst), start.elapsed()), (1, Duration::ZERO));
    // A result serves one attempt only; the next attempt looks the name up
    // again, because its addresses may change.
    assert_eq!(resolve(&resolver).await, Ok(vec![FOUND]));
    assert_eq!(lookups.load(SeqCst), 2);
}

#[tokio::test(start_paused = true)]
async fn an_unused_result_expires() {
    let (resolver, lookups) = resolver(Duration::from_secs(5), 0);
    let abandoned = timeout(Duration::from_secs(3), resolve(&resolver)).await;
    assert!(abandoned.is_err());
    sleep(UNUSED_RESULT_LIFE * 2).await;
    assert_eq!(resolve(&resolver).await, Ok(vec![FOUND]));
    assert_eq!(lookups.load(SeqCst), 2);
}

#[tokio::test(start_paused = true)]
async fn an_abandoned_failure_is_not_reported_to_the_next_attempt() {
    let (resolver, lookups) = resolver(Duration::from_secs(5), 1);
    let abandoned = timeout(Duration::from_secs(3), resolve(&resolver)).await;
    assert!(abandoned.is_err());
    sleep(Duration::from_secs(20)).await;
    assert_eq!(resolve(&resolver).await, Ok(vec![FOUND]));
    assert_eq!(lookups.load(SeqCst), 2);
}

#[tokio::test(start_paused = true)]
async fn concurrent_lookups_are_coalesced() {
    let (resolver, lookups) = resolver(Duration::from_secs(1), 1);
    let failed = "the name lookup of `vendor.example` failed: no such host";
    let found = join_all((0..40).map(|_| resolve(&resolver))).await;
    assert!(found.iter().all(|found| *found == Err(failed.to_owned())));
    assert_eq!(lookups.load(SeqCst), 1);
    let found = join_all((0..40).map(|_| resolve(&resolver))).await;
    assert!(found.iter().all(|found| *found == Ok(vec![FOUND])));
    assert_eq!(lookups.load(SeqCst), 2);
}

#[tokio::test]
async fn the_system_resolver_finds_localhost_and_rejects_an_invalid_name() {
    let resolver = Resolver::system();
    let found = resolver.lookup("localhost").await.unwrap();
    assert!(
        found.iter().all(|found| found.ip().is_loopback()),
        "{found:?}"
    );
    let unknown = resolver.lookup("presence.invalid").await.unwrap_err();
    let expected = "the name lookup of `presence.invalid` failed: ";
    assert!(unknown.to_string().starts_with(expected), "{unknown}");
}

#[tokio::test(start_paused = true)]
async fn lookups_of_two_names_do_not_end_each_other() {
    // Of two regions, whose connections are opened at the same time.
    let (resolver, lookups) = resolver(Duration::from_secs(1), 0);
    let names = ["one.example", "two.example"];
    let found = join_all((0..40).map(|n| resolver.lookup(names[n % 2]))).await;
    assert!(
        found
            .iter()
            .all(|found| **found.as_ref().unwrap() == [FOUND])
    );
    assert_eq!(lookups.load(SeqCst), 2);
}
