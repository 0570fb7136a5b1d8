mod properties;
mod queue;
mod throttling;
mod tokens;
mod turns;

use futures_util::FutureExt;
use futures_util::future::join_all;
use http::HeaderValue;

use super::limits::WINDOW;
use super::*;

pub(super) fn token(name: &str) -> TokenKey {
    TokenKey::new(&HeaderValue::from_str(&format!("Bearer {name}")).unwrap())
}

fn after(seconds: u64) -> Instant {
    Instant::now() + Duration::from_secs(seconds)
}

/// Whether a wait is `Retry-After` plus jitter.
fn is_about(wait: Duration, seconds: u64) -> bool {
    (seconds * 1000..=seconds * 1000 + 500).contains(&u64::try_from(wait.as_millis()).unwrap())
}

/// Sends `count` requests at once. Returns how long each waited, or `None` if it was denied.
async fn burst(
    limiter: &RateLimiter,
    name: &str,
    count: usize,
    end: Instant,
) -> Vec<Option<Duration>> {
    let begun = Instant::now();
    let requests = (0..count).map(|_| async {
        let admitted = limiter.acquire(token(name), end).await;
        admitted.ok().map(|permit| {
            permit.commit();
            begun.elapsed()
        })
    });
    join_all(requests).await
}

#[tokio::test(start_paused = true)]
async fn a_burst_starts_at_once_up_to_the_limit_and_then_waits_for_the_window() {
    let limiter = RateLimiter::new(300);
    let waited = burst(&limiter, "a", 301, after(100)).await;
    let at_once = waited
        .iter()
        .filter(|waited| **waited == Some(Duration::ZERO));
    assert_eq!(at_once.count(), 300);
    assert!(waited[300].unwrap() >= Duration::from_mins(1));
}

#[tokio::test(start_paused = true)]
async fn a_request_within_the_limit_gets_its_permit_at_the_first_poll() {
    let limiter = RateLimiter::new(1);
    // Between two ticks of tokio's timer: a request that waits for a tick is
    // rejected when the gateway drains.
    tokio::time::advance(Duration::from_micros(1)).await;
    let admitted = limiter.acquire(token("a"), after(1)).now_or_never();
    assert!(matches!(admitted, Some(Ok(_))), "{admitted:?}");
}

#[tokio::test(start_paused = true)]
async fn a_request_that_cannot_start_before_its_deadline_is_denied_at_once_with_the_true_delay() {
    let limiter = RateLimiter::new(2);
    burst(&limiter, "a", 2, after(1)).await;
    tokio::time::advance(Duration::from_secs(20)).await;
    let begun = Instant::now();
    let denied = limiter.acquire(token("a"), after(30)).await.unwrap_err();
    assert_eq!(begun.elapsed(), Duration::ZERO);
    let Denied::TooLate { delay, .. } = denied else {
        panic!("{denied:?}")
    };
    assert_eq!(delay, WINDOW - Duration::from_secs(20));
    // The denied request holds no place: one is free after the delay.
    tokio::time::advance(delay).await;
    assert_eq!(
        burst(&limiter, "a", 2, after(1)).await,
        [Some(Duration::ZERO); 2]
    );
}

#[tokio::test(start_paused = true)]
async fn one_token_does_not_slow_another() {
    let limiter = RateLimiter::new(3);
    burst(&limiter, "greedy", 3, after(1)).await;
    limiter.throttle_for(token("greedy"), Duration::from_secs(500));
    assert_eq!(
        burst(&limiter, "modest", 3, after(1)).await,
        [Some(Duration::ZERO); 3]
    );
    assert_eq!(burst(&limiter, "greedy", 1, after(400)).await, [None]);
}

#[tokio::test(start_paused = true)]
async fn a_permit_that_is_never_committed_costs_nothing() {
    let limiter = RateLimiter::new(2);
    let permits = [
        limiter.acquire(token("a"), after(1)).await.unwrap(),
        limiter.acquire(token("a"), after(1)).await.unwrap(),
    ];
    let dropped = async {
        tokio::time::sleep(Duration::from_secs(3)).await;
        drop(permits);
    };
    let (waited, ()) = tokio::join!(burst(&limiter, "a", 2, after(100)), dropped);
    assert_eq!(waited, [Some(Duration::from_secs(3)); 2]);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_waited_for_a_connection_counts_from_its_commit() {
    let limiter = RateLimiter::new(2);
    let late = limiter.acquire(token("a"), after(1)).await.unwrap();
    burst(&limiter, "a", 1, after(1)).await;
    let commit = async {
        tokio::time::sleep(Duration::from_secs(3)).await;
        late.commit();
    };
    // Both wait for the end of the window. The late commit leaves room for one.
    let (waited, ()) = tokio::join!(burst(&limiter, "a", 2, after(100)), commit);
    let late = WINDOW + Duration::from_secs(3);
    assert_eq!(waited, [Some(WINDOW), Some(late)]);
}

#[tokio::test(start_paused = true)]
async fn a_limit_of_zero_limits_nothing() {
    let limiter = RateLimiter::new(0);
    limiter.throttle_for(token("a"), Duration::from_secs(10));
    let waited = burst(&limiter, "a", 5000, after(1)).await;
    assert!(waited.iter().all(|waited| *waited == Some(Duration::ZERO)));
}
