//! Bulk writes with failed batches: the report has the exact outcome of each
//! update.

use axum::response::Response;
use http::HeaderValue;
use presence_gateway::error::MAX_STATUS_BYTES;
use presence_gateway::proto::v1::{BulkWriteReport, IndexRange};
use serde_json::{Value, json};
use tonic::Code;

use crate::support::bulk::{
    WRITE, applied_updates, encoded_size, failure, failures, first_user, ids, messages, numbers,
    start_vendor, updates, with_correlation_id,
};
use crate::support::in_flight::{InFlight, wait_for};
use crate::support::{
    Gateway, Limits, ReceivedRequest, Vendor, disconnect, expect_error, info, metadata, reply,
    report, violations,
};

/// Starts a gateway that sends one batch at a time.
async fn sequential_gateway(vendor: &Vendor) -> Gateway {
    let limits = Limits {
        concurrency: 1,
        ..Limits::default()
    };
    Gateway::start_with(vendor, limits).await
}

/// Starts a vendor that responds when all batches have arrived, so that no
/// outcome depends on another.
async fn barrier_vendor(
    batches: usize,
    answer: impl Fn(&ReceivedRequest) -> Response + Send + Sync + 'static,
) -> Vendor {
    let flight = InFlight::default();
    Vendor::start(move |received| {
        let (flight, held, answer) = (flight.clone(), flight.start_request(), answer(&received));
        async move {
            flight
                .wait_until("all batches have started", |counts| {
                    counts.started >= batches
                })
                .await;
            held.respond(answer)
        }
    })
    .await
}

fn rejection(code: &str) -> Response {
    reply(400, json!({"code": code, "message": code}).to_string())
}

fn range(first: i64, last: i64) -> IndexRange {
    IndexRange { first, last }
}

#[tokio::test]
async fn a_failure_reports_what_was_applied_what_failed_and_what_was_not_tried() {
    let vendor = start_vendor(|received| match first_user(received).as_str() {
        "user-100" => with_correlation_id(rejection("bad.request"), "failed"),
        _ => applied_updates(received),
    })
    .await;
    let gateway = sequential_gateway(&vendor).await;
    let answer = gateway.call(WRITE, json!({"body": updates(0..220)})).await;
    let status = expect_error(answer, Code::InvalidArgument, "BAD_REQUEST");
    let expected = BulkWriteReport {
        applied: vec![range(0, 99)],
        failed: vec![range(100, 149)],
        unknown: Vec::new(),
        not_tried: vec![range(150, 219)],
    };
    assert_eq!(report(&status), expected);
    assert!(
        status.message().contains("100 of 220"),
        "{}",
        status.message()
    );
    assert_eq!(metadata(&status, "inin-correlation-id"), Some("failed"));
    // A retry by the client would apply the first hundred again.
    assert_eq!(metadata(&status, "grpc-retry-pushback-ms"), Some("-1"));
    assert_eq!(
        vendor.received().len(),
        3,
        "a batch was sent after the failure"
    );
}

#[tokio::test]
async fn a_failed_call_of_one_batch_has_a_report() {
    let vendor = start_vendor(|_| rejection("bad.request")).await;
    let gateway = Gateway::start(&vendor).await;
    let answer = gateway.call(WRITE, json!({"body": updates(0..3)})).await;
    let status = expect_error(answer, Code::InvalidArgument, "BAD_REQUEST");
    let expected = BulkWriteReport {
        failed: vec![range(0, 2)],
        ..BulkWriteReport::default()
    };
    assert_eq!(report(&status), expected);
}

/// Adds a `Retry-After` longer than every deadline.
fn with_long_retry_after(mut rejection: Response) -> Response {
    let hour = HeaderValue::from_static("3600");
    rejection.headers_mut().insert("retry-after", hour);
    rejection
}

#[tokio::test]
async fn one_unknown_batch_makes_the_outcome_of_the_call_unknown() {
    for (end, code) in [
        (disconnect as fn() -> Response, Code::Unknown),
        (|| reply(502, ""), Code::Unknown),
        (|| reply(504, ""), Code::DeadlineExceeded),
    ] {
        // Neither the first batch of the request nor the first to fail.
        let vendor = barrier_vendor(4, move |received| match first_user(received).as_str() {
            "user-0" => rejection("first"),
            "user-100" => with_correlation_id(end(), "unknown"),
            "user-150" => with_long_retry_after(reply(429, "")),
            _ => applied_updates(received),
        })
        .await;
        let gateway = Gateway::start(&vendor).await;
        let call = gateway.call(WRITE, json!({"body": updates(0..200)}));
        let status = expect_error(wait_for("the failure", call).await, code, "OUTCOME_UNKNOWN");
        let expected = BulkWriteReport {
            applied: vec![range(50, 99)],
            failed: vec![range(0, 49), range(150, 199)],
            unknown: vec![range(100, 149)],
            not_tried: Vec::new(),
        };
        assert_eq!(report(&status), expected);
        assert_eq!(metadata(&status, "grpc-retry-pushback-ms"), Some("-1"));
        for part in ["50 of 200", "50 may have been"] {
            assert!(status.message().contains(part), "{}", status.message());
        }
    }
}

