//! Retries: which requests the gateway sends again, and how often.

mod throttled;

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use futures_util::future::join_all;
use http::HeaderValue;
use serde_json::{Value, json};
use tonic::Code;

use crate::support::raw_http::RawVendor;
use crate::support::{Gateway, NO_RETRIES, Vendor, disconnect, expect_error, metadata, reply};

/// An operation of each kind, with a valid request.
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

/// Whether a repetition of the operation has no further effect.
fn is_idempotent(rpc: &str) -> bool {
    ![
        "PutUsersPresencesBulk",
        "PatchUserPresencesPurecloud",
        "PostPresenceSources",
    ]
    .contains(&rpc)
}

/// A status that stands for a closed connection without a response.
const CUT: u16 = 0;

/// A vendor whose first `failures` responses have this status, or are [`CUT`].
async fn failing(failures: usize, status: u16) -> Vendor {
    let requests = AtomicUsize::new(0);
    Vendor::start(move |received| {
        let fails = requests.fetch_add(1, SeqCst) < failures;
        async move {
            match status {
                CUT if fails => disconnect(),
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
async fn an_idempotent_request_is_retried_after_a_lost_connection_or_a_5xx_of_a_proxy() {
    for status in [CUT, 502, 503, 504] {
        for (rpc, request) in operations() {
            let vendor = failing(2, status).await;
            let gateway = Gateway::start(&vendor).await;
            let answer = gateway.call(rpc, request).await;
            let sent = vendor.received();
            let case = format!("{rpc} after {status}");
            if is_idempotent(rpc) {
                answer.unwrap_or_else(|status| panic!("{case}: {status:?}"));
                assert_eq!(sent.len(), 3, "{case}");
                assert!(
                    sent.iter()
                        .all(|retry| retry.path_and_query == sent[0].path_and_query
                            && retry.body == sent[0].body
                            && retry.token() == sent[0].token()),
                    "{case}: the retries should equal the first request: {sent:?}"
                );
            } else {
                answer.expect_err(&case);
                assert_eq!(sent.len(), 1, "{case}");
            }
        }
    }
}

#[tokio::test]
async fn a_request_gets_three_attempts() {
    for (rpc, request) in operations()
        .into_iter()
        .filter(|(rpc, _)| is_idempotent(rpc))
    {
        let vendor = failing(usize::MAX, 503).await;
        let gateway = Gateway::start(&vendor).await;
        expect_error(
            gateway.call(rpc, request).await,
            Code::Unavailable,
            "SOME_CODE",
        );
        assert_eq!(vendor.received().len(), 3, "{rpc}");
    }
}

#[tokio::test]
async fn a_permanent_error_is_not_retried() {
    for status in [400, 401, 403, 404, 408, 409, 413, 500, 501] {
        for (rpc, request) in operations() {
            let vendor = failing(usize::MAX, status).await;
            let gateway = Gateway::start(&vendor).await;
            gateway.call(rpc, request).await.unwrap_err();
            assert_eq!(vendor.received().len(), 1, "{rpc} after {status}");
        }
    }
}

#[tokio::test]
async fn a_request_that_was_never_sent_is_retried() {
    for (rpc, request) in operations() {
        // Closes the connection before the TLS handshake.
        let vendor = RawVendor::start(async |_| {}).await;
        let upstream = format!("https://{}", vendor.address);
        let gateway = Gateway::start_at(&upstream).await;
        expect_error(
            gateway.call(rpc, request).await,
            Code::Unavailable,
            "UPSTREAM_UNREACHABLE",
        );
        assert_eq!(vendor.connections(), 3, "{rpc}");
    }
}

#[tokio::test]
async fn the_gateway_does_not_retry_a_retry_of_its_client() {
    for status in [CUT, 429, 503] {
        for (rpc, request) in operations() {
            let vendor = failing(usize::MAX, status).await;
            let gateway = Gateway::start(&vendor).await;
            let token = ("authorization", "Bearer token");
            gateway
                .call_with_metadata(rpc, request, &[token, NO_RETRIES])
                .await
                .unwrap_err();
            assert_eq!(vendor.received().len(), 1, "{rpc} after {status}");
        }
    }
}

#[tokio::test]
async fn a_404_to_the_retry_of_a_delete_that_may_have_succeeded_is_success() {
    for first in [CUT, 502, 504] {
        let requests = AtomicUsize::new(0);
        let vendor = Vendor::start(move |_| {
            let is_first = requests.fetch_add(1, SeqCst) == 0;
            async move {
                match first {
                    CUT if is_first => disconnect(),
                    status if is_first => reply(status, ""),
                    _ => reply(404, r#"{"code":"not.found","message":"m"}"#),
                }
            }
        })
        .await;
        let gateway = Gateway::start(&vendor).await;
        let request = json!({"sourceId": "s"});
        gateway.call("DeletePresenceSource", request).await.unwrap();
        assert_eq!(vendor.received().len(), 2, "after {first}");
    }
}

#[tokio::test]
async fn a_404_to_the_retry_of_a_delete_that_was_not_applied_is_not_found() {
    // A 503 means that nothing was applied.
    let requests = AtomicUsize::new(0);
    let vendor = Vendor::start(move |_| {
        let is_first = requests.fetch_add(1, SeqCst) == 0;
        async move {
            if is_first {
                reply(503, "")
            } else {
                reply(404, r#"{"code":"not.found","message":"m"}"#)
            }
        }
    })
    .await;
    let gateway = Gateway::start(&vendor).await;
    let answer = gateway
        .call("DeletePresenceSource", json!({"sourceId": "s"}))
        .await;
    expect_error(answer, Code::NotFound, "NOT_FOUND");
}

#[tokio::test]
async fn a_write_is_of_unknown_outcome_when_any_attempt_was() {
    for (rpc, request) in operations() {
        if !is_idempotent(rpc) || rpc.starts_with("Get") {
            continue;
        }
        let requests = AtomicUsize::new(0);
        let vendor = Vendor::start(move |_| {
            let is_first = requests.fetch_add(1, SeqCst) == 0;
            async move {
                if is_first {
                    disconnect()
                } else {
                    reply(403, r#"{"code":"missing.permissions","message":"m"}"#)
                }
            }
        })
        .await;
        let gateway = Gateway::start(&vendor).await;
        let status = expect_error(
            gateway.call(rpc, request).await,
            Code::Unknown,
            "OUTCOME_UNKNOWN",
        );
        assert_eq!(metadata(&status, "grpc-retry-pushback-ms"), Some("-1"));
        assert_eq!(vendor.received().len(), 2, "{rpc}");
    }
}

#[tokio::test]
async fn the_retry_budget_limits_retries_to_a_failing_vendor() {
    const CALLS: usize = 200;
    let vendor = failing(usize::MAX, 503).await;
    let gateway = Gateway::start(&vendor).await;
    let call = || gateway.call("GetUserPresencesPurecloud", json!({"userId": "u"}));
    let answers = join_all((0..CALLS).map(|_| call())).await;
    assert!(answers.iter().all(Result::is_err));
    let sent = vendor.received().len();
    assert_eq!(sent, CALLS + 100, "the budget allows 100 retries");
}

#[tokio::test]
async fn only_the_failed_batch_of_a_bulk_read_is_retried() {
    let requests = AtomicUsize::new(0);
    let vendor = Vendor::start(move |received| {
        let is_third = requests.fetch_add(1, SeqCst) == 2;
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
    let gateway = Gateway::start(&vendor).await;
    let ids: Vec<String> = (0..200).map(|n| n.to_string()).collect();
    let answer = gateway
        .call("GetUsersPresencesPurecloudBulk", json!({"id": ids}))
        .await
        .unwrap();
    assert_eq!(answer["presences"].as_array().unwrap().len(), 200);
    assert_eq!(vendor.received().len(), 5);
}
