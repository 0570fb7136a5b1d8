//! Tokens that the vendor throttles with a 429.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use http::HeaderValue;
use parking_lot::Mutex;
use tonic::Code;
use tonic_types::StatusExt;

use super::{call, gateway_with_three_a_minute};
use crate::support::{Gateway, Limits, Vendor, expect_error, metadata, reply};

#[tokio::test]
async fn a_429_throttles_only_its_token() {
    let vendor = Vendor::start(async |received| {
        if received.token().ends_with("throttled") {
            let mut answer = reply(429, r#"{"code":"too.many.requests","message":"m"}"#);
            answer
                .headers_mut()
                .insert("retry-after", HeaderValue::from_static("50"));
            answer
        } else {
            reply(200, "{}")
        }
    })
    .await;
    let gateway = gateway_with_three_a_minute(&vendor).await;
    let answer = call(&gateway, "throttled").await;
    expect_error(answer, Code::ResourceExhausted, "TOO_MANY_REQUESTS");
    // The gateway rejects the next call without a request.
    let status = expect_error(
        call(&gateway, "throttled").await,
        Code::ResourceExhausted,
        "TOKEN_QUOTA_EXHAUSTED",
    );
    let delay = status
        .get_details_retry_info()
        .unwrap()
        .retry_delay
        .unwrap();
    assert!((30..=50).contains(&delay.as_secs()), "{delay:?}");
    let message = status.message();
    let [answered, delayed] = [
        "the presence API answered 429 to the token",
        "can start in ",
    ];
    assert!(
        message.contains(answered) && message.contains(delayed),
        "{message}"
    );
    let quota = status.get_details_quota_failure().unwrap();
    let limit = &quota.violations[0].description;
    assert!(
        limit.contains("the presence API: it answered 429"),
        "{limit}"
    );
    assert_eq!(vendor.received().len(), 1);
    call(&gateway, "other").await.unwrap();
}

#[tokio::test]
async fn the_retry_delay_of_a_429_includes_the_wait_for_the_rate_limiter() {
    let vendor = Vendor::start(async |_| {
        let mut answer = reply(429, r#"{"code":"too.many.requests","message":"m"}"#);
        let retry_after = HeaderValue::from_static("1");
        answer.headers_mut().insert("retry-after", retry_after);
        answer
    })
    .await;
    let limits = Limits {
        token_requests: 1,
        ..Limits::default()
    };
    let gateway = Gateway::start_with(&vendor, limits).await;
    let status = expect_error(
        call(&gateway, "a").await,
        Code::ResourceExhausted,
        "TOO_MANY_REQUESTS",
    );
    let retry_info = status.get_details_retry_info().unwrap();
    let delay = retry_info.retry_delay.unwrap();
    assert!((58..=61).contains(&delay.as_secs()), "{delay:?}");
    assert_eq!(metadata(&status, "grpc-retry-pushback-ms"), Some("-1"));
    assert_eq!(vendor.received().len(), 1);
}

/// A vendor that accepts this many requests in a second, counted from the first of
/// them, and rejects the others with a 429.
async fn vendor_with_limit(requests: usize) -> Vendor {
    let window = Mutex::new((Instant::now(), 0));
    Vendor::start(move |_| {
        let mut window = window.lock();
        if window.0.elapsed() >= Duration::from_secs(1) {
            *window = (Instant::now(), 0);
        }
        window.1 += 1;
        let is_accepted = window.1 <= requests;
        async move {
            if is_accepted {
                return reply(200, "{}");
            }
            let mut answer = reply(429, r#"{"code":"too.many.requests","message":"m"}"#);
            let retry_after = HeaderValue::from_static("1");
            answer.headers_mut().insert("retry-after", retry_after);
            answer
        }
    })
    .await
}

#[tokio::test]
async fn all_calls_succeed_under_a_vendor_limit_below_the_rate_limit() {
    const CALLS: usize = 30;
    let vendor = vendor_with_limit(5).await;
    let limits = Limits {
        token_requests: 300,
        ..Limits::default()
    };
    let gateway = Gateway::start_with(&vendor, limits).await;
    let answers = join_all((0..CALLS).map(|_| call(&gateway, "a"))).await;
    let failed = answers.iter().filter(|answer| answer.is_err()).count();
    let rejected = vendor.received().len() - (CALLS - failed);
    assert_eq!(
        failed, 0,
        "{failed} of {CALLS} calls failed, after {rejected} rejections"
    );
    // All but five of the first burst, and then a few each second.
    assert!(rejected < CALLS - 5 + 15, "{rejected} rejections");
}

#[tokio::test]
async fn a_token_under_constant_429_sends_few_requests() {
    const CALLS: usize = 20;
    for retry_after in ["0", "Wed, 21 Oct 2015 07:28:00 GMT"] {
        let vendor = Vendor::start(move |_| async move {
            let mut answer = reply(429, r#"{"code":"too.many.requests","message":"m"}"#);
            let retry_after = HeaderValue::from_static(retry_after);
            answer.headers_mut().insert("retry-after", retry_after);
            answer
        })
        .await;
        let limits = Limits {
            token_requests: 300,
            default_deadline: Duration::from_millis(2500),
            ..Limits::default()
        };
        let gateway = Gateway::start_with(&vendor, limits).await;
        for answer in join_all((0..CALLS).map(|_| call(&gateway, "a"))).await {
            expect_error(answer, Code::ResourceExhausted, "TOO_MANY_REQUESTS");
        }
        // The burst, and then one or two probes whether the throttle has ended.
        let sent = vendor.received().len();
        assert!(sent <= CALLS + 3, "{sent} requests of {CALLS} calls");
    }
}
