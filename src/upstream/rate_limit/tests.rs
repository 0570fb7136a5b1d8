use futures_util::FutureExt;
use futures_util::future::join_all;
use http::HeaderValue;
use proptest::prelude::*;

use super::window::{FIRST_SWEEP, MAX_TOKENS, WINDOW};
use super::*;

pub(super) fn token(name: &str) -> TokenKey {
    TokenKey::new(&HeaderValue::from_str(&format!("Bearer {name}")).unwrap())
}

fn after(seconds: u64) -> Instant {
    Instant::now() + Duration::from_secs(seconds)
}

/// Whether a wait is as long as the vendor asked for, and jitter.
fn is_about(wait: Duration, seconds: u64) -> bool {
    (seconds * 1000..=seconds * 1000 + 500).contains(&u64::try_from(wait.as_millis()).unwrap())
}

/// Starts that many requests at once; gives how long each waited, or that it was denied.
async fn burst(
    quota: &RateLimiter,
    name: &str,
    count: usize,
    end: Instant,
) -> Vec<Option<Duration>> {
    let begun = Instant::now();
    let starts = (0..count).map(|_| async {
        let admitted = quota.admit(token(name), end).await;
        admitted.ok().map(|start| {
            start.leaves();
            begun.elapsed()
        })
    });
    join_all(starts).await
}

#[tokio::test(start_paused = true)]
async fn a_burst_passes_and_what_is_more_waits_for_the_minute_to_pass() {
    let quota = RateLimiter::new(300);
    let waited = burst(&quota, "a", 301, after(100)).await;
    let at_once = waited
        .iter()
        .filter(|waited| **waited == Some(Duration::ZERO));
    assert_eq!(at_once.count(), 300);
    assert!(waited[300].unwrap() >= Duration::from_mins(1));
}

#[tokio::test(start_paused = true)]
async fn a_request_whose_turn_has_come_waits_for_nothing() {
    let quota = RateLimiter::new(1);
    // Between two ticks of the timer, which would be waited for: at a drain,
    // whoever waits is sent away.
    tokio::time::advance(Duration::from_micros(1)).await;
    let admitted = quota.admit(token("a"), after(1)).now_or_never();
    assert!(matches!(admitted, Some(Ok(_))), "{admitted:?}");
}

#[tokio::test(start_paused = true)]
async fn a_request_whose_turn_comes_too_late_is_denied_at_once_with_the_true_delay() {
    let quota = RateLimiter::new(2);
    burst(&quota, "a", 2, after(1)).await;
    tokio::time::advance(Duration::from_secs(20)).await;
    let begun = Instant::now();
    let denied = quota.admit(token("a"), after(30)).await.unwrap_err();
    assert_eq!(begun.elapsed(), Duration::ZERO);
    let Denied::TooLate(delay) = denied else {
        panic!("{denied:?}")
    };
    assert_eq!(delay, WINDOW - Duration::from_secs(20));
    // It took no turn: after the delay there is one.
    tokio::time::advance(delay).await;
    assert_eq!(
        burst(&quota, "a", 2, after(1)).await,
        [Some(Duration::ZERO); 2]
    );
}

#[tokio::test(start_paused = true)]
async fn one_token_does_not_slow_another() {
    let quota = RateLimiter::new(3);
    burst(&quota, "greedy", 3, after(1)).await;
    quota.park(token("greedy"), Duration::from_secs(500));
    assert_eq!(
        burst(&quota, "modest", 3, after(1)).await,
        [Some(Duration::ZERO); 3]
    );
    assert_eq!(burst(&quota, "greedy", 1, after(400)).await, [None]);
}

