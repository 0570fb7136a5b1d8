//! Retry delays in errors: `RetryInfo` for people and libraries, pushback for core
//! gRPC clients.

use std::time::{Duration, SystemTime};

use axum::response::Response;
use http::Method;
use prost::Message;
use serde_json::json;
use tonic::{Code, Status};
use tonic_types::{StatusExt, pb};

use super::{METHODS, call_method};
use crate::support::{Gateway, Vendor, expect_error, metadata, rpc_status};

const BODY: &str = r#"{"code":"too.many.requests.retry.after","message":"m","status":429}"#;

/// Returns the error of a call with a deadline of 30 s to which the vendor
/// responds with this status and `Retry-After`.
async fn error(method: &Method, status: u16, retry_after: Option<&str>) -> Status {
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
    call_method(&gateway, method).await.unwrap_err()
}

fn delay(status: &Status) -> Option<Duration> {
    status.get_details_retry_info()?.retry_delay
}

fn pushback(status: &Status) -> Option<i64> {
    metadata(status, "grpc-retry-pushback-ms").map(|pushback| pushback.parse().unwrap())
}

#[tokio::test]
async fn a_429_has_a_retry_delay_and_a_pushback_within_the_deadline() {
    for (retry_after, seconds, pushback_ms) in [
        (Some("5"), 5, 5000),
        (Some("29"), 29, 29_000),
        (Some(" 3 "), 3, 3000),
        // A client that waited this long would miss its deadline.
        (Some("30"), 30, -1),
        (Some("60"), 60, -1),
        (Some("86400"), 86_400, -1),
        // Longer than a day is capped to a day.
        (Some("86401"), 86_400, -1),
        (Some("99999999999999999999"), 86_400, -1),
        // The default is a second.
        (None, 1, 1000),
        (Some(""), 1, 1000),
        (Some("-5"), 1, 1000),
        (Some("1.5"), 1, 1000),
        (Some("soon"), 1, 1000),
        (Some("5s"), 1, 1000),
        (Some("Mon, 99 Foo 2026 10:00:00 GMT"), 1, 1000),
        // No wait, and a date in the past: the default.
        (Some("0"), 1, 1000),
        (Some("Wed, 21 Oct 2015 07:28:00 GMT"), 1, 1000),
    ] {
        let status = error(&Method::GET, 429, retry_after).await;
        assert_eq!(status.code(), Code::ResourceExhausted);
        assert_eq!(
            delay(&status),
            Some(Duration::from_secs(seconds)),
            "{retry_after:?}"
        );
        assert_eq!(pushback(&status), Some(pushback_ms), "{retry_after:?}");
    }
}

#[tokio::test]
async fn a_429_without_the_header_takes_the_delay_from_its_message() {
    let vendor = Vendor::with_response(
        429,
        r#"{"message":"Rate limit exceeded the maximum. Retry the request in [17] seconds",
            "code":"too.many.requests.retry.after","status":429,"contextId":"c",
            "details":[],"errors":[]}"#,
    )
    .await;
    let gateway = Gateway::start(&vendor).await;
    let status = call_method(&gateway, &Method::GET).await.unwrap_err();
    assert_eq!(delay(&status), Some(Duration::from_secs(17)));
    assert_eq!(pushback(&status), Some(17_000));
}

#[tokio::test]
async fn a_retry_after_date_becomes_a_delay() {
    for (ahead, is_in_time) in [(20, true), (3600, false)] {
        let at = SystemTime::now() + Duration::from_secs(ahead);
        let status = error(&Method::GET, 429, Some(&httpdate::fmt_http_date(at))).await;
        let delay = delay(&status).unwrap();
        // A date has whole seconds, and the call itself takes time.
        let ahead = Duration::from_secs(ahead);
        assert!(
            delay <= ahead && delay + Duration::from_secs(10) > ahead,
            "{delay:?}"
        );
        let pushback = pushback(&status).unwrap();
        assert_eq!(pushback > 0, is_in_time, "{pushback}");
        if is_in_time {
            assert_eq!(u128::try_from(pushback).unwrap(), delay.as_millis());
        }
    }
}

#[tokio::test]
async fn a_throttled_write_has_the_same_retry_delay() {
    for method in METHODS {
        let status = error(&method, 429, Some("7")).await;
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
async fn a_503_has_a_retry_delay_only_with_a_retry_after() {
    for method in METHODS {
        let status = error(&method, 503, Some("4")).await;
        assert_eq!(status.code(), Code::Unavailable);
        assert_eq!(delay(&status), Some(Duration::from_secs(4)), "{method}");
        assert_eq!(pushback(&status), Some(4000), "{method}");
        let status = error(&method, 503, Some("400")).await;
        assert_eq!(delay(&status), Some(Duration::from_secs(400)), "{method}");
        assert_eq!(pushback(&status), Some(-1), "{method}");
        for retry_after in [None, Some("soon"), Some("0")] {
            let status = error(&method, 503, retry_after).await;
            assert_eq!(
                (delay(&status), pushback(&status)),
                (None, None),
                "{method}, {retry_after:?}"
            );
        }
    }
}

#[tokio::test]
async fn other_errors_have_no_retry_delay() {
    for http in [400, 403, 408, 500] {
        let status = error(&Method::GET, http, Some("5")).await;
        assert_eq!((delay(&status), pushback(&status)), (None, None), "{http}");
    }
    for http in [502, 504] {
        let status = error(&Method::PATCH, http, Some("5")).await;
        assert_eq!(
            (delay(&status), pushback(&status)),
            (None, Some(-1)),
            "{http}"
        );
    }
}

#[tokio::test]
async fn a_429_names_the_exceeded_limit() {
    let body = json!({
        "code": "too.many.requests.retry.after", "message": "Rate limit exceeded", "status": 429,
        "limit": {"key": "token.rate.per.minute", "namespace": "platform.api", "value": 300},
    });
    let vendor = Vendor::with_response(429, body.to_string()).await;
    let gateway = Gateway::start(&vendor).await;
    let status = call_method(&gateway, &Method::GET).await.unwrap_err();
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
        panic!("one violation should be listed: {violations:?}");
    };
    assert_eq!(violation.quota_id, "token.rate.per.minute");
    assert_eq!(violation.api_service, "platform.api");
    assert_eq!(violation.quota_value, 300);
    assert_eq!(violation.description, "Rate limit exceeded");
    assert!(!violation.subject.is_empty());
}
