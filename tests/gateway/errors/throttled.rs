//! When to come back: told to people and libraries by `RetryInfo`, and to core
//! gRPC clients by the pushback.

use std::time::{Duration, SystemTime};

use axum::response::Response;
use http::Method;
use prost::Message;
use serde_json::json;
use tonic::{Code, Status};
use tonic_types::{StatusExt, pb};

use super::{METHODS, ask_by};
use crate::support::{Gateway, Vendor, expect_error, metadata, rpc_status};

const BODY: &str = r#"{"code":"too.many.requests.retry.after","message":"m","status":429}"#;

/// The refusal by a vendor that says when to come back, with 30 s left.
async fn refusal(method: &Method, status: u16, retry_after: Option<&str>) -> Status {
    let retry_after = retry_after.map(str::to_owned);
    let vendor = Vendor::start(move |_| {
        let answer = Response::builder().status(status);
        let answer = match &retry_after {
            Some(value) => answer.header("retry-after", value),
            None => answer,
        };
        let answer = answer.body(BODY.into()).unwrap();
        async move { answer }
    })
    .await;
    let gateway = Gateway::start(&vendor).await;
    ask_by(&gateway, method).await.unwrap_err()
}

fn delay(status: &Status) -> Option<Duration> {
    status.get_details_retry_info()?.retry_delay
}

fn pushback(status: &Status) -> Option<i64> {
    metadata(status, "grpc-retry-pushback-ms").map(|pushback| pushback.parse().unwrap())
}

#[tokio::test]
async fn a_429_says_when_to_come_back_and_pushes_back_where_that_is_in_time() {
    for (retry_after, seconds, pushed_back) in [
        (Some("5"), 5, 5000),
        (Some("29"), 29, 29_000),
        (Some(" 3 "), 3, 3000),
        // A client that waited so long would meet its deadline instead.
        (Some("30"), 30, -1),
        (Some("60"), 60, -1),
        (Some("86400"), 86_400, -1),
        // Nobody means that.
        (Some("86401"), 86_400, -1),
        (Some("99999999999999999999"), 86_400, -1),
        // A second where the vendor does not say.
        (None, 1, 1000),
        (Some(""), 1, 1000),
        (Some("-5"), 1, 1000),
        (Some("1.5"), 1, 1000),
        (Some("soon"), 1, 1000),
        (Some("5s"), 1, 1000),
        (Some("Mon, 99 Foo 2026 10:00:00 GMT"), 1, 1000),
        // No wait at all, and a moment that has passed: the gateway's own.
        (Some("0"), 1, 1000),
        (Some("Wed, 21 Oct 2015 07:28:00 GMT"), 1, 1000),
    ] {
        let status = refusal(&Method::GET, 429, retry_after).await;
        assert_eq!(status.code(), Code::ResourceExhausted);
        assert_eq!(
            delay(&status),
            Some(Duration::from_secs(seconds)),
            "{retry_after:?}"
        );
        assert_eq!(pushback(&status), Some(pushed_back), "{retry_after:?}");
    }
}

#[tokio::test]
async fn a_429_without_the_header_says_what_its_message_does() {
    let vendor = Vendor::with_response(
        429,
        r#"{"message":"Rate limit exceeded the maximum. Retry the request in [17] seconds",
            "code":"too.many.requests.retry.after","status":429,"contextId":"c",
            "details":[],"errors":[]}"#,
    )
    .await;
    let gateway = Gateway::start(&vendor).await;
    let status = ask_by(&gateway, &Method::GET).await.unwrap_err();
    assert_eq!(delay(&status), Some(Duration::from_secs(17)));
    assert_eq!(pushback(&status), Some(17_000));
}

#[tokio::test]
async fn a_date_to_come_back_at_is_a_delay() {
    for (ahead, in_time) in [(20, true), (3600, false)] {
        let at = SystemTime::now() + Duration::from_secs(ahead);
        let status = refusal(&Method::GET, 429, Some(&httpdate::fmt_http_date(at))).await;
        let delay = delay(&status).unwrap();
        // A date has whole seconds, and the call takes its time.
        let ahead = Duration::from_secs(ahead);
        assert!(
            delay <= ahead && delay + Duration::from_secs(10) > ahead,
            "{delay:?}"
        );
        let pushback = pushback(&status).unwrap();
        assert_eq!(pushback > 0, in_time, "{pushback}");
        if in_time {
            assert_eq!(u128::try_from(pushback).unwrap(), delay.as_millis());
        }
    }
}

#[tokio::test]
async fn a_write_that_was_throttled_was_not_applied_and_is_told_the_same() {
    for method in METHODS {
        let status = refusal(&method, 429, Some("7")).await;
        let status = expect_error(
            Err::<(), _>(status),
            Code::ResourceExhausted,
            "TOO_MANY_REQUESTS_RETRY_AFTER",
        );
        assert_eq!(delay(&status), Some(Duration::from_secs(7)), "{method}");
        assert_eq!(pushback(&status), Some(7000), "{method}");
    }
}

#[tokio::test]
async fn a_503_says_when_to_come_back_if_the_vendor_does() {
    for method in METHODS {
        let status = refusal(&method, 503, Some("4")).await;
        assert_eq!(status.code(), Code::Unavailable);
        assert_eq!(delay(&status), Some(Duration::from_secs(4)), "{method}");
        assert_eq!(pushback(&status), Some(4000), "{method}");
        let status = refusal(&method, 503, Some("400")).await;
        assert_eq!(delay(&status), Some(Duration::from_secs(400)), "{method}");
        assert_eq!(pushback(&status), Some(-1), "{method}");
        for none in [None, Some("soon"), Some("0")] {
            let status = refusal(&method, 503, none).await;
            assert_eq!(
                (delay(&status), pushback(&status)),
                (None, None),
                "{method}, {none:?}"
            );
        }
    }
}

#[tokio::test]
async fn no_other_refusal_says_when_to_come_back() {
    for http in [400, 403, 408, 500] {
        let status = refusal(&Method::GET, http, Some("5")).await;
        assert_eq!((delay(&status), pushback(&status)), (None, None), "{http}");
    }
    for http in [502, 504] {
        let status = refusal(&Method::PATCH, http, Some("5")).await;
        assert_eq!(
            (delay(&status), pushback(&status)),
            (None, Some(-1)),
            "{http}"
        );
    }
}

#[tokio::test]
async fn the_limit_that_was_reached_is_named() {
    let body = json!({
        "code": "too.many.requests.retry.after", "message": "Rate limit exceeded", "status": 429,
        "limit": {"key": "token.rate.per.minute", "namespace": "platform.api", "value": 300},
    });
    let vendor = Vendor::with_response(429, body.to_string()).await;
    let gateway = Gateway::start(&vendor).await;
    let status = ask_by(&gateway, &Method::GET).await.unwrap_err();
    let detail = rpc_status(&status).details.into_iter();
    let detail = detail.map(|any| (any.type_url, any.value));
    let (_, detail) = detail
        .into_iter()
        .find(|(url, _)| url == "type.googleapis.com/google.rpc.QuotaFailure")
        .expect("a QuotaFailure");
    let violations = pb::QuotaFailure::decode(detail.as_slice())
        .unwrap()
        .violations;
    let [violation] = violations.as_slice() else {
        panic!("one limit, but {violations:?}");
    };
    assert_eq!(violation.quota_id, "token.rate.per.minute");
    assert_eq!(violation.api_service, "platform.api");
    assert_eq!(violation.quota_value, 300);
    assert_eq!(violation.description, "Rate limit exceeded");
    assert!(!violation.subject.is_empty());
}
