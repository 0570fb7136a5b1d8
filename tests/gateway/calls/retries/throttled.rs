//! Retries after a 429.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use http::HeaderValue;
use parking_lot::Mutex;
use serde_json::json;
use tonic::Code;

use super::{failing, operations};
use crate::support::{Gateway, Limits, Vendor, expect_error, metadata, reply};

#[tokio::test]
async fn every_request_is_retried_after_a_429() {
    let check = |(rpc, request)| async move {
        let vendor = failing(1, 429).await;
        let gateway = Gateway::start(&vendor).await;
        gateway.call(rpc, request).await.unwrap();
        assert_eq!(vendor.received().len(), 2, "{rpc}");
    };
    join_all(operations().map(check)).await;
}

#[tokio::test]
async fn a_429_does_not_count_as_an_attempt() {
    // Without the rate limiter, and with it.
    let check = |token_requests| async move {
        let vendor = failing(3, 429).await;
        let limits = Limits {
            token_requests,
            ..Limits::default()
        };
        let gateway = Gateway::start_with(&vendor, limits).await;
        let request = json!({"userId": "u", "body": {}});
        let answer = gateway.call("PatchUserPresencesPurecloud", request).await;
        answer.unwrap_or_else(|status| panic!("{token_requests} requests a minute: {status:?}"));
        assert_eq!(
            vendor.received().len(),
            4,
            "{token_requests} requests a minute"
        );
    };
    join_all([0, 300].map(check)).await;
}

#[tokio::test]
async fn a_call_under_constant_429_fails_when_the_next_retry_would_miss_its_deadline() {
    let check = |token_requests| async move {
        let vendor = failing(usize::MAX, 429).await;
        let limits = Limits {
            token_requests,
            default_deadline: Duration::from_secs(5),
            ..Limits::default()
        };
        let gateway = Gateway::start_with(&vendor, limits).await;
        let request = json!({"userId": "u"});
        let answer = gateway.call("GetUserPresencesPurecloud", request).await;
        let status = expect_error(answer, Code::ResourceExhausted, "TOO_MANY_REQUESTS");
        assert_eq!(metadata(&status, "grpc-retry-pushback-ms"), Some("-1"));
        // Retries come after 1 s and after 2.5 to 3.5 s. The next would come after
        // 5.5 s or more, past the deadline of 5 s.
        assert_eq!(
            vendor.received().len(),
            3,
            "{token_requests} requests a minute"
        );
    };
    join_all([0, 300].map(check)).await;
}

#[tokio::test]
async fn a_retry_after_past_the_deadline_fails_the_call_at_once() {
    for (rpc, request) in operations() {
        let vendor = Vendor::start(async |_| {
            let mut answer = reply(429, r#"{"code":"too.many.requests","message":"m"}"#);
            answer
                .headers_mut()
                .insert("retry-after", HeaderValue::from_static("3600"));
            answer
        })
        .await;
        let gateway = Gateway::start(&vendor).await;
        let start = Instant::now();
        let status = expect_error(
            gateway.call(rpc, request).await,
            Code::ResourceExhausted,
            "TOO_MANY_REQUESTS",
        );
        // The deadline is 30 s.
        assert!(start.elapsed() < Duration::from_secs(20), "the call waited");
        assert_eq!(metadata(&status, "grpc-retry-pushback-ms"), Some("-1"));
        assert_eq!(vendor.received().len(), 1, "{rpc}");
    }
}

#[tokio::test]
async fn retries_after_a_429_do_not_use_the_retry_budget() {
    const CALLS: usize = 200;
    let requested = Mutex::new(HashSet::new());
    let vendor = Vendor::start(move |received| {
        let is_first = requested.lock().insert(received.path().to_owned());
        async move {
            if !is_first {
                return reply(200, "{}");
            }
            let mut answer = reply(429, r#"{"code":"too.many.requests","message":"m"}"#);
            let retry_after = HeaderValue::from_static("0");
            answer.headers_mut().insert("retry-after", retry_after);
            answer
        }
    })
    .await;
    let gateway = Gateway::start(&vendor).await;
    let calls = (0..CALLS).map(|number| {
        let user = json!({"userId": number.to_string()});
        gateway.call("GetUserPresencesPurecloud", user)
    });
    let answers = join_all(calls).await;
    let failed = answers.iter().filter(|answer| answer.is_err()).count();
    assert_eq!(
        failed, 0,
        "all {CALLS} calls should succeed after one 429 each"
    );
}
