//! What one token may have: its requests of a minute, and its part of the places.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use http::HeaderValue;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, mpsc};
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::support::{
    Gateway, JsonResponse, Limits, NO_RETRIES, Vendor, expect_error, metadata, reply,
};

const RPC: &str = "GetUserPresencesPurecloud";
const BULK: &str = "GetUsersPresencesPurecloudBulk";

async fn call(gateway: &Gateway, token: &str) -> Result<JsonResponse, Status> {
    gateway
        .call_with_token(token, RPC, json!({"userId": "u"}))
        .await
}

/// A gateway that gives each token three requests a minute.
async fn three_a_minute(vendor: &Vendor) -> Gateway {
    let limits = Limits {
        token_requests: 3,
        ..Limits::default()
    };
    Gateway::start_with(vendor, limits).await
}

fn ids(count: usize) -> Value {
    json!((0..count).map(|n| n.to_string()).collect::<Vec<_>>())
}

#[tokio::test]
async fn what_would_wait_too_long_is_refused_at_once_and_costs_nothing() {
    let vendor = Vendor::with_response(200, "{}").await;
    let gateway = three_a_minute(&vendor).await;
    for answer in join_all((0..3).map(|_| call(&gateway, "a"))).await {
        answer.unwrap();
    }
    let begun = Instant::now();
    let status = expect_error(
        call(&gateway, "a").await,
        Code::ResourceExhausted,
        "TOKEN_QUOTA_EXHAUSTED",
    );
    assert!(begun.elapsed() < Duration::from_secs(20), "it waited");
    let delay = status
        .get_details_retry_info()
        .unwrap()
        .retry_delay
        .unwrap();
    assert!((30..62).contains(&delay.as_secs()), "{delay:?}");
    assert!(status.get_details_quota_failure().is_some());
    // Longer than the caller has, so it is told not to wait for it.
    assert_eq!(metadata(&status, "grpc-retry-pushback-ms"), Some("-1"));
    assert_eq!(vendor.received().len(), 3);

    call(&gateway, "another").await.unwrap();
}

#[tokio::test]
async fn a_bulk_call_that_cannot_be_whole_in_time_is_refused_before_its_first_request() {
    let vendor = Vendor::with_response(200, "[]").await;
    let gateway = three_a_minute(&vendor).await;
    let updates: Vec<Value> = (0..200).map(|n| json!({"id": n.to_string()})).collect();
    for (rpc, request) in [
        (BULK, json!({"id": ids(200)})),
        ("PutUsersPresencesBulk", json!({"body": updates})),
    ] {
        let answer = gateway.call_with_token("a", rpc, request).await;
        expect_error(answer, Code::ResourceExhausted, "TOKEN_QUOTA_EXHAUSTED");
        assert_eq!(vendor.received().len(), 0, "{rpc}");
    }
    gateway
        .call_with_token("a", BULK, json!({"id": ids(150)}))
        .await
        .unwrap();
}

#[tokio::test]
async fn with_partial_results_what_has_no_turn_is_named() {
    let vendor = Vendor::start(async |received| {
        let ids = received.ids().into_iter().map(|id| json!({"userId": id}));
        reply(200, json!(ids.collect::<Vec<_>>()).to_string())
    })
    .await;
    let gateway = three_a_minute(&vendor).await;
    let request = json!({"id": ids(200), "allowPartialResults": true});
    let answer = gateway
        .call_with_token("a", BULK, request)
        .await
        .unwrap()
        .json;
    assert_eq!(answer["presences"].as_array().unwrap().len(), 150);
    assert_eq!(answer["failures"][0]["ids"].as_array().unwrap().len(), 50);
    assert_eq!(
        answer["failures"][0]["status"]["code"],
        Code::ResourceExhausted as i32
    );
    assert_eq!(vendor.received().len(), 3);
}

