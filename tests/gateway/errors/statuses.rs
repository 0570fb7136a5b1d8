//! The table from HTTP to gRPC, and the vendor's code as the reason.

use std::sync::Arc;

use http::Method;
use parking_lot::Mutex;
use serde_json::json;
use tonic::Code::{self, *};
use tonic::Status;
use tonic_types::StatusExt;

use super::{METHODS, ask_by};
use crate::support::{Gateway, Vendor, assert_well_formed, info, metadata, reply};

/// A status of the vendor's, and the code for each of GET, POST, PUT, PATCH
/// and DELETE where a body of the vendor's comes with it.
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

/// What a status must be.
struct Expected {
    code: Code,
    outcome_unknown: bool,
    vendors: bool,
}

fn check(status: &Status, expected: &Expected, http: u16, case: &str) {
    assert_well_formed(status);
    let details = status.get_details_error_info().unwrap();
    let (domain, reason) = match expected {
        Expected {
            outcome_unknown: true,
            ..
        } => ("presence-gateway", "OUTCOME_UNKNOWN"),
        Expected { vendors: true, .. } => ("genesys.cloud", "SOME_VENDOR_CODE"),
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
        _ if expected.outcome_unknown => Some("-1"),
        // As long as a 429 asks for that does not say.
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
    let vendor_code = (expected.outcome_unknown && expected.vendors).then_some("some.vendor.code");
    assert_eq!(
        info(status, "vendor_code").as_deref(),
        vendor_code,
        "{case}"
    );
    let says = if expected.vendors {
        "the vendor's words".to_owned()
    } else {
        http.to_string()
    };
    assert!(
        status.message().contains(&says),
        "{case}: {}",
        status.message()
    );
    let warns = status
        .message()
        .contains("may or may not have been applied");
    assert_eq!(
        warns,
        expected.outcome_unknown,
        "{case}: {}",
        status.message()
    );
}

#[tokio::test]
async fn every_status_of_the_vendors_becomes_the_code_of_the_contract() {
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
            let outcome_unknown = [502, 504].contains(&http) && method != Method::GET;
            let vendors = json!({
                "code": "some.vendor.code", "message": "the vendor's words", "status": http,
                "contextId": "c", "details": [], "errors": [],
            });
            for body in [
                vendors.to_string(),
                String::new(),
                "<html>418</html>".to_owned(),
            ] {
                let case = format!("{http} to a {method}, with `{body}`");
                let is_vendors = body.starts_with('{');
                let code = match http {
                    404 if !is_vendors => Internal,
                    _ => code,
                };
                *answer.lock() = (http, body);
                let refused = ask_by(&gateway, &method).await;
                let status = refused.expect_err(&case);
                let expected = Expected {
                    code,
                    outcome_unknown,
                    vendors: is_vendors,
                };
                check(&status, &expected, http, &case);
            }
        }
    }
}

/// The domain and the reason where the vendor refuses with this code.
async fn reason(code: &str) -> (String, String) {
    let body = json!({"code": code, "message": "m", "status": 400, "contextId": "c"});
    let vendor = Vendor::with_response(400, body.to_string()).await;
    let gateway = Gateway::start(&vendor).await;
    let status = ask_by(&gateway, &Method::GET).await.unwrap_err();
    assert_well_formed(&status);
    let info = status.get_details_error_info().unwrap();
    (info.domain, info.reason)
}

#[tokio::test]
async fn the_vendors_code_is_the_reason() {
    for (code, expected) in [
        ("not.found", "NOT_FOUND"),
        ("bad.request", "BAD_REQUEST"),
        (
            "too.many.requests.retry.after",
            "TOO_MANY_REQUESTS_RETRY_AFTER",
        ),
        ("MiXed-Case code", "MIXED_CASE_CODE"),
        ("already_UPPER_9", "ALREADY_UPPER_9"),
        // A reason begins with a letter, and ends with no underscore.
        ("404.not.found", "NOT_FOUND"),
        ("..dots..", "DOTS"),
        ("gr\u{fc}\u{df}e.\u{1f355}.x", "GR__E___X"),
        ("a\r\nb\0c", "A__B_C"),
    ] {
        let actual = reason(code).await;
        assert_eq!(
            actual,
            ("genesys.cloud".into(), expected.into()),
            "{code:?}"
        );
    }
    let longest = "x".repeat(63);
    assert_eq!(reason(&longest).await.1, longest.to_ascii_uppercase());
    for longer in [64, 5000] {
        assert_eq!(reason(&"x".repeat(longer)).await.1, "X".repeat(63));
    }
    let cut_at_a_dot = format!("{}.y", "x".repeat(62));
    assert_eq!(reason(&cut_at_a_dot).await.1, "X".repeat(62));
}

#[tokio::test]
async fn without_a_code_that_can_be_one_the_reason_is_ours() {
    for code in ["", "...", "404", "x", "\u{1f355}", "\u{fc}ber", " "] {
        let (domain, reason) = reason(code).await;
        if code == "\u{fc}ber" {
            assert_eq!((domain.as_str(), reason.as_str()), ("genesys.cloud", "BER"));
            continue;
        }
        let ours = ("presence-gateway", "UPSTREAM_ERROR");
        assert_eq!((domain.as_str(), reason.as_str()), ours, "{code:?}");
    }
}

#[tokio::test]
async fn a_code_or_a_message_of_another_type_does_not_cost_the_rest() {
    for (body, reason, says) in [
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
        let answer = ask_by(&gateway, &Method::GET).await;
        let status = crate::support::expect_error(answer, InvalidArgument, reason);
        assert!(
            status.message().contains(says),
            "{body}: {}",
            status.message()
        );
    }
}
