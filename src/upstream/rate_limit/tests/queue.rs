//! The order of queued requests.

use super::*;

/// The denial of a request that the gateway's own limit delays.
fn too_late(delay: Duration) -> Denied {
    let refused = None;
    Denied::TooLate { delay, refused }
}

#[tokio::test(start_paused = true)]
async fn a_requeued_request_keeps_its_place() {
    let limiter = RateLimiter::new(300);
    let first = limiter.acquire(token("a"), after(1)).await.unwrap();
    first.commit();
    limiter.throttle_for(token("a"), Duration::from_secs(5));
    let second = limiter.reserve_one(token("a"), after(60)).await.unwrap();
    let first = limiter
        .requeue(token("a"), first.ticket(), after(60))
        .await
        .unwrap();
    let begun = Instant::now();
    let started = async |reservation: Reservation| {
        reservation
            .wait(|| after(60), |_, _| {})
            .await
            .unwrap()
            .commit();
        begun.elapsed()
    };
    let (second, first) = tokio::join!(started(second), started(first));
    assert!(first < second, "{first:?} and {second:?}");
}

#[tokio::test(start_paused = true)]
async fn a_dropped_wait_frees_its_place_for_the_next() {
    let limiter = RateLimiter::new(1);
    burst(&limiter, "a", 1, after(1)).await;
    // Ten requests wait and are dropped.
    let waiting = burst(&limiter, "a", 10, after(10_000));
    assert!(
        tokio::time::timeout(Duration::from_secs(5), waiting)
            .await
            .is_err()
    );
    let waited = burst(&limiter, "a", 1, after(10_000)).await;
    assert_eq!(waited, [Some(WINDOW - Duration::from_secs(5))]);
}

#[tokio::test(start_paused = true)]
async fn a_call_reserves_all_its_requests_or_none() {
    let limiter = RateLimiter::new(10);
    burst(&limiter, "a", 4, after(1)).await;
    let reserve = |name, count, seconds| {
        let reservations = limiter.reserve(token(name), count, after(seconds));
        let reservations = reservations.now_or_never().unwrap();
        reservations.map(|reservations| reservations.len())
    };
    assert_eq!(reserve("a", 6, 1), Ok(6));
    assert_eq!(reserve("a", 7, 1), Err(too_late(WINDOW)));
    assert_eq!(reserve("a", 16, 61), Ok(16));
    assert_eq!(reserve("a", 17, 61), Err(too_late(2 * WINDOW)));
    assert_eq!(reserve("new", 11, 1), Err(too_late(WINDOW)));
    // Dropped reservations free their places.
    assert_eq!(
        burst(&limiter, "a", 6, after(1)).await,
        [Some(Duration::ZERO); 6]
    );
}

#[tokio::test(start_paused = true)]
async fn no_other_request_takes_a_reserved_place() {
    let limiter = RateLimiter::new(3);
    let mut reserved = limiter.reserve(token("a"), 4, after(100)).await.unwrap();
    let one = reserved
        .pop_front()
        .unwrap()
        .wait(|| after(100), |_, _| {})
        .await;
    one.unwrap().commit();
    // Two reserved places are due; others cannot take them.
    assert_eq!(burst(&limiter, "a", 1, after(1)).await, [None]);
    let denied = limiter.acquire(token("a"), after(1)).await.unwrap_err();
    assert_eq!(denied, too_late(WINDOW));
    // The call ends and leaves the rest of its reservation unused.
    drop(reserved);
    let waited = burst(&limiter, "a", 2, after(1)).await;
    assert_eq!(waited, [Some(Duration::ZERO); 2]);
}

#[tokio::test(start_paused = true)]
async fn requests_behind_a_dropped_reservation_move_up() {
    let limiter = RateLimiter::new(2);
    burst(&limiter, "a", 1, after(1)).await;
    tokio::time::advance(Duration::from_secs(40)).await;
    burst(&limiter, "a", 1, after(1)).await;
    let dropped = tokio::time::timeout(Duration::from_secs(3), burst(&limiter, "a", 1, after(200)));
    let (gone, waited) = tokio::join!(dropped, burst(&limiter, "a", 1, after(200)));
    assert!(gone.is_err());
    assert_eq!(waited, [Some(WINDOW - Duration::from_secs(40))]);
}