#[tokio::test]
async fn a_token_that_the_vendor_refuses_is_parked_and_no_other() {
    let vendor = Vendor::start(async |received| {
        if received.token().ends_with("greedy") {
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
    let gateway = three_a_minute(&vendor).await;
    let answer = call(&gateway, "greedy").await;
    expect_error(answer, Code::ResourceExhausted, "TOO_MANY_REQUESTS");
    // Now the gateway knows, and need not ask.
    let status = expect_error(
        call(&gateway, "greedy").await,
        Code::ResourceExhausted,
        "TOKEN_QUOTA_EXHAUSTED",
    );
    let delay = status
        .get_details_retry_info()
        .unwrap()
        .retry_delay
        .unwrap();
    assert!((30..=50).contains(&delay.as_secs()), "{delay:?}");
    assert_eq!(vendor.received().len(), 1);
    call(&gateway, "modest").await.unwrap();
}

#[tokio::test]
async fn a_refused_token_is_counted_all_the_same() {
    // One that is refused now and then would else have no limit.
    let vendor = Vendor::with_response(401, r#"{"code":"bad.credentials","message":"m"}"#).await;
    let gateway = three_a_minute(&vendor).await;
    for _ in 0..3 {
        expect_error(
            call(&gateway, "a").await,
            Code::Unauthenticated,
            "BAD_CREDENTIALS",
        );
    }
    let paced = call(&gateway, "a").await;
    expect_error(paced, Code::ResourceExhausted, "TOKEN_QUOTA_EXHAUSTED");
    assert_eq!(vendor.received().len(), 3);
}

#[tokio::test]
async fn a_request_that_never_left_does_not_count() {
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = gone.local_addr().unwrap();
    drop(gone);
    let limits = Limits {
        token_requests: 3,
        ..Limits::default()
    };
    let gateway = Gateway::start_at_with(&format!("http://{address}"), limits).await;
    for _ in 0..5 {
        let answer = call(&gateway, "a").await;
        expect_error(answer, Code::Unavailable, "UPSTREAM_UNREACHABLE");
    }
}

#[tokio::test]
async fn a_refusal_tells_of_the_wait_for_the_next_turn_if_that_is_longer() {
    let vendor = Vendor::start(async |_| {
        let mut answer = reply(429, r#"{"code":"too.many.requests","message":"m"}"#);
        let soon = HeaderValue::from_static("1");
        answer.headers_mut().insert("retry-after", soon);
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
    let told = status.get_details_retry_info().unwrap();
    let delay = told.retry_delay.unwrap();
    assert!((58..=61).contains(&delay.as_secs()), "{delay:?}");
    assert_eq!(metadata(&status, "grpc-retry-pushback-ms"), Some("-1"));
    assert_eq!(vendor.received().len(), 1);
}

#[tokio::test]
async fn a_request_that_is_sent_again_counts_again() {
    let vendor = Vendor::with_response(503, "").await;
    let gateway = three_a_minute(&vendor).await;
    expect_error(
        call(&gateway, "a").await,
        Code::Unavailable,
        "UPSTREAM_ERROR",
    );
    assert_eq!(vendor.received().len(), 3);
    let answer = call(&gateway, "a").await;
    expect_error(answer, Code::ResourceExhausted, "TOKEN_QUOTA_EXHAUSTED");
}

#[tokio::test]
async fn one_token_holds_a_quarter_of_the_places_at_most() {
    let (arrive, mut arrived) = mpsc::unbounded_channel();
    let answers = Arc::new(Semaphore::new(0));
    let permits = Arc::clone(&answers);
    let vendor = Vendor::start(move |_| {
        let (arrive, permits) = (arrive.clone(), Arc::clone(&permits));
        async move {
            arrive.send(()).unwrap();
            permits.acquire().await.unwrap().forget();
            reply(200, "{}")
        }
    })
    .await;
    let limits = Limits {
        max_in_flight: 8,
        ..Limits::default()
    };
    let gateway = Gateway::start_with(&vendor, limits).await;
    let mut held = Vec::new();
    for token in ["greedy", "greedy", "modest"] {
        let gateway = gateway.clone();
        held.push(tokio::spawn(async move { call(&gateway, token).await }));
        arrived.recv().await.unwrap();
    }
    // However the scheme is spelt, it is the same token.
    for scheme in ["Bearer", "BEARER "] {
        let token = format!("{scheme} greedy");
        let token = [("authorization", token.as_str()), NO_RETRIES];
        let answer = gateway
            .call_with_metadata(RPC, json!({"userId": "u"}), &token)
            .await;
        let status = expect_error(answer, Code::ResourceExhausted, "TOKEN_OVERLOADED");
        assert_eq!(metadata(&status, "grpc-retry-pushback-ms"), Some("200"));
    }
    assert_eq!(vendor.received().len(), 3);
    answers.add_permits(10);
    for call in held {
        call.await.unwrap().unwrap();
    }
    call(&gateway, "greedy").await.unwrap();
}

/// A vendor that takes so many requests of a token in a second, which begins
/// with the first of them.
async fn limited(requests: usize) -> Vendor {
    let window = Mutex::new((Instant::now(), 0));
    Vendor::start(move |_| {
        let mut window = window.lock();
        if window.0.elapsed() >= Duration::from_secs(1) {
            *window = (Instant::now(), 0);
        }
        window.1 += 1;
        let is_taken = window.1 <= requests;
        async move {
            if is_taken {
                return reply(200, "{}");
            }
            let mut answer = reply(429, r#"{"code":"too.many.requests","message":"m"}"#);
            let soon = HeaderValue::from_static("1");
            answer.headers_mut().insert("retry-after", soon);
            answer
        }
    })
    .await
}

#[tokio::test]
async fn a_limit_of_the_vendors_under_ours_is_learnt_and_everybody_is_served() {
    const CALLS: usize = 30;
    let vendor = limited(5).await;
    let limits = Limits {
        token_requests: 300,
        ..Limits::default()
    };
    let gateway = Gateway::start_with(&vendor, limits).await;
    let answers = join_all((0..CALLS).map(|_| call(&gateway, "a"))).await;
    let failed = answers.iter().filter(|answer| answer.is_err()).count();
    let refused = vendor.received().len() - (CALLS - failed);
    assert_eq!(failed, 0, "of {CALLS}, with {refused} refusals");
    // All of the first burst but five, and then a few for each second.
    assert!(refused < CALLS - 5 + 15, "{refused} refusals");
}

#[tokio::test]
async fn a_token_that_is_always_refused_costs_little() {
    const CALLS: usize = 20;
    for retry_after in ["0", "Wed, 21 Oct 2015 07:28:00 GMT"] {
        let vendor = Vendor::start(move |_| async move {
            let mut answer = reply(429, r#"{"code":"too.many.requests","message":"m"}"#);
            let now = HeaderValue::from_static(retry_after);
            answer.headers_mut().insert("retry-after", now);
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
        // All at once, and then one to see whether it is over, or two.
        let sent = vendor.received().len();
        assert!(sent <= CALLS + 3, "{sent} requests of {CALLS} calls");
    }
}
