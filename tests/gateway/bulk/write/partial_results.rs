//! Bulk writes with partial results: a failed batch stops others only if its
//! failure applies to the whole call, or to keep the order of a user's updates.

use std::ops::Range;
use std::time::Duration;

use axum::response::Response;
use serde_json::{Value, json};
use tonic::Code;

use crate::support::bulk::{
    WRITE, applied_updates, failure, failures, first_user, ids, messages, numbers, start_vendor,
    update, updates,
};
use crate::support::{Gateway, Limits, NO_RETRIES, Vendor, disconnect, reply};

/// Starts a gateway that sends one batch at a time.
async fn sequential_gateway(vendor: &Vendor) -> Gateway {
    let limits = Limits {
        concurrency: 1,
        default_deadline: Duration::from_secs(20),
        ..Limits::default()
    };
    Gateway::start_with(vendor, limits).await
}

/// Starts a vendor that responds so to the batch that starts with `user`, and
/// applies others.
async fn failing(
    user: &'static str,
    answer: impl Fn() -> Response + Send + Sync + 'static,
) -> Vendor {
    start_vendor(move |received| match first_user(received).as_str() {
        first if first == user => answer(),
        _ => applied_updates(received),
    })
    .await
}

fn rejection(status: u16) -> Response {
    reply(status, json!({"code": "some.code"}).to_string())
}

fn partial(body: &[Value]) -> Value {
    json!({"body": body, "allowPartialResults": true})
}

/// The positions of each failure.
fn indexes(answer: &Value) -> Vec<Vec<usize>> {
    let failures = answer["failures"].as_array().unwrap();
    let indexes = failures.iter().map(|failure| failure["indexes"].clone());
    indexes
        .map(|indexes| serde_json::from_value(indexes).unwrap())
        .collect()
}

/// The users of each request, in the order of arrival.
fn requests(vendor: &Vendor) -> Vec<Vec<String>> {
    let user = |update: &Value| update["id"].as_str().unwrap().to_owned();
    let received = vendor.received();
    let users = received.iter().map(|received| {
        received
            .json()
            .as_array()
            .unwrap()
            .iter()
            .map(user)
            .collect()
    });
    users.collect()
}

fn all_but(whole: Range<usize>, left_out: Range<usize>) -> Vec<String> {
    let left_out = numbers(left_out);
    let mut all = numbers(whole);
    all.retain(|number| !left_out.contains(number));
    all
}

#[tokio::test]
async fn a_rejected_batch_stops_no_other() {
    for (status, code) in [
        (400, Code::InvalidArgument),
        (403, Code::PermissionDenied),
        (404, Code::NotFound),
        (408, Code::Unavailable),
        (409, Code::Aborted),
        (413, Code::InvalidArgument),
        (418, Code::FailedPrecondition),
        (500, Code::Internal),
        (503, Code::Unavailable),
    ] {
        let vendor = failing("user-50", move || rejection(status)).await;
        let gateway = sequential_gateway(&vendor).await;
        // Without retries, which some of these statuses would cause.
        let metadata = [("authorization", "Bearer token"), NO_RETRIES];
        let request = partial(&updates(0..170));
        let answer = gateway.call_with_metadata(WRITE, request, &metadata).await;
        let answer = answer.unwrap().json;
        assert_eq!(
            failures(&answer),
            [failure(code, "SOME_CODE", ids(50..100))],
            "{status}: the failures are those of that batch alone"
        );
        assert_eq!(indexes(&answer), [(50..100).collect::<Vec<_>>()]);
        assert_eq!(messages(&answer), all_but(0..170, 50..100), "{status}");
    }
}

#[tokio::test]
async fn an_unknown_or_unreadable_batch_stops_no_updates_of_other_users() {
    type End = fn() -> Response;
    for (end, code, reason) in [
        (disconnect as End, Code::Unknown, "OUTCOME_UNKNOWN"),
        (|| rejection(502), Code::Unknown, "OUTCOME_UNKNOWN"),
        (|| rejection(504), Code::DeadlineExceeded, "OUTCOME_UNKNOWN"),
        (|| reply(200, "{"), Code::Internal, "UNREADABLE_ANSWER"),
    ] {
        let vendor = failing("user-0", end).await;
        let gateway = sequential_gateway(&vendor).await;
        let answer = gateway.call(WRITE, partial(&updates(0..120))).await;
        let answer = answer.unwrap();
        assert_eq!(failures(&answer), [failure(code, reason, ids(0..50))]);
        assert_eq!(messages(&answer), numbers(50..120), "{code:?}");
    }
}

#[tokio::test]
async fn an_update_after_a_rejected_one_of_the_same_user_is_sent() {
    let vendor = start_vendor(|received| match received.json()[0]["message"].as_str() {
        Some("0") => rejection(400),
        _ => applied_updates(received),
    })
    .await;
    let gateway = sequential_gateway(&vendor).await;
    let list = [update("a", "0"), update("a", "1")];
    let answer = gateway.call(WRITE, partial(&list)).await.unwrap();
    let refused = failure(Code::InvalidArgument, "SOME_CODE", vec!["a".to_owned()]);
    assert_eq!(failures(&answer), [refused]);
    assert_eq!(messages(&answer), ["1"]);
}

