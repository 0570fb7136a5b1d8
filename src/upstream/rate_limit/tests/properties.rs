//! The rate limit holds under random load.

use proptest::prelude::*;

use super::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Requests, drops and throttles come at random times, and connections take
    /// random times.
    #[test]
    fn no_minute_has_more_requests_than_the_limit(
        limit in 1_usize..8,
        requests in prop::collection::vec((0_u64..30_000, 1_usize..12, 0_u64..200, 0_u64..200, 0_u64..3000), 1..20),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        let starts = runtime.block_on(async {
            let limiter = RateLimiter::new(limit);
            let starts = Mutex::new(Vec::new());
            let (limiter, sent) = (&limiter, &starts);
            let mut at = Duration::ZERO;
            let bursts = requests.iter().map(|&(pause, count, patience, stay, connecting)| {
                at += Duration::from_millis(pause);
                async move {
                    tokio::time::sleep(at).await;
                    if pause % 7 == 0 {
                        limiter.throttle_for(token("a"), Duration::from_secs(stay));
                    }
                    let end = after(patience);
                    let one = || async {
                        if let Ok(permit) = limiter.acquire(token("a"), end).await {
                            // Some connect at once, and some never.
                            match connecting % 4 {
                                0 => {}
                                1 => return,
                                _ => tokio::time::sleep(Duration::from_millis(connecting)).await,
                            }
                            permit.commit();
                            sent.lock().push(Instant::now());
                        }
                    };
                    let all = join_all((0..count).map(|_| one()));
                    let _ = tokio::time::timeout(Duration::from_secs(stay), all).await;
                }
            });
            let bursts: Vec<_> = bursts.collect();
            join_all(bursts).await;
            let mut starts = starts.into_inner();
            starts.sort_unstable();
            starts
        });
        for run in starts.windows(limit + 1) {
            let minute = run[limit] - run[0];
            prop_assert!(minute >= Duration::from_mins(1), "{} starts in {minute:?}", limit + 1);
        }
    }
}
