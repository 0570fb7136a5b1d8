//! Simulates vendors with a lower limit than ours, counted in any way, on a
//! paused clock.

use futures_util::FutureExt;
use futures_util::future::join_all;
use proptest::prelude::*;

use super::tests::token;
use super::*;

/// The window in which a vendor counts requests.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Window {
    /// Starts with the first request.
    Fixed,
    /// Starts at fixed times of the clock.
    Aligned,
    /// Ends at each request.
    Sliding,
    /// A token bucket.
    Bucket,
}

const WINDOWS: [Window; 4] = [
    Window::Fixed,
    Window::Aligned,
    Window::Sliding,
    Window::Bucket,
];

/// The number of requests that a vendor accepts in a period.
#[derive(Debug, Clone, Copy)]
struct Limit {
    window: Window,
    requests: usize,
    period: Duration,
}

struct Vendor {
    limit: Limit,
    begun: Instant,
    accepted: Mutex<Vec<Instant>>,
    refused: Mutex<Vec<Instant>>,
}

impl Vendor {
    fn new(limit: Limit) -> Self {
        Self {
            limit,
            begun: Instant::now(),
            accepted: Mutex::default(),
            refused: Mutex::default(),
        }
    }

    /// Accepts a request, or returns its `Retry-After` in seconds.
    fn request(&self) -> Result<(), u64> {
        let now = Instant::now();
        let Limit {
            window,
            requests,
            period,
        } = self.limit;
        let mut accepted = self.accepted.lock();
        let reopens = match window {
            Window::Fixed => {
                let mut opened = None;
                let mut count = 0;
                for &at in &*accepted {
                    if opened.is_none_or(|opened| at >= opened + period) {
                        (opened, count) = (Some(at), 0);
                    }
                    count += 1;
                }
                let reopens = opened.unwrap_or(now) + period;
                (reopens > now && count >= requests).then_some(reopens)
            }
            Window::Aligned => {
                // A third of the window was over when the first request came.
                let passed = now - self.begun + period / 3;
                let windows = passed.as_nanos() / period.as_nanos();
                let reopens =
                    self.begun + period * (u32::try_from(windows).unwrap() + 1) - period / 3;
                let count = accepted
                    .iter()
                    .filter(|&&at| at + period >= reopens)
                    .count();
                (count >= requests).then_some(reopens)
            }
            Window::Sliding => {
                let oldest = accepted.len().checked_sub(requests);
                let oldest = oldest.map(|oldest| accepted[oldest] + period);
                oldest.filter(|&reopens| reopens > now)
            }
            Window::Bucket => {
                let each = period / u32::try_from(requests).unwrap();
                // When the bucket is full again.
                let full = accepted
                    .iter()
                    .fold(self.begun, |full, &at| full.max(at) + each);
                let reopens = (full + each).checked_sub(period).unwrap_or(now);
                (reopens > now).then_some(reopens)
            }
        };
        let Some(reopens) = reopens else {
            accepted.push(now);
            return Ok(());
        };
        self.refused.lock().push(now);
        let delay = reopens - now;
        Err(delay.as_secs().max(1) + u64::from(delay.as_secs() > 0 && delay.subsec_nanos() > 0))
    }
}

/// The outcome of concurrent requests.
#[derive(Debug)]
struct Outcome {
    /// When each was answered, in the order of their reservations.
    answered: Vec<Duration>,
    refused: Vec<Duration>,
    starts: Vec<Instant>,
}

async fn run(limit: Limit, ours: usize, requests: usize, latency: Duration) -> Outcome {
    let begun = Instant::now();
    let (limiter, vendor) = (RateLimiter::new(ours), Vendor::new(limit));
    let starts = Mutex::new(Vec::new());
    let end = begun + Duration::from_hours(100);
    let one = |number: usize| {
        let (limiter, vendor, starts) = (&limiter, &vendor, &starts);
        // Reserves in order, as calls arrive.
        let reservation = limiter.reserve_one(token("a"), end).now_or_never();
        let reservation = reservation.unwrap().unwrap();
        async move {
            let mut reservation = reservation;
            let mut refusals = 0;
            loop {
                let permit = reservation.wait(|| end, |_, _| {}).await.unwrap();
                let ticket = permit.ticket();
                permit.commit();
                starts.lock().push(Instant::now());
                let way = latency.mul_f64(0.5 + 0.01 * (number % 10) as f64);
                tokio::time::sleep(way).await;
                let answer = vendor.request();
                tokio::time::sleep(way).await;
                match answer {
                    Ok(()) => break limiter.record_success(token("a"), ticket),
                    Err(seconds) => {
                        let retry_after = Some(Duration::from_secs(seconds));
                        let _ = limiter.throttle(token("a"), ticket, retry_after, refusals);
                        refusals += 1;
                    }
                }
                reservation = limiter.requeue(token("a"), ticket, end).await.unwrap();
            }
            begun.elapsed()
        }
    };
    let answered = join_all((0..requests).map(one)).await;
    let refused = vendor.refused.into_inner();
    Outcome {
        answered,
        refused: refused.iter().map(|&at| at - begun).collect(),
        starts: starts.into_inner(),
    }
}