#[tokio::test]
async fn updates_after_an_unknown_one_of_the_same_user_are_not_sent() {
    let vendor = start_vendor(|received| match received.json()[0]["message"].as_str() {
        Some("0") => disconnect(),
        _ => applied_updates(received),
    })
    .await;
    let gateway = sequential_gateway(&vendor).await;
    // A batch starts at the second, third and fourth update of `a`; `A` is the
    // same user.
    let users = ["a", "b", "A", "c", "b", "a", "c", "d", "a"];
    let list: Vec<_> = { users.iter().enumerate() }
        .map(|(place, user)| update(user, &place.to_string()))
        .collect();
    let answer = gateway.call(WRITE, partial(&list)).await.unwrap();
    let names = |places: &[usize]| {
        places
            .iter()
            .map(|&place| users[place].to_owned())
            .collect()
    };
    assert_eq!(
        failures(&answer),
        [
            failure(Code::Unknown, "OUTCOME_UNKNOWN", names(&[0, 1])),
            failure(Code::Aborted, "NOT_TRIED", names(&[2, 4, 5, 8])),
        ]
    );
    assert_eq!(indexes(&answer), [vec![0, 1], vec![2, 4, 5, 8]]);
    let why = answer["failures"][1]["status"]["message"].as_str().unwrap();
    assert!(
        why.contains("same user"),
        "the reason should be given: {why}"
    );
    assert_eq!(messages(&answer), ["3", "6", "7"]);
    let sent = requests(&vendor);
    assert_eq!(
        sent,
        [vec!["a", "b"], vec!["c"], vec!["c", "d"]],
        "no empty request"
    );
}

#[tokio::test]
async fn a_position_in_a_batch_sent_in_part_is_mapped_to_the_request() {
    let vendor = start_vendor(|received| {
        if received.json()[0]["message"] == "0" {
            return disconnect();
        }
        let details = json!([{"fieldName": "[1].message", "errorCode": "wrong"}]);
        let body = json!({"code": "bad.request", "message": "m", "details": details});
        reply(400, body.to_string())
    })
    .await;
    let gateway = sequential_gateway(&vendor).await;
    // The first and the third update of the second batch are not sent.
    let users = ["a", "b", "a", "c", "b", "d"];
    let list: Vec<_> = { users.iter().enumerate() }
        .map(|(place, user)| update(user, &place.to_string()))
        .collect();
    let answer = gateway.call(WRITE, partial(&list)).await.unwrap();
    assert_eq!(indexes(&answer), [vec![0, 1], vec![3, 5], vec![2, 4]]);
    let details = &answer["failures"][1]["status"]["details"];
    let violation = details
        .as_array()
        .unwrap()
        .iter()
        .find_map(|detail| detail["fieldViolations"][0]["field"].as_str());
    assert_eq!(violation, Some("body[5].message"), "{details}");
}

#[tokio::test]
async fn a_failure_of_the_whole_call_ends_it() {
    let limited = || {
        let mut response = rejection(429);
        response.headers_mut().insert("Retry-After", 60.into());
        response
    };
    let ends: [(fn() -> Response, Code); 2] = [
        (|| rejection(401), Code::Unauthenticated),
        (limited, Code::ResourceExhausted),
    ];
    for (end, code) in ends {
        let vendor = failing("user-50", end).await;
        let gateway = sequential_gateway(&vendor).await;
        let answer = gateway.call(WRITE, partial(&updates(0..220))).await;
        let answer = answer.unwrap();
        assert_eq!(messages(&answer), numbers(0..50));
        assert_eq!(
            failures(&answer),
            [
                failure(code, "SOME_CODE", ids(50..100)),
                failure(Code::Aborted, "NOT_TRIED", ids(100..220)),
            ]
        );
        assert_eq!(
            vendor.received().len(),
            2,
            "{code:?} was followed by a request"
        );
    }
}

#[tokio::test]
async fn a_throttle_that_ends_before_the_deadline_stops_no_batch() {
    let vendor = failing("user-0", || {
        let mut response = rejection(429);
        response.headers_mut().insert("Retry-After", 1.into());
        response
    })
    .await;
    let gateway = sequential_gateway(&vendor).await;
    let metadata = [("authorization", "Bearer token"), NO_RETRIES];
    let request = partial(&updates(0..120));
    let answer = gateway.call_with_metadata(WRITE, request, &metadata).await;
    let answer = answer.unwrap().json;
    let limited = failure(Code::ResourceExhausted, "SOME_CODE", ids(0..50));
    assert_eq!(failures(&answer), [limited]);
    assert_eq!(messages(&answer), numbers(50..120));
}

#[tokio::test]
async fn without_partial_results_the_first_failure_stops_the_call() {
    let vendor = failing("user-0", || rejection(400)).await;
    let gateway = sequential_gateway(&vendor).await;
    let answer = gateway.call(WRITE, json!({"body": updates(0..120)})).await;
    let status = answer.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
    assert_eq!(
        vendor.received().len(),
        1,
        "a batch was sent after the failure"
    );
}
