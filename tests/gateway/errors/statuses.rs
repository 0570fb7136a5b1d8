//! The code for each HTTP status, and the reason from the vendor's error code.

use std::sync::Arc;

use http::Method;
use parking_lot::Mutex;
use serde_json::json;
use tonic::Code::{self, *};
use tonic::Status;
use tonic_types::StatusExt;

use super::{METHODS, call_method};
use crate::support::{Gateway, Vendor, assert_well_formed, info, metadata, reply};

/// An HTTP status with a vendor error body, and the code for each of GET, POST,
/// PUT, PATCH and DELETE.
const TABLE: [(u16, [Code; 5]); 40] = [
    (400, [InvalidArgument; 5]),
    (401, [Unauthenticated; 5]),
    (402, [FailedPrecondition; 5]),
    (403, [PermissionDenied; 5]),
    (404, [NotFound; 5]),
    (405, [FailedPrecondition; 5]),
    (406, [FailedPrecondition; 5]),
    (408, [Unavailable; 5]),
    (409, [Aborted, AlreadyExists, Aborted, Aborted, Aborted]),
    (410, [FailedPrecondition; 5]),
    (411, [FailedPrecondition; 5]),
    (412, [FailedPrecondition; 5]),
    (413, [InvalidArgument; 5]),
    (414, [InvalidArgument; 5]),
    (415, [Internal; 5]),
    (416, [FailedPrecondition; 5]),
    (417, [FailedPrecondition; 5]),
    (418, [FailedPrecondition; 5]),
    (421, [FailedPrecondition; 5]),
    (422, [InvalidArgument; 5]),
    (423, [FailedPrecondition; 5]),
    (425, [FailedPrecondition; 5]),
    (426, [FailedPrecondition; 5]),
    (428, [FailedPrecondition; 5]),
    (429, [ResourceExhausted; 5]),
    (431, [FailedPrecondition; 5]),
    (451, [FailedPrecondition; 5]),
    (499, [FailedPrecondition; 5]),
    (500, [Internal; 5]),
    (501, [Unimplemented; 5]),
    (502, [Unavailable, Unknown, Unknown, Unknown, Unknown]),
    (503, [Unavailable; 5]),
    (504, [DeadlineExceeded; 5]),
    (505, [Internal; 5]),
    (506, [Internal; 5]),
    (507, [Internal; 5]),
    (508, [Internal; 5]),
    (511, [Internal; 5]),
    (520, [Internal; 5]),
    (599, [Internal; 5]),
];

/// The status that a call must return.
struct Expected {
    code: Code,
    is_outcome_unknown: bool,
    has_vendor_error: bool,
}

fn assert_status(status: &Status, expected: &Expected, http: u16, case: &str) {
    assert_well_formed(status);
    let details = status.get_details_error_info().unwrap();
    let (domain, reason) = match expected {
        Expected {
            is_outcome_unknown: true,
            ..
        } => ("presence-gateway", "OUTCOME_UNKNOWN"),
        Expected {
            has_vendor_error: true,
            ..
        } => ("genesys.cloud", "SOME_VENDOR_CODE"),
        _ => ("presence-gateway", "UPSTREAM_ERROR"),
    };
    assert_eq!(
        (
            status.code(),
            details.domain.as_str(),
            details.reason.as_str()
        ),
        (expected.code, domain, reason),
        "{case}: {status:?}"
    );
    let pushback = match http {
        _ if expected.is_outcome_unknown => Some("-1"),
        // The delay of a 429 without `Retry-After`.
        429 => Some("1000"),
        _ => None,
    };
    assert_eq!(
        metadata(status, "grpc-retry-pushback-ms"),
        pushback,
        "{case}"
    );
    assert_eq!(
        info(status, "http_status"),
        Some(http.to_string()),
        "{case}"
    );
    let vendor_code =
        (expected.is_outcome_unknown && expected.has_vendor_error).then_some("some.vendor.code");
    assert_eq!(
        info(status, "vendor_code").as_deref(),
        vendor_code,
        "{case}"
    );
    let message = if expected.has_vendor_error {
        "the vendor's words".to_owned()
    } else {
        http.to_string()
    };
    assert!(
        status.message().contains(&message),
        "{case}: {}",
        status.message()
    );
    let has_warning = status
        .message()
        .contains("may or may not have been applied");
    assert_eq!(
        has_warning,
        expected.is_outcome_unknown,
        "{case}: {}",
        status.message()
    );
}

