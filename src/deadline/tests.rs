use super::grpc_timeout::GRPC_TIMEOUT;
use super::*;

#[tokio::test]
async fn the_deadline_is_the_callers_within_the_maximum_or_else_the_default() {
    tokio::time::pause();
    let policy = DeadlinePolicy {
        default: Duration::from_secs(30),
        max: Duration::from_secs(120),
    };
    let remaining = |timeout: Option<&'static str>| {
        let headers = timeout.map(|t| (GRPC_TIMEOUT.parse().unwrap(), t.parse().unwrap()));
        policy.for_call(&headers.into_iter().collect()).remaining()
    };
    assert_eq!(remaining(None), Duration::from_secs(30));
    assert_eq!(remaining(Some("999m")), Duration::from_millis(989));
    assert_eq!(remaining(Some("50m")), Duration::from_millis(45));
    assert_eq!(remaining(Some("0n")), Duration::ZERO);
    assert_eq!(remaining(Some("1H")), Duration::from_secs(120));
    assert_eq!(remaining(Some("3600000000m")), Duration::from_secs(120));
    assert_eq!(remaining(Some("soon")), Duration::from_secs(30));
}

#[tokio::test]
async fn the_rounding_of_core_clients_is_subtracted() {
    tokio::time::pause();
    let policy = DeadlinePolicy {
        default: Duration::from_secs(30),
        max: Duration::from_hours(24),
    };
    let remaining = |timeout: &'static str| {
        let headers = [(GRPC_TIMEOUT.parse().unwrap(), timeout.parse().unwrap())];
        policy
            .for_call(&headers.into_iter().collect())
            .remaining()
            .as_millis()
    };
    // grpcio sends these values for 2, 10, 100 and 1000 seconds.
    assert_eq!(remaining("2010m"), 1990);
    assert_eq!(remaining("10100m"), 9_990);
    assert_eq!(remaining("101S"), 99_990);
    assert_eq!(remaining("1010S"), 999_990);
    assert_eq!(remaining("10100S"), 9_999_990);
    // Other clients do not round up.
    assert_eq!(remaining("2009m"), 1999);
    assert_eq!(remaining("9999871u"), 9989);
    assert_eq!(remaining("119998m"), 119_988);
}

#[tokio::test]
async fn a_drain_shortens_the_deadline_of_a_call_in_flight() {
    tokio::time::pause();
    let policy = DeadlinePolicy {
        default: Duration::from_secs(30),
        max: Duration::from_secs(120),
    };
    let drain = Drain::default();
    let long = policy.for_call(&HeaderMap::new()).with_drain(drain.clone());
    let short = [(GRPC_TIMEOUT.parse().unwrap(), "1S".parse().unwrap())];
    let short = policy
        .for_call(&short.into_iter().collect())
        .with_drain(drain.clone());
    let begun = Instant::now();
    let (cut, ()) = tokio::join!(long.timeout(std::future::pending::<()>()), async {
        drain.begin(Instant::now() + Duration::from_secs(10));
    });
    assert_eq!(cut, None);
    assert_eq!(begun.elapsed().as_secs(), 10);
    assert!(long.is_expired());
    // A second drain is ignored; it extends no deadline.
    drain.begin(Instant::now() + Duration::from_secs(60));
    assert!(long.is_expired() && short.is_expired());
    let late = policy.for_call(&HeaderMap::new()).with_drain(drain);
    assert_eq!(late.timeout(async { 1 }).await, Some(1));
    assert!(late.is_expired());
}

#[tokio::test]
async fn a_drain_keeps_an_earlier_deadline() {
    tokio::time::pause();
    let policy = DeadlinePolicy {
        default: Duration::from_secs(3),
        max: Duration::from_secs(3),
    };
    let drain = Drain::default();
    let deadline = policy.for_call(&HeaderMap::new()).with_drain(drain.clone());
    drain.begin(Instant::now() + Duration::from_secs(10));
    let begun = Instant::now();
    deadline.expired().await;
    assert_eq!(begun.elapsed().as_secs(), 3);
}