#[tokio::test]
async fn the_call_fails_with_its_first_failed_batch() {
    let vendor = barrier_vendor(3, |received| match first_user(received).as_str() {
        "user-0" => applied_updates(received),
        "user-50" => with_correlation_id(reply(409, r#"{"code":"second"}"#), "second"),
        _ => with_correlation_id(reply(403, r#"{"code":"third"}"#), "third"),
    })
    .await;
    let gateway = Gateway::start(&vendor).await;
    let call = gateway.call(WRITE, json!({"body": updates(0..150)}));
    let status = expect_error(wait_for("the failure", call).await, Code::Aborted, "SECOND");
    assert_eq!(metadata(&status, "inin-correlation-id"), Some("second"));
}

#[tokio::test]
async fn an_unreadable_response_counts_as_applied_and_stops_the_call() {
    for body in ["", "null", "{}", "[", "<html>"] {
        let vendor = start_vendor(move |received| match first_user(received).as_str() {
            "user-50" => reply(200, body),
            _ => applied_updates(received),
        })
        .await;
        let gateway = sequential_gateway(&vendor).await;
        let answer = gateway.call(WRITE, json!({"body": updates(0..100)})).await;
        let status = expect_error(answer, Code::Internal, "UNREADABLE_ANSWER");
        let all = BulkWriteReport {
            applied: vec![range(0, 99)],
            ..BulkWriteReport::default()
        };
        assert_eq!(report(&status), all, "{body}");
        assert_eq!(
            info(&status, "outcome").as_deref(),
            Some("applied"),
            "{body}"
        );

        // A call that was applied in part must not report `outcome=applied`.
        let answer = gateway.call(WRITE, json!({"body": updates(0..160)})).await;
        let status = expect_error(answer, Code::Internal, "UNREADABLE_ANSWER");
        let expected = BulkWriteReport {
            applied: vec![range(0, 99)],
            not_tried: vec![range(100, 159)],
            ..BulkWriteReport::default()
        };
        assert_eq!(report(&status), expected, "{body}");
        assert_eq!(info(&status, "outcome"), None, "{body}");
        assert!(
            status.message().contains("100 of 160"),
            "{}",
            status.message()
        );
    }
}

#[tokio::test]
async fn a_rejection_takes_precedence_over_an_unreadable_response() {
    let vendor = barrier_vendor(2, |received| match first_user(received).as_str() {
        "user-0" => reply(200, ""),
        _ => rejection("bad.request"),
    })
    .await;
    let gateway = Gateway::start(&vendor).await;
    let call = gateway.call(WRITE, json!({"body": updates(0..60)}));
    let status = expect_error(
        wait_for("the failure", call).await,
        Code::InvalidArgument,
        "BAD_REQUEST",
    );
    let expected = BulkWriteReport {
        applied: vec![range(0, 49)],
        failed: vec![range(50, 59)],
        ..BulkWriteReport::default()
    };
    assert_eq!(report(&status), expected);
}

#[tokio::test]
async fn partial_results_report_each_failed_update() {
    let denied = json!({"code": "missing.any.permissions", "message": "no", "status": 403});
    let vendor = barrier_vendor(4, move |received| match first_user(received).as_str() {
        "user-0" => with_correlation_id(reply(200, "{"), "unreadable"),
        "user-50" => with_correlation_id(reply(403, denied.to_string()), "denied"),
        "user-150" => disconnect(),
        _ => applied_updates(received),
    })
    .await;
    let limits = Limits {
        concurrency: 4,
        ..Limits::default()
    };
    let gateway = Gateway::start_with(&vendor, limits).await;
    let request = json!({"body": updates(0..320), "allowPartialResults": true});
    let token = [("authorization", "Bearer token")];
    let call = gateway.call_with_metadata(WRITE, request, &token);
    let answer = wait_for("the response", call).await.unwrap();
    let id = answer.metadata.get("inin-correlation-id");
    assert_eq!(id.unwrap(), "unreadable");
    // The batches after the failed ones were sent.
    let served = numbers(100..150).into_iter().chain(numbers(200..320));
    assert_eq!(messages(&answer.json), served.collect::<Vec<_>>());
    assert_eq!(
        failures(&answer.json),
        [
            failure(Code::Internal, "UNREADABLE_ANSWER", ids(0..50)),
            failure(
                Code::PermissionDenied,
                "MISSING_ANY_PERMISSIONS",
                ids(50..100)
            ),
            failure(Code::Unknown, "OUTCOME_UNKNOWN", ids(150..200)),
        ]
    );
    let indexes = answer.json["failures"]
        .as_array()
        .unwrap()
        .iter()
        .map(|f| f["indexes"].clone());
    let expected = [0..50, 50..100, 150..200].map(|r| json!(r.collect::<Vec<_>>()));
    assert_eq!(indexes.collect::<Vec<_>>(), expected);
    let unreadable = &answer.json["failures"][0];
    assert_eq!(
        unreadable["status"]["details"][0]["metadata"]["outcome"],
        "applied"
    );
    let denied = &answer.json["failures"][1]["status"]["details"];
    assert_eq!(
        denied[0]["metadata"],
        json!({
            "http_status": "403",
            "required_permissions": "presence:userPresence:edit",
            "required_permissions_mode": "ANY",
        })
    );
    assert_eq!(denied[1]["requestId"], "denied");
}

#[tokio::test]
async fn partial_results_succeed_although_every_update_failed() {
    let vendor = start_vendor(|_| rejection("bad.request")).await;
    let gateway = sequential_gateway(&vendor).await;
    let request = json!({"body": updates(0..120), "allowPartialResults": true});
    let answer = gateway.call(WRITE, request).await.unwrap();
    assert_eq!(answer["presences"], Value::Null);
    let each = [0..50, 50..100, 100..120];
    let each = each.map(|range| failure(Code::InvalidArgument, "BAD_REQUEST", ids(range)));
    assert_eq!(failures(&answer), each);
}

#[tokio::test]
async fn a_rejected_token_fails_the_call_unless_an_update_was_applied() {
    let rejection = || reply(401, r#"{"code":"bad.credentials","message":"no"}"#);
    let request = json!({"body": updates(0..120), "allowPartialResults": true});

    let refusing = start_vendor(move |_| rejection()).await;
    let answer = sequential_gateway(&refusing)
        .await
        .call(WRITE, request.clone())
        .await;
    let status = expect_error(answer, Code::Unauthenticated, "BAD_CREDENTIALS");
    let expected = BulkWriteReport {
        failed: vec![range(0, 49)],
        not_tried: vec![range(50, 119)],
        ..BulkWriteReport::default()
    };
    assert_eq!(report(&status), expected);

    let refusing = start_vendor(move |received| match first_user(received).as_str() {
        "user-0" => applied_updates(received),
        _ => rejection(),
    })
    .await;
    let answer = sequential_gateway(&refusing)
        .await
        .call(WRITE, request)
        .await
        .unwrap();
    assert_eq!(messages(&answer), numbers(0..50));
    assert_eq!(
        failures(&answer),
        [
            failure(Code::Unauthenticated, "BAD_CREDENTIALS", ids(50..100)),
            failure(Code::Aborted, "NOT_TRIED", ids(100..120)),
        ]
    );
}

#[tokio::test]
async fn the_largest_report_fits_into_a_status() {
    // The maximum of concurrent batches, neighbours with different outcomes, and
    // the longest rejections.
    let long = "words ".repeat(2000);
    let fields: Vec<Value> = (0..20)
        .map(|n| json!({"fieldName": format!("field{n}"), "errorCode": long}))
        .collect();
    let wordy = json!({
        "code": long, "message": long, "status": 502, "contextId": "x".repeat(128),
        "details": fields, "limit": {"key": long, "namespace": long, "value": 1},
    });
    for (status, is_some_lost) in [(400, false), (429, false), (502, true)] {
        let (wordy, batches) = (wordy.to_string(), 64);
        let vendor = barrier_vendor(batches, move |received| {
            let number: usize = first_user(received)[5..].parse().unwrap();
            match number / 50 % if is_some_lost { 3 } else { 2 } {
                0 => applied_updates(received),
                1 => with_long_retry_after(with_correlation_id(
                    reply(status, wordy.clone()),
                    &"x".repeat(128),
                )),
                _ => disconnect(),
            }
        })
        .await;
        let limits = Limits {
            concurrency: batches,
            ..Limits::default()
        };
        let gateway = Gateway::start_with(&vendor, limits).await;
        let call = gateway.call(WRITE, json!({"body": updates(0..5000)}));
        let status = wait_for("the failure", call).await.unwrap_err();
        let report = report(&status);
        let ranges = report.applied.len() + report.failed.len() + report.unknown.len();
        assert!(ranges >= batches / 3 * 2, "{report:?}");
        let size = encoded_size(&status);
        assert!(size <= MAX_STATUS_BYTES, "{size} bytes");
    }
}

#[tokio::test]
async fn a_position_in_a_vendor_error_is_mapped_to_the_whole_request() {
    for (name, expected) in [
        ("[3].message", "body[53].message"),
        (
            "body[3].presenceDefinition.id",
            "body[53].presence_definition.id",
        ),
        ("[3]", "body[53]"),
        ("message", "body.message"),
        ("[x].message", "[x].message"),
    ] {
        let vendor = start_vendor(move |received| match first_user(received).as_str() {
            "user-50" => {
                let details = json!([{"fieldName": name, "errorCode": "wrong"}]);
                let body = json!({"code": "bad.request", "message": "m", "details": details});
                reply(400, body.to_string())
            }
            _ => applied_updates(received),
        })
        .await;
        let gateway = sequential_gateway(&vendor).await;
        let answer = gateway.call(WRITE, json!({"body": updates(0..120)})).await;
        let status = expect_error(answer, Code::InvalidArgument, "BAD_REQUEST");
        assert_eq!(violations(&status), [expected], "{name}");
    }
}
