//! Which tokens the limiter keeps.

use super::*;
use crate::upstream::rate_limit::limits::MAX_TOKENS;
use crate::upstream::rate_limit::window::FIRST_SWEEP;

#[tokio::test(start_paused = true)]
async fn an_idle_token_is_forgotten_and_one_in_use_is_not() {
    let limiter = RateLimiter::new(1);
    let count = |limiter: &RateLimiter| limiter.windows.lock().tokens.len();
    for name in 0..FIRST_SWEEP {
        burst(&limiter, &name.to_string(), 1, after(1)).await;
    }
    tokio::time::advance(Duration::from_secs(50)).await;
    limiter.throttle_for(token("7"), Duration::from_secs(50));
    burst(&limiter, "late", 1, after(1)).await;
    tokio::time::advance(WINDOW - Duration::from_secs(50)).await;
    limiter.windows.lock().sweep_at = 0;
    burst(&limiter, "new", 1, after(1)).await;
    assert_eq!(
        count(&limiter),
        3,
        "7 is throttled, `late` and `new` are in use"
    );
    assert_eq!(burst(&limiter, "late", 1, after(1)).await, [None]);
}

/// A limiter that counts its maximum of tokens, each at its limit of one.
async fn full(is_valid: bool) -> RateLimiter {
    let limiter = RateLimiter::new(1);
    for name in 0..MAX_TOKENS {
        let token = token(&name.to_string());
        limiter.acquire(token, after(1)).await.unwrap().commit();
        limiter.mark_valid(token, is_valid);
    }
    limiter
}

#[tokio::test(start_paused = true)]
async fn a_token_that_cannot_be_counted_is_denied() {
    let limiter = full(true).await;
    let denied = limiter.acquire(token("one more"), after(1)).await;
    assert_eq!(denied.unwrap_err(), Denied::TooManyTokens);
}

#[tokio::test(start_paused = true)]
async fn invalid_tokens_are_evicted_before_valid_ones() {
    let limiter = full(false).await;
    limiter.mark_valid(token("5"), true);
    let _ = limiter.acquire(token("one more"), after(1)).await.unwrap();
    assert_eq!(limiter.windows.lock().tokens.len(), 2);
    let paced = limiter.acquire(token("5"), after(1)).await;
    assert!(matches!(paced, Err(Denied::TooLate { .. })), "{paced:?}");
}