#[tokio::test]
async fn every_http_status_maps_to_its_code() {
    let answer = Arc::new(Mutex::new((0, String::new())));
    let next = Arc::clone(&answer);
    let vendor = Vendor::start(move |_| {
        let (status, body) = next.lock().clone();
        async move { reply(status, body) }
    })
    .await;
    let gateway = Gateway::start(&vendor).await;
    for (http, codes) in TABLE {
        for (method, code) in METHODS.into_iter().zip(codes) {
            let is_outcome_unknown = [502, 504].contains(&http) && method != Method::GET;
            let vendor_error = json!({
                "code": "some.vendor.code", "message": "the vendor's words", "status": http,
                "contextId": "c", "details": [], "errors": [],
            });
            for body in [
                vendor_error.to_string(),
                String::new(),
                "<html>418</html>".to_owned(),
            ] {
                let case = format!("{http} to a {method}, with `{body}`");
                let has_vendor_error = body.starts_with('{');
                let code = match http {
                    404 if !has_vendor_error => Internal,
                    _ => code,
                };
                *answer.lock() = (http, body);
                let answer = call_method(&gateway, &method).await;
                let status = answer.expect_err(&case);
                let expected = Expected {
                    code,
                    is_outcome_unknown,
                    has_vendor_error,
                };
                assert_status(&status, &expected, http, &case);
            }
        }
    }
}

/// Returns domain and reason for a vendor error with this code.
async fn domain_and_reason(code: &str) -> (String, String) {
    let body = json!({"code": code, "message": "m", "status": 400, "contextId": "c"});
    let vendor = Vendor::with_response(400, body.to_string()).await;
    let gateway = Gateway::start(&vendor).await;
    let status = call_method(&gateway, &Method::GET).await.unwrap_err();
    assert_well_formed(&status);
    let info = status.get_details_error_info().unwrap();
    (info.domain, info.reason)
}

#[tokio::test]
async fn the_vendors_code_becomes_the_reason() {
    for (code, expected) in [
        ("not.found", "NOT_FOUND"),
        ("bad.request", "BAD_REQUEST"),
        (
            "too.many.requests.retry.after",
            "TOO_MANY_REQUESTS_RETRY_AFTER",
        ),
        ("MiXed-Case code", "MIXED_CASE_CODE"),
        ("already_UPPER_9", "ALREADY_UPPER_9"),
        // A reason begins with a letter and does not end with an underscore.
        ("404.not.found", "NOT_FOUND"),
        ("..dots..", "DOTS"),
        ("gr\u{fc}\u{df}e.\u{1f355}.x", "GR__E___X"),
        ("a\r\nb\0c", "A__B_C"),
    ] {
        let actual = domain_and_reason(code).await;
        assert_eq!(
            actual,
            ("genesys.cloud".into(), expected.into()),
            "{code:?}"
        );
    }
    let longest = "x".repeat(63);
    assert_eq!(
        domain_and_reason(&longest).await.1,
        longest.to_ascii_uppercase()
    );
    for longer in [64, 5000] {
        assert_eq!(
            domain_and_reason(&"x".repeat(longer)).await.1,
            "X".repeat(63)
        );
    }
    let cut_at_a_dot = format!("{}.y", "x".repeat(62));
    assert_eq!(domain_and_reason(&cut_at_a_dot).await.1, "X".repeat(62));
}

#[tokio::test]
async fn a_code_that_cannot_be_a_reason_yields_upstream_error() {
    for code in ["", "...", "404", "x", "\u{1f355}", "\u{fc}ber", " "] {
        let (domain, reason) = domain_and_reason(code).await;
        if code == "\u{fc}ber" {
            assert_eq!((domain.as_str(), reason.as_str()), ("genesys.cloud", "BER"));
            continue;
        }
        let fallback = ("presence-gateway", "UPSTREAM_ERROR");
        assert_eq!((domain.as_str(), reason.as_str()), fallback, "{code:?}");
    }
}

#[tokio::test]
async fn a_vendor_error_with_a_field_of_another_type_keeps_the_other_fields() {
    for (body, reason, message) in [
        (
            r#"{"code":5,"message":"m","status":400}"#,
            "UPSTREAM_ERROR",
            "m",
        ),
        (
            r#"{"code":"bad.request","message":{"x":1},"status":"400"}"#,
            "BAD_REQUEST",
            "400",
        ),
        (
            r#"{"code":"bad.request","details":"x","errors":{},"messageParams":[]}"#,
            "BAD_REQUEST",
            "400",
        ),
        (
            r#"{"code":"bad.request","message":null}"#,
            "BAD_REQUEST",
            "400",
        ),
    ] {
        let vendor = Vendor::with_response(400, body).await;
        let gateway = Gateway::start(&vendor).await;
        let answer = call_method(&gateway, &Method::GET).await;
        let status = crate::support::expect_error(answer, InvalidArgument, reason);
        assert!(
            status.message().contains(message),
            "{body}: {}",
            status.message()
        );
    }
}