/// Runs `requests` concurrent requests, and checks the invariants that hold for
/// every vendor.
fn simulate(limit: Limit, ours: usize, requests: usize, latency: Duration) -> Outcome {
    let outcome = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap()
        .block_on(run(limit, ours, requests, latency));
    for run in outcome.starts.windows(ours + 1) {
        let minute = run[ours] - run[0];
        assert!(
            minute >= Duration::from_mins(1),
            "{} starts in {minute:?}",
            ours + 1
        );
    }
    // Leaves out the first burst, which the vendor accepts in the order of arrival.
    let late = outcome
        .answered
        .iter()
        .filter(|&&at| at > latency.mul_f64(1.2) + TIMERS);
    let late: Vec<_> = late.collect();
    for (before, run) in late.windows(MAX_OVERTAKING).enumerate() {
        let (first, last) = (run[0], run[MAX_OVERTAKING - 1]);
        assert!(
            first <= last,
            "request {before} was answered after {first:?}, a later one after {last:?}"
        );
    }
    outcome
}

/// The excess of a round trip over the latency: each of its two timers fires up
/// to a millisecond late.
const TIMERS: Duration = Duration::from_millis(2);

/// How many later requests may be answered before one that was refused while
/// they were in flight.
const MAX_OVERTAKING: usize = 24;

impl Outcome {
    fn took(&self) -> Duration {
        self.answered.iter().max().copied().unwrap()
    }

    /// How many were refused after the first burst, all of which is in flight
    /// before the first refusal returns.
    fn refused_later(&self, latency: Duration) -> usize {
        let later = self.refused.iter().filter(|&&at| at > latency + TIMERS);
        later.count()
    }
}

#[test]
fn forty_requests_above_a_limit_of_five_are_all_served_with_few_refusals() {
    for window in WINDOWS {
        let limit = Limit {
            window,
            requests: 5,
            period: Duration::from_secs(2),
        };
        let latency = Duration::from_millis(30);
        let outcome = simulate(limit, 300, 40, latency);
        let (took, refused) = (outcome.took(), outcome.refused_later(latency));
        // The optimum is 14 s.
        assert!(took < Duration::from_secs(24), "{window:?}: {took:?}");
        assert!(refused <= 8, "{window:?}: {refused} refusals");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Holds for any limit and any way of counting.
    #[test]
    fn the_limiter_finds_and_uses_the_vendors_limit(
        window in prop::sample::select(&WINDOWS[..]),
        requests in 1_usize..300,
        period in 1000_u64..60_000,
        latency in 1_u64..400,
        count in 1_usize..290,
    ) {
        let (period, latency) = (Duration::from_millis(period), Duration::from_millis(latency));
        let limit = Limit { window, requests, period };
        let outcome = simulate(limit, 300, count, latency);
        let took = outcome.took().as_secs_f64();
        // The time that the vendor's limit and ours cost.
        let windows = |count: usize, limit: usize| (count.div_ceil(limit) - 1) as f64;
        let theirs = windows(count, requests) * period.as_secs_f64();
        // A wait for our limit falls into the measured window, so the rate is
        // too low after it.
        let ours = windows(outcome.starts.len(), 300) * (60.5 + 15.0);
        let most = 2.0 * theirs + ours + 15.0;
        prop_assert!(took < most, "took {took} s, {theirs} s by their limit and {ours} s by ours");
        // A few in each window, and those in flight when the limit is found.
        let refused = outcome.refused_later(latency) as f64;
        let shortest = if window == Window::Bucket { 5.0 } else { 20.0 };
        let most = 3.0 * took / period.as_secs_f64().min(shortest) + 20.0 * latency.as_secs_f64() + 8.0;
        prop_assert!(refused <= most, "{refused} refusals in {took} s, and not {most}");
    }
}