#[tokio::test(start_paused = true)]
async fn a_parked_token_starts_nothing_until_the_vendor_takes_it_again() {
    let quota = RateLimiter::new(10);
    burst(&quota, "a", 1, after(1)).await;
    quota.park(token("a"), Duration::from_secs(7));
    assert_eq!(burst(&quota, "a", 1, after(6)).await, [None]);
    let waited = burst(&quota, "a", 1, after(60)).await;
    assert!(is_about(waited[0].unwrap(), 7), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn after_a_park_requests_start_one_after_the_other() {
    let quota = RateLimiter::new(300);
    burst(&quota, "a", 1, after(1)).await;
    quota.park(token("a"), Duration::from_secs(7));
    let waited = burst(&quota, "a", 20, after(60)).await;
    let waited: Vec<_> = waited.into_iter().flatten().collect();
    assert_eq!(waited.len(), 20);
    assert!(waited.is_sorted(), "{waited:?}");
    for run in waited.windows(7) {
        // At 300 a minute, as long as nothing is known.
        let second = run[6] - run[0];
        assert!(second >= Duration::from_secs(1), "{waited:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_learnt_is_forgotten_after_a_minute_without_requests() {
    let quota = RateLimiter::new(300);
    burst(&quota, "a", 10, after(1)).await;
    quota.park(token("a"), Duration::from_secs(7));
    tokio::time::advance(Duration::from_secs(7) + WINDOW).await;
    let waited = burst(&quota, "a", 300, after(1)).await;
    assert_eq!(waited, [Some(Duration::ZERO); 300]);
}

/// Makes requests one after the other that are all taken, and gives how long
/// they waited.
async fn all_taken(quota: &RateLimiter, count: usize) -> Duration {
    let begun = Instant::now();
    for _ in 0..count {
        let start = quota.admit(token("a"), after(3600)).await.unwrap();
        start.leaves();
        quota.accept(token("a"), start.turn());
    }
    begun.elapsed()
}

#[tokio::test(start_paused = true)]
async fn a_limit_that_is_lifted_is_forgotten_step_by_step() {
    let quota = RateLimiter::new(300);
    // Ten a minute, for some minutes.
    for _ in 0..6 {
        all_taken(&quota, 10).await;
        quota.park(token("a"), Duration::from_secs(50));
    }
    let first = all_taken(&quota, 10).await;
    assert!(first > Duration::from_secs(30), "{first:?}");
    let rest = all_taken(&quota, 300).await;
    assert!(rest < Duration::from_mins(15), "{rest:?}");
    let last = all_taken(&quota, 10).await;
    assert!(last < Duration::from_secs(10), "{last:?}");
}

#[tokio::test(start_paused = true)]
async fn refusals_in_a_row_back_off_and_one_request_that_is_taken_ends_that() {
    let quota = RateLimiter::new(300);
    let refused = async || {
        let start = quota.admit(token("a"), after(3600)).await.unwrap();
        start.leaves();
        quota.refuse(token("a"), start.turn(), None, 0)
    };
    for seconds in [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0] {
        let wait = refused().await.as_secs_f64();
        assert!(
            (seconds * 0.75..=seconds * 1.25).contains(&wait),
            "{wait} s for {seconds} s"
        );
    }
    all_taken(&quota, 1).await;
    assert_eq!(refused().await, Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn a_request_that_was_refused_keeps_its_place() {
    let quota = RateLimiter::new(300);
    let first = quota.admit(token("a"), after(1)).await.unwrap();
    first.leaves();
    quota.park(token("a"), Duration::from_secs(5));
    let second = quota.line_up_one(token("a"), after(60)).unwrap();
    let first = quota
        .line_up_again(token("a"), first.turn(), after(60))
        .unwrap();
    let begun = Instant::now();
    let started = async |ticket: Reservation| {
        ticket.turn(|| after(60), |_| {}).await.unwrap().leaves();
        begun.elapsed()
    };
    let (second, first) = tokio::join!(started(second), started(first));
    assert!(first < second, "{first:?} and {second:?}");
}

#[tokio::test(start_paused = true)]
async fn a_token_that_is_parked_while_its_requests_wait_keeps_them_waiting() {
    let quota = RateLimiter::new(1);
    burst(&quota, "a", 1, after(1)).await;
    let park = async {
        tokio::time::sleep(Duration::from_secs(50)).await;
        quota.park(token("a"), Duration::from_secs(50));
    };
    let (waited, ()) = tokio::join!(burst(&quota, "a", 1, after(200)), park);
    assert!(is_about(waited[0].unwrap(), 100), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_given_up_gives_its_turn_to_the_next() {
    let quota = RateLimiter::new(1);
    burst(&quota, "a", 1, after(1)).await;
    // Ten wait, and go away.
    let waiting = burst(&quota, "a", 10, after(10_000));
    assert!(
        tokio::time::timeout(Duration::from_secs(5), waiting)
            .await
            .is_err()
    );
    let waited = burst(&quota, "a", 1, after(10_000)).await;
    assert_eq!(waited, [Some(WINDOW - Duration::from_secs(5))]);
}

#[tokio::test(start_paused = true)]
async fn a_call_of_many_requests_lines_up_as_a_whole() {
    let quota = RateLimiter::new(10);
    burst(&quota, "a", 4, after(1)).await;
    let line_up = |name, count, seconds| {
        let tickets = quota.line_up(token(name), count, after(seconds));
        tickets.map(|tickets| tickets.len())
    };
    assert_eq!(line_up("a", 6, 1), Ok(6));
    assert_eq!(line_up("a", 7, 1), Err(Denied::TooLate(WINDOW)));
    assert_eq!(line_up("a", 16, 61), Ok(16));
    assert_eq!(line_up("a", 17, 61), Err(Denied::TooLate(2 * WINDOW)));
    assert_eq!(line_up("new", 11, 1), Err(Denied::TooLate(WINDOW)));
    // What is not used is given back.
    assert_eq!(
        burst(&quota, "a", 6, after(1)).await,
        [Some(Duration::ZERO); 6]
    );
}

#[tokio::test(start_paused = true)]
async fn what_was_reserved_is_not_taken_by_another() {
    let quota = RateLimiter::new(3);
    let mut reserved = quota.line_up(token("a"), 4, after(100)).unwrap();
    let one = reserved
        .pop_front()
        .unwrap()
        .turn(|| after(100), |_| {})
        .await;
    one.unwrap().leaves();
    // Two of the rest could start now, so that nothing is left for others.
    assert_eq!(burst(&quota, "a", 1, after(1)).await, [None]);
    let denied = quota.admit(token("a"), after(1)).await.unwrap_err();
    assert_eq!(denied, Denied::TooLate(WINDOW));
    // The call ends without them.
    drop(reserved);
    let waited = burst(&quota, "a", 2, after(1)).await;
    assert_eq!(waited, [Some(Duration::ZERO); 2]);
}

#[tokio::test(start_paused = true)]
async fn who_waits_behind_one_that_goes_away_moves_up() {
    let quota = RateLimiter::new(2);
    burst(&quota, "a", 1, after(1)).await;
    tokio::time::advance(Duration::from_secs(40)).await;
    burst(&quota, "a", 1, after(1)).await;
    let gives_up = tokio::time::timeout(Duration::from_secs(3), burst(&quota, "a", 1, after(200)));
    let (gone, waited) = tokio::join!(gives_up, burst(&quota, "a", 1, after(200)));
    assert!(gone.is_err());
    assert_eq!(waited, [Some(WINDOW - Duration::from_secs(40))]);
}

#[tokio::test(start_paused = true)]
async fn a_token_that_is_parked_beyond_a_deadline_is_denied_at_once_also_in_the_queue() {
    let quota = RateLimiter::new(1);
    burst(&quota, "a", 1, after(1)).await;
    let park = async {
        tokio::time::sleep(Duration::from_secs(10)).await;
        quota.park(token("a"), Duration::from_secs(300));
        Instant::now()
    };
    let wait = async {
        let denied = quota.admit(token("a"), after(100)).await.unwrap_err();
        (denied, Instant::now())
    };
    let ((denied, told), parked) = tokio::join!(wait, park);
    let Denied::TooLate(delay) = denied else {
        panic!("{denied:?}")
    };
    assert!(is_about(delay, 300), "{delay:?}");
    assert_eq!(told, parked);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_never_left_has_cost_nothing() {
    let quota = RateLimiter::new(2);
    let starts = [
        quota.admit(token("a"), after(1)).await.unwrap(),
        quota.admit(token("a"), after(1)).await.unwrap(),
    ];
    let given_back = async {
        tokio::time::sleep(Duration::from_secs(3)).await;
        drop(starts);
    };
    let (waited, ()) = tokio::join!(burst(&quota, "a", 2, after(100)), given_back);
    assert_eq!(waited, [Some(Duration::from_secs(3)); 2]);
}

#[tokio::test(start_paused = true)]
async fn a_token_that_is_idle_is_forgotten_and_one_in_use_is_not() {
    let quota = RateLimiter::new(1);
    let count = |quota: &RateLimiter| quota.lock().paces.len();
    for name in 0..FIRST_SWEEP {
        burst(&quota, &name.to_string(), 1, after(1)).await;
    }
    tokio::time::advance(Duration::from_secs(50)).await;
    quota.park(token("7"), Duration::from_secs(50));
    burst(&quota, "late", 1, after(1)).await;
    tokio::time::advance(WINDOW - Duration::from_secs(50)).await;
    quota.lock().sweep_at = 0;
    burst(&quota, "new", 1, after(1)).await;
    assert_eq!(count(&quota), 3, "7 is parked, `late` and `new` are in use");
    assert_eq!(burst(&quota, "late", 1, after(1)).await, [None]);
}

/// As many tokens as can be counted, each with one request of one.
async fn full(is_vouched: bool) -> RateLimiter {
    let quota = RateLimiter::new(1);
    for name in 0..MAX_TOKENS {
        let token = token(&name.to_string());
        quota.admit(token, after(1)).await.unwrap().leaves();
        quota.vouch(token, is_vouched);
    }
    quota
}

#[tokio::test(start_paused = true)]
async fn more_tokens_than_can_be_counted_are_denied_and_not_let_through_uncounted() {
    let quota = full(true).await;
    let denied = quota.admit(token("one more"), after(1)).await;
    assert_eq!(denied.unwrap_err(), Denied::TooManyTokens);
}

#[tokio::test(start_paused = true)]
async fn made_up_tokens_make_place_for_others_and_the_vendors_own_stay() {
    let quota = full(false).await;
    quota.vouch(token("5"), true);
    let _ = quota.admit(token("one more"), after(1)).await.unwrap();
    assert_eq!(quota.lock().paces.len(), 2);
    let paced = quota.admit(token("5"), after(1)).await;
    assert!(matches!(paced, Err(Denied::TooLate(_))), "{paced:?}");
}

#[tokio::test(start_paused = true)]
async fn no_limit_lets_everything_pass() {
    let quota = RateLimiter::new(0);
    quota.park(token("a"), Duration::from_secs(10));
    let waited = burst(&quota, "a", 5000, after(1)).await;
    assert!(waited.iter().all(|waited| *waited == Some(Duration::ZERO)));
}

#[tokio::test(start_paused = true)]
async fn a_request_that_waited_for_a_connection_counts_from_when_it_left() {
    let quota = RateLimiter::new(2);
    let late = quota.admit(token("a"), after(1)).await.unwrap();
    burst(&quota, "a", 1, after(1)).await;
    let leaves = async {
        tokio::time::sleep(Duration::from_secs(3)).await;
        late.leaves();
    };
    // Two have their turn already when it leaves: there is room for one of them.
    let (waited, ()) = tokio::join!(burst(&quota, "a", 2, after(100)), leaves);
    let late = WINDOW + Duration::from_secs(3);
    assert_eq!(waited, [Some(WINDOW), Some(late)]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Whatever is asked for, given up and parked, and whenever; and however
    /// long it waits for a connection.
    #[test]
    fn there_are_never_more_starts_than_the_limit_in_any_minute(
        limit in 1_usize..8,
        asked in prop::collection::vec((0_u64..30_000, 1_usize..12, 0_u64..200, 0_u64..200, 0_u64..3000), 1..20),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        let starts = runtime.block_on(async {
            let quota = RateLimiter::new(limit);
            let starts = Mutex::new(Vec::new());
            let (quota, noted) = (&quota, &starts);
            let mut at = Duration::ZERO;
            let bursts = asked.iter().map(|&(pause, count, patience, stay, connecting)| {
                at += Duration::from_millis(pause);
                async move {
                    tokio::time::sleep(at).await;
                    if pause % 7 == 0 {
                        quota.park(token("a"), Duration::from_secs(stay));
                    }
                    let end = after(patience);
                    let one = || async {
                        if let Ok(start) = quota.admit(token("a"), end).await {
                            // Some connect at once, and some not at all.
                            match connecting % 4 {
                                0 => {}
                                1 => return,
                                _ => tokio::time::sleep(Duration::from_millis(connecting)).await,
                            }
                            start.leaves();
                            noted.lock().push(Instant::now());
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
