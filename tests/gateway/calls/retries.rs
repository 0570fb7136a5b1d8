//! What the gateway sends again by itself, and what it never does.

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use http::HeaderValue;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tonic::Code;

use crate::support::raw_http::RawVendor;
use crate::support::{Gateway, Limits, ONCE, Vendor, cut, metadata, refused, reply};

/// An operation of each kind, with a request that is right.
fn operations() -> [(&'static str, Value); 8] {
    [
        ("GetUserPresencesPurecloud", json!({"userId": "u"})),
        ("DeletePresenceSource", json!({"sourceId": "s"})),
        (
            "PutPresenceDefinition",
            json!({"definitionId": "d", "body": {}}),
        ),
        ("PutPresenceSettings", json!({"body": {}})),
        ("PutUsersPresencesBulk", json!({"body": [{"id": "u"}]})),
        ("GetUsersPresencesPurecloudBulk", json!({"id": ["u"]})),
        (
            "PatchUserPresencesPurecloud",
            json!({"userId": "u", "body": {}}),
        ),
        ("PostPresenceSources", json!({"body": {}})),
    ]
}

/// Whether a repetition of the operation changes nothing more.
fn is_repeatable(rpc: &str) -> bool {
    ![
        "PutUsersPresencesBulk",
        "PatchUserPresencesPurecloud",
        "PostPresenceSources",
    ]
    .contains(&rpc)
}

/// How the first answers of a vendor fail; 0 is a connection that is cut.
const CUT: u16 = 0;

/// A vendor whose first answers fail.
async fn failing(failures: usize, status: u16) -> Vendor {
    let asked = AtomicUsize::new(0);
    Vendor::start(move |received| {
        let fails = asked.fetch_add(1, SeqCst) < failures;
        async move {
            match status {
                CUT if fails => cut(),
                429 if fails => {
                    let mut answer = reply(429, r#"{"code":"too.many.requests","message":"m"}"#);
                    answer
                        .headers_mut()
                        .insert("retry-after", HeaderValue::from_static("0"));
                    answer
                }
                _ if fails => reply(status, r#"{"code":"some.code","message":"m"}"#),
                _ if received.path().ends_with("/bulk") => reply(200, "[]"),
                _ => reply(200, "{}"),
            }
        }
    })
    .await
}

#[tokio::test]
async fn what_may_be_lost_in_the_middle_is_sent_again_where_a_repetition_changes_nothing() {
    for status in [CUT, 502, 503, 504] {
        for (rpc, request) in operations() {
            let vendor = failing(2, status).await;
            let gateway = Gateway::before(&vendor).await;
            let answer = gateway.call(rpc, request).await;
            let sent = vendor.received();
            let case = format!("{rpc} after {status}");
            if is_repeatable(rpc) {
                answer.unwrap_or_else(|status| panic!("{case}: {status:?}"));
                assert_eq!(sent.len(), 3, "{case}");
                assert!(
                    sent.iter()
                        .all(|again| again.path_and_query == sent[0].path_and_query
                            && again.body == sent[0].body
                            && again.token() == sent[0].token()),
                    "{case}: another request was sent: {sent:?}"
                );
            } else {
                answer.expect_err(&case);
                assert_eq!(sent.len(), 1, "{case}");
            }
        }
    }
}

#[tokio::test]
async fn three_attempts_are_all() {
    for (rpc, request) in operations()
        .into_iter()
        .filter(|(rpc, _)| is_repeatable(rpc))
    {
        let vendor = failing(usize::MAX, 503).await;
        let gateway = Gateway::before(&vendor).await;
        refused(
            gateway.call(rpc, request).await,
            Code::Unavailable,
            "SOME_CODE",
        );
        assert_eq!(vendor.received().len(), 3, "{rpc}");
    }
}

#[tokio::test]
async fn what_the_vendor_refused_for_its_rate_is_sent_again_whatever_it_is() {
    let one = |(rpc, request)| async move {
        let vendor = failing(1, 429).await;
        let gateway = Gateway::before(&vendor).await;
        gateway.call(rpc, request).await.unwrap();
        assert_eq!(vendor.received().len(), 2, "{rpc}");
    };
    join_all(operations().map(one)).await;
}

#[tokio::test]
async fn a_429_costs_no_attempt() {
    // With the pace of a token, and without any.
    let one = |token_requests| async move {
        let vendor = failing(3, 429).await;
        let limits = Limits {
            token_requests,
            ..Limits::default()
        };
        let gateway = Gateway::with(&vendor, limits).await;
        let request = json!({"userId": "u", "body": {}});
        let answer = gateway.call("PatchUserPresencesPurecloud", request).await;
        answer.unwrap_or_else(|status| panic!("at {token_requests} a minute: {status:?}"));
        assert_eq!(vendor.received().len(), 4, "at {token_requests} a minute");
    };
    join_all([0, 300].map(one)).await;
}

#[tokio::test]
async fn what_is_always_refused_ends_when_the_next_attempt_comes_too_late() {
    let one = |token_requests| async move {
        let vendor = failing(usize::MAX, 429).await;
        let limits = Limits {
            token_requests,
            default_deadline: Duration::from_secs(5),
            ..Limits::default()
        };
        let gateway = Gateway::with(&vendor, limits).await;
        let request = json!({"userId": "u"});
        let answer = gateway.call("GetUserPresencesPurecloud", request).await;
        let status = refused(answer, Code::ResourceExhausted, "TOO_MANY_REQUESTS");
        assert_eq!(metadata(&status, "grpc-retry-pushback-ms"), Some("-1"));
        // After 1 s, and after 2.5 to 3.5 s; the next would be after 5.5 s or more.
        assert_eq!(vendor.received().len(), 3, "at {token_requests} a minute");
    };
    join_all([0, 300].map(one)).await;
}

#[tokio::test]
async fn what_the_vendor_refused_for_good_is_not_sent_again() {
    for status in [400, 401, 403, 404, 408, 409, 413, 500, 501] {
        for (rpc, request) in operations() {
            let vendor = failing(usize::MAX, status).await;
            let gateway = Gateway::before(&vendor).await;
            gateway.call(rpc, request).await.unwrap_err();
            assert_eq!(vendor.received().len(), 1, "{rpc} after {status}");
        }
    }
}

#[tokio::test]
async fn what_never_left_is_sent_again_whatever_it_is() {
    for (rpc, request) in operations() {
        // It hangs up instead of shaking hands.
        let vendor = RawVendor::start(async |_| {}).await;
        let upstream = format!("https://{}", vendor.address);
        let gateway = Gateway::before_url(&upstream).await;
        refused(
            gateway.call(rpc, request).await,
            Code::Unavailable,
            "UPSTREAM_UNREACHABLE",
        );
        assert_eq!(vendor.connections(), 3, "{rpc}");
    }
}

#[tokio::test]
async fn nothing_is_sent_again_for_a_client_that_repeats_the_call_itself() {
    for status in [CUT, 429, 503] {
        for (rpc, request) in operations() {
            let vendor = failing(usize::MAX, status).await;
            let gateway = Gateway::before(&vendor).await;
            let token = ("authorization", "Bearer token");
            gateway
                .call_with(rpc, request, &[token, ONCE])
                .await
                .unwrap_err();
            assert_eq!(vendor.received().len(), 1, "{rpc} after {status}");
        }
    }
}

#[tokio::test]
async fn a_wait_that_is_longer_than_the_time_left_is_not_begun() {
    for (rpc, request) in operations() {
        let vendor = Vendor::start(async |_| {
            let mut answer = reply(429, r#"{"code":"too.many.requests","message":"m"}"#);
            answer
                .headers_mut()
                .insert("retry-after", HeaderValue::from_static("3600"));
            answer
        })
        .await;
        let gateway = Gateway::before(&vendor).await;
        let begun = Instant::now();
        let status = refused(
            gateway.call(rpc, request).await,
            Code::ResourceExhausted,
            "TOO_MANY_REQUESTS",
        );
        // The deadline is 30 s away.
        assert!(begun.elapsed() < Duration::from_secs(20), "it waited");
        assert_eq!(metadata(&status, "grpc-retry-pushback-ms"), Some("-1"));
        assert_eq!(vendor.received().len(), 1, "{rpc}");
    }
}

#[tokio::test]
async fn what_a_first_attempt_deleted_is_not_missed_by_the_second() {
    for first in [CUT, 502, 504] {
        let asked = AtomicUsize::new(0);
        let vendor = Vendor::start(move |_| {
            let is_first = asked.fetch_add(1, SeqCst) == 0;
            async move {
                match first {
                    CUT if is_first => cut(),
                    status if is_first => reply(status, ""),
                    _ => reply(404, r#"{"code":"not.found","message":"m"}"#),
                }
            }
        })
        .await;
        let gateway = Gateway::before(&vendor).await;
        let request = json!({"sourceId": "s"});
        gateway.call("DeletePresenceSource", request).await.unwrap();
        assert_eq!(vendor.received().len(), 2, "after {first}");
    }
}

#[tokio::test]
async fn what_was_not_there_at_the_first_attempt_is_missed() {
    // The first answer says that nothing was done.
    let asked = AtomicUsize::new(0);
    let vendor = Vendor::start(move |_| {
        let is_first = asked.fetch_add(1, SeqCst) == 0;
        async move {
            if is_first {
                reply(503, "")
            } else {
                reply(404, r#"{"code":"not.found","message":"m"}"#)
            }
        }
    })
    .await;
    let gateway = Gateway::before(&vendor).await;
    let answer = gateway
        .call("DeletePresenceSource", json!({"sourceId": "s"}))
        .await;
    refused(answer, Code::NotFound, "NOT_FOUND");
}

#[tokio::test]
async fn an_attempt_of_unknown_outcome_makes_the_call_one() {
    for (rpc, request) in operations() {
        if !is_repeatable(rpc) || rpc.starts_with("Get") {
            continue;
        }
        let asked = AtomicUsize::new(0);
        let vendor = Vendor::start(move |_| {
            let is_first = asked.fetch_add(1, SeqCst) == 0;
            async move {
                if is_first {
                    cut()
                } else {
                    reply(403, r#"{"code":"missing.permissions","message":"m"}"#)
                }
            }
        })
        .await;
        let gateway = Gateway::before(&vendor).await;
        let status = refused(
            gateway.call(rpc, request).await,
            Code::Unknown,
            "OUTCOME_UNKNOWN",
        );
        assert_eq!(metadata(&status, "grpc-retry-pushback-ms"), Some("-1"));
        assert_eq!(vendor.received().len(), 2, "{rpc}");
    }
}

#[tokio::test]
async fn a_vendor_in_trouble_gets_few_more_requests_than_calls() {
    const CALLS: usize = 200;
    let vendor = failing(usize::MAX, 503).await;
    let gateway = Gateway::before(&vendor).await;
    let call = || gateway.call("GetUserPresencesPurecloud", json!({"userId": "u"}));
    let answers = join_all((0..CALLS).map(|_| call())).await;
    assert!(answers.iter().all(Result::is_err));
    let sent = vendor.received().len();
    assert_eq!(sent, CALLS + 100, "a hundred retries, and then none");
}

#[tokio::test]
async fn what_is_limited_leaves_the_repetitions_to_the_others() {
    const CALLS: usize = 200;
    let asked = Mutex::new(HashSet::new());
    let vendor = Vendor::start(move |received| {
        let is_first = asked.lock().insert(received.path().to_owned());
        async move {
            if !is_first {
                return reply(200, "{}");
            }
            let mut answer = reply(429, r#"{"code":"too.many.requests","message":"m"}"#);
            let at_once = HeaderValue::from_static("0");
            answer.headers_mut().insert("retry-after", at_once);
            answer
        }
    })
    .await;
    let gateway = Gateway::before(&vendor).await;
    let calls = (0..CALLS).map(|number| {
        let user = json!({"userId": number.to_string()});
        gateway.call("GetUserPresencesPurecloud", user)
    });
    let answers = join_all(calls).await;
    let refused = answers.iter().filter(|answer| answer.is_err()).count();
    assert_eq!(refused, 0, "of {CALLS} that were limited once");
}

#[tokio::test]
async fn one_batch_that_failed_is_sent_again_and_the_others_are_not() {
    let asked = AtomicUsize::new(0);
    let vendor = Vendor::start(move |received| {
        let is_third = asked.fetch_add(1, SeqCst) == 2;
        async move {
            let ids = received.ids().into_iter().map(|id| json!({"userId": id}));
            let ids: Vec<_> = ids.collect();
            if is_third {
                reply(502, "")
            } else {
                reply(200, json!(ids).to_string())
            }
        }
    })
    .await;
    let gateway = Gateway::before(&vendor).await;
    let ids: Vec<String> = (0..200).map(|n| n.to_string()).collect();
    let answer = gateway
        .call("GetUsersPresencesPurecloudBulk", json!({"id": ids}))
        .await
        .unwrap();
    assert_eq!(answer["presences"].as_array().unwrap().len(), 200);
    assert_eq!(vendor.received().len(), 5);
}
