use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use futures_util::future::join_all;
use tokio::time::{sleep, timeout};

use super::*;
use crate::upstream::client::CONNECT_TIMEOUT;

const FOUND: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 0);

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

async fn resolve(resolver: &Resolver) -> Result<Vec<SocketAddr>, String> {
    let found = resolver.lookup("vendor.example").await;
    found
        .map(|found| found.to_vec())
        .map_err(|error| error.to_string())
}

#[tokio::test(start_paused = true)]
async fn a_silent_first_name_server_is_waited_for() {
    let (resolver, _) = resolver(Duration::from_secs(5), 0);
    let found = timeout(CONNECT_TIMEOUT, resolve(&resolver)).await;
    assert_eq!(found, Ok(Ok(vec![FOUND])));
}

#[tokio::test(start_paused = true)]
async fn a_lookup_that_outlives_its_attempt_serves_the_next() {
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

#[tokio::test]
async fn the_system_knows_the_local_host_and_no_invalid_one() {
    let resolver = Resolver::system();
    let found = resolver.lookup("localhost").await.unwrap();
    assert!(
        found.iter().all(|found| found.ip().is_loopback()),
        "{found:?}"
    );
    let unknown = resolver.lookup("presence.invalid").await.unwrap_err();
    let why = "the name lookup of `presence.invalid` failed: ";
    assert!(unknown.to_string().starts_with(why), "{unknown}");
}
