//! A bulk write with partial results: a batch that fails stops no other,
//! unless what it met holds for the whole call, or the order of one user's
//! updates would be lost.

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

/// A gateway that sends one batch after the other.
async fn one_by_one(vendor: &Vendor) -> Gateway {
    let limits = Limits {
        concurrency: 1,
        default_deadline: Duration::from_secs(20),
        ..Limits::default()
    };
    Gateway::start_with(vendor, limits).await
}

/// A vendor that answers the batch that begins with `user` so, and applies the others.
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

fn refusal(status: u16) -> Response {
    reply(status, json!({"code": "some.code"}).to_string())
}

fn partial(body: &[Value]) -> Value {
    json!({"body": body, "allowPartialResults": true})
}

/// The positions that each failure names.
fn indexes(answer: &Value) -> Vec<Vec<usize>> {
    let failures = answer["failures"].as_array().unwrap();
    let indexes = failures.iter().map(|failure| failure["indexes"].clone());
    indexes
        .map(|indexes| serde_json::from_value(indexes).unwrap())
        .collect()
}

/// The users of each request, in the order in which they came.
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
async fn a_batch_that_was_not_applied_stops_no_other() {
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
        let vendor = failing("user-50", move || refusal(status)).await;
        let gateway = one_by_one(&vendor).await;
        // No repetition of the gateway's own, which some of these would get.
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
async fn a_batch_of_unknown_outcome_or_without_a_readable_answer_stops_no_other_users() {
    type End = fn() -> Response;
    for (end, code, reason) in [
        (disconnect as End, Code::Unknown, "OUTCOME_UNKNOWN"),
        (|| refusal(502), Code::Unknown, "OUTCOME_UNKNOWN"),
        (|| refusal(504), Code::DeadlineExceeded, "OUTCOME_UNKNOWN"),
        (|| reply(200, "{"), Code::Internal, "UNREADABLE_ANSWER"),
    ] {
        let vendor = failing("user-0", end).await;
        let gateway = one_by_one(&vendor).await;
        let answer = gateway.call(WRITE, partial(&updates(0..120))).await;
        let answer = answer.unwrap();
        assert_eq!(failures(&answer), [failure(code, reason, ids(0..50))]);
        assert_eq!(messages(&answer), numbers(50..120), "{code:?}");
    }
}

#[tokio::test]
async fn the_later_update_of_a_user_whose_earlier_one_was_refused_is_sent() {
    let vendor = start_vendor(|received| match received.json()[0]["message"].as_str() {
        Some("0") => refusal(400),
        _ => applied_updates(received),
    })
    .await;
    let gateway = one_by_one(&vendor).await;
    let list = [update("a", "0"), update("a", "1")];
    let answer = gateway.call(WRITE, partial(&list)).await.unwrap();
    let refused = failure(Code::InvalidArgument, "SOME_CODE", vec!["a".to_owned()]);
    assert_eq!(failures(&answer), [refused]);
    assert_eq!(messages(&answer), ["1"]);
}

#[tokio::test]
async fn later_updates_of_users_whose_outcome_is_unknown_are_not_sent_and_all_others_are() {
    let vendor = start_vendor(|received| match received.json()[0]["message"].as_str() {
        Some("0") => disconnect(),
        _ => applied_updates(received),
    })
    .await;
    let gateway = one_by_one(&vendor).await;
    // Cut before the second, the third and the fourth update of `a`; `A` is
    // the same user.
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
async fn a_position_in_a_batch_that_was_not_sent_whole_is_told_as_one_of_the_request() {
    let vendor = start_vendor(|received| {
        if received.json()[0]["message"] == "0" {
            return disconnect();
        }
        let details = json!([{"fieldName": "[1].message", "errorCode": "wrong"}]);
        let body = json!({"code": "bad.request", "message": "m", "details": details});
        reply(400, body.to_string())
    })
    .await;
    let gateway = one_by_one(&vendor).await;
    // Of the second batch, the first and the third update are held back.
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
async fn what_holds_for_the_whole_call_ends_it() {
    let limited = || {
        let mut response = refusal(429);
        response.headers_mut().insert("Retry-After", 60.into());
        response
    };
    let ends: [(fn() -> Response, Code); 2] = [
        (|| refusal(401), Code::Unauthenticated),
        (limited, Code::ResourceExhausted),
    ];
    for (end, code) in ends {
        let vendor = failing("user-50", end).await;
        let gateway = one_by_one(&vendor).await;
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
async fn a_limit_that_ends_within_the_deadline_stops_no_other() {
    let vendor = failing("user-0", || {
        let mut response = refusal(429);
        response.headers_mut().insert("Retry-After", 1.into());
        response
    })
    .await;
    let gateway = one_by_one(&vendor).await;
    let metadata = [("authorization", "Bearer token"), NO_RETRIES];
    let request = partial(&updates(0..120));
    let answer = gateway.call_with_metadata(WRITE, request, &metadata).await;
    let answer = answer.unwrap().json;
    let limited = failure(Code::ResourceExhausted, "SOME_CODE", ids(0..50));
    assert_eq!(failures(&answer), [limited]);
    assert_eq!(messages(&answer), numbers(50..120));
}

#[tokio::test]
async fn without_partial_results_the_first_failure_still_stops_the_call() {
    let vendor = failing("user-0", || refusal(400)).await;
    let gateway = one_by_one(&vendor).await;
    let answer = gateway.call(WRITE, json!({"body": updates(0..120)})).await;
    let status = answer.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
    assert_eq!(
        vendor.received().len(),
        1,
        "a batch was sent after the failure"
    );
}
