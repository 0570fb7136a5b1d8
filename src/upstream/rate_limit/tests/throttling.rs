//! Throttling of a token after a 429.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_throttled_token_starts_nothing_before_the_throttle_ends() {
    let limiter = RateLimiter::new(10);
    burst(&limiter, "a", 1, after(1)).await;
    limiter.throttle_for(token("a"), Duration::from_secs(7));
    assert_eq!(burst(&limiter, "a", 1, after(6)).await, [None]);
    let waited = burst(&limiter, "a", 1, after(60)).await;
    assert!(is_about(waited[0].unwrap(), 7), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn requests_start_one_by_one_after_a_throttle() {
    let limiter = RateLimiter::new(300);
    burst(&limiter, "a", 1, after(1)).await;
    limiter.throttle_for(token("a"), Duration::from_secs(7));
    let waited = burst(&limiter, "a", 20, after(60)).await;
    let waited: Vec<_> = waited.into_iter().flatten().collect();
    assert_eq!(waited.len(), 20);
    assert!(waited.is_sorted(), "{waited:?}");
    for run in waited.windows(7) {
        // The rate is 300 a minute while the vendor's limit is unknown.
        let second = run[6] - run[0];
        assert!(second >= Duration::from_secs(1), "{waited:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_throttle_expires_after_a_minute_without_requests() {
    let limiter = RateLimiter::new(300);
    burst(&limiter, "a", 10, after(1)).await;
    limiter.throttle_for(token("a"), Duration::from_secs(7));
    tokio::time::advance(Duration::from_secs(7) + WINDOW).await;
    let waited = burst(&limiter, "a", 300, after(1)).await;
    assert_eq!(waited, [Some(Duration::ZERO); 300]);
}

/// Sends requests one by one, all of which the vendor accepts. Returns how long
/// they waited.
async fn send_accepted(limiter: &RateLimiter, count: usize) -> Duration {
    let begun = Instant::now();
    for _ in 0..count {
        let permit = limiter.acquire(token("a"), after(3600)).await.unwrap();
        permit.commit();
        limiter.record_success(token("a"), permit.ticket());
    }
    begun.elapsed()
}

#[tokio::test(start_paused = true)]
async fn the_rate_recovers_step_by_step_when_the_vendors_limit_is_lifted() {
    let limiter = RateLimiter::new(300);
    // The vendor accepts ten a minute for some minutes.
    for _ in 0..6 {
        send_accepted(&limiter, 10).await;
        limiter.throttle_for(token("a"), Duration::from_secs(50));
    }
    let first = send_accepted(&limiter, 10).await;
    assert!(first > Duration::from_secs(30), "{first:?}");
    let rest = send_accepted(&limiter, 300).await;
    assert!(rest < Duration::from_mins(15), "{rest:?}");
    let last = send_accepted(&limiter, 10).await;
    assert!(last < Duration::from_secs(10), "{last:?}");
}

#[tokio::test(start_paused = true)]
async fn refusals_in_a_row_back_off_until_a_request_is_accepted() {
    let limiter = RateLimiter::new(300);
    let refused = async || {
        let permit = limiter.acquire(token("a"), after(3600)).await.unwrap();
        permit.commit();
        limiter.throttle(token("a"), permit.ticket(), None, 0)
    };
    for seconds in [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0] {
        let wait = refused().await.as_secs_f64();
        assert!(
            (seconds * 0.75..=seconds * 1.25).contains(&wait),
            "{wait} s for {seconds} s"
        );
    }
    send_accepted(&limiter, 1).await;
    assert_eq!(refused().await, Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn a_throttle_delays_queued_requests() {
    let limiter = RateLimiter::new(1);
    burst(&limiter, "a", 1, after(1)).await;
    let throttle = async {
        tokio::time::sleep(Duration::from_secs(50)).await;
        limiter.throttle_for(token("a"), Duration::from_secs(50));
    };
    let (waited, ()) = tokio::join!(burst(&limiter, "a", 1, after(200)), throttle);
    assert!(is_about(waited[0].unwrap(), 100), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn a_throttle_past_the_deadline_denies_queued_requests_at_once() {
    let limiter = RateLimiter::new(1);
    burst(&limiter, "a", 1, after(1)).await;
    let throttle = async {
        tokio::time::sleep(Duration::from_secs(10)).await;
        limiter.throttle_for(token("a"), Duration::from_secs(300));
        Instant::now()
    };
    let wait = async {
        let denied = limiter.acquire(token("a"), after(100)).await.unwrap_err();
        (denied, Instant::now())
    };
    let ((denied, denied_at), throttled_at) = tokio::join!(wait, throttle);
    let Denied::TooLate { delay, .. } = denied else {
        panic!("{denied:?}")
    };
    assert!(is_about(delay, 300), "{delay:?}");
    assert_eq!(denied_at, throttled_at);
}

#[tokio::test(start_paused = true)]
async fn a_denial_names_the_refusal_only_if_that_is_why_the_request_waits() {
    let limiter = RateLimiter::new(2);
    let token = token("a");
    let denied = |seconds| {
        let deadline = Instant::now() + Duration::from_secs(seconds);
        limiter
            .reserve_one(token, deadline)
            .now_or_never()
            .unwrap()
            .unwrap_err()
    };
    limiter.acquire(token, after(1)).await.unwrap().commit();
    limiter.throttle_for(token, Duration::from_secs(20));
    tokio::time::sleep(Duration::from_secs(3)).await;
    let Denied::TooLate { delay, refused } = denied(1) else {
        panic!("it should be throttled");
    };
    assert!((17..=18).contains(&delay.as_secs()), "{delay:?}");
    assert_eq!(refused, Some(Duration::from_secs(3)));
    // The gateway's own limit delays the next one for longer.
    tokio::time::sleep(Duration::from_secs(20)).await;
    limiter.acquire(token, after(1)).await.unwrap().commit();
    let own = denied(1);
    assert!(
        matches!(own, Denied::TooLate { refused: None, .. }),
        "{own:?}"
    );
}
