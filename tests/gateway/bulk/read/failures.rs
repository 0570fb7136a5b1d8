//! Bulk reads with failed batches.

use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::{Value, json};
use tonic::Code;

use crate::support::bulk::{
    READ, READS, all_presences, failure, failures, ids, presence, read_request, start_vendor,
    strings, user_ids, with_correlation_id,
};
use crate::support::{
    CORRELATION_ID, Gateway, Limits, Vendor, disconnect, expect_error, metadata, reply,
};

#[tokio::test]
async fn partial_results_hold_presences_and_failures() {
    for (rpc, _) in READS {
        let vendor = start_vendor(|received| match received.ids()[0].as_str() {
            "user-50" => reply(
                403,
                r#"{"code":"missing.any.permissions","message":"no","status":403}"#,
            ),
            "user-100" => reply(500, ""),
            "user-150" => disconnect(),
            _ => all_presences(received),
        })
        .await;
        let gateway = Gateway::start(&vendor).await;
        let mut request = read_request(rpc, json!({"id": ids(0..201)}));
        gateway.call(rpc, request.clone()).await.unwrap_err();

        request["allowPartialResults"] = json!(true);
        let answer = gateway.call(rpc, request).await.unwrap();
        assert_eq!(user_ids(&answer), [ids(0..50), ids(200..201)].concat());
        assert_eq!(answer["missingIds"], Value::Null);
        assert_eq!(
            failures(&answer),
            [
                failure(
                    Code::PermissionDenied,
                    "MISSING_ANY_PERMISSIONS",
                    ids(50..100)
                ),
                failure(Code::Internal, "UPSTREAM_ERROR", ids(100..150)),
                failure(Code::Unavailable, "UPSTREAM_CONNECTION_LOST", ids(150..200)),
            ]
        );
        let status = &answer["failures"][0]["status"];
        assert_eq!(status["message"], "no");
        // These RPCs declare no permission, so the error names none.
        assert_eq!(
            status["details"],
            json!([
                {
                    "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                    "domain": "genesys.cloud",
                    "reason": "MISSING_ANY_PERMISSIONS",
                    "metadata": {"http_status": "403"},
                },
                {
                    "@type": "type.googleapis.com/google.rpc.RequestInfo",
                    "requestId": CORRELATION_ID,
                },
            ])
        );
    }
}

#[tokio::test]
async fn partial_results_succeed_although_every_batch_failed() {
    let vendor = Vendor::with_response(500, "").await;
    let gateway = Gateway::start(&vendor).await;
    let request = json!({"id": ids(0..120), "allowPartialResults": true});
    let answer = gateway.call(READ, request).await.unwrap();
    let failed: Vec<_> = failures(&answer)
        .into_iter()
        .map(|(_, _, ids)| ids)
        .collect();
    assert_eq!(failed, [ids(0..50), ids(50..100), ids(100..120)]);
    assert_eq!(answer["presences"], Value::Null);
    assert_eq!(answer["missingIds"], Value::Null);
}

#[tokio::test]
async fn a_rejected_token_fails_the_call_and_is_not_sent_again() {
    let vendor = Vendor::with_response(401, r#"{"code":"bad.credentials","message":"no"}"#).await;
    let limits = Limits {
        concurrency: 2,
        ..Limits::default()
    };
    let gateway = Gateway::start_with(&vendor, limits).await;
    for partial in [false, true] {
        let request = json!({"id": ids(0..500), "allowPartialResults": partial});
        let before = vendor.received().len();
        let answer = gateway.call(READ, request).await;
        let status = expect_error(answer, Code::Unauthenticated, "BAD_CREDENTIALS");
        assert_eq!(
            metadata(&status, "inin-correlation-id"),
            Some(CORRELATION_ID)
        );
        let sent = vendor.received().len() - before;
        assert!(sent <= 2, "{sent} requests with a rejected token");
    }
}

#[tokio::test]
async fn a_token_rejected_midway_keeps_the_presences_read_before() {
    let vendor = start_vendor(|received| match received.ids()[0].as_str() {
        "user-0" => all_presences(received),
        _ => reply(401, r#"{"code":"bad.credentials","message":"no"}"#),
    })
    .await;
    let limits = Limits {
        concurrency: 1,
        ..Limits::default()
    };
    let gateway = Gateway::start_with(&vendor, limits).await;
    let request = json!({"id": ids(0..160), "allowPartialResults": true});
    let answer = gateway.call(READ, request).await.unwrap();
    assert_eq!(user_ids(&answer), ids(0..50));
    let refused = |ids| failure(Code::Unauthenticated, "BAD_CREDENTIALS", ids);
    assert_eq!(
        failures(&answer),
        [
            refused(ids(50..100)),
            refused(ids(100..150)),
            refused(ids(150..160))
        ]
    );
    assert_eq!(vendor.received().len(), 2, "the third batch was sent");
}

#[tokio::test]
async fn a_presence_in_another_batch_counts_although_its_own_batch_failed() {
    let vendor = start_vendor(|received| {
        if received.ids()[0] == "user-0" {
            return reply(500, "");
        }
        let answer = json!([presence("user-50"), presence("user-3")]);
        reply(200, answer.to_string())
    })
    .await;
    let gateway = Gateway::start(&vendor).await;
    let request = json!({"id": ids(0..52), "allowPartialResults": true});
    let answer = gateway.call(READ, request).await.unwrap();
    assert_eq!(user_ids(&answer), ["user-3", "user-50"]);
    assert_eq!(strings(&answer["missingIds"]), ["user-51"]);
    let others = [ids(0..3), ids(4..50)].concat();
    assert_eq!(
        failures(&answer),
        [failure(Code::Internal, "UPSTREAM_ERROR", others)]
    );
}

#[tokio::test]
async fn a_failed_batch_is_not_reported_if_others_return_all_its_users() {
    let vendor = start_vendor(|received| match received.ids().as_slice() {
        [_only] => reply(500, ""),
        _ => reply(200, json!([presence("user-50")]).to_string()),
    })
    .await;
    let gateway = Gateway::start(&vendor).await;
    let request = json!({"id": ids(0..51), "allowPartialResults": true});
    let answer = gateway.call(READ, request).await.unwrap();
    assert_eq!(user_ids(&answer), ["user-50"]);
    assert_eq!(failures(&answer), []);
    assert_eq!(strings(&answer["missingIds"]), ids(0..50));
}

#[tokio::test]
async fn the_correlation_id_is_of_the_failed_batch_or_else_of_the_last() {
    let fails = Arc::new(Mutex::new(None));
    let failing = Arc::clone(&fails);
    let vendor = start_vendor(move |received| {
        let first = received.ids()[0].clone();
        let response = match &*failing.lock() {
            Some(fails) if *fails == first => reply(500, ""),
            _ => all_presences(received),
        };
        with_correlation_id(response, &first)
    })
    .await;
    let gateway = Gateway::start(&vendor).await;
    for (failing, expected) in [(None, "user-100"), (Some("user-50"), "user-50")] {
        *fails.lock() = failing.map(str::to_owned);
        let request = json!({"id": ids(0..120), "allowPartialResults": true});
        let token = [("authorization", "Bearer token")];
        let answer = gateway
            .call_with_metadata(READ, request, &token)
            .await
            .unwrap();
        assert_eq!(
            answer.metadata.get("inin-correlation-id").unwrap(),
            expected
        );
    }
    let answer = gateway.call(READ, json!({"id": ids(0..120)})).await;
    let status = expect_error(answer, Code::Internal, "UPSTREAM_ERROR");
    assert_eq!(metadata(&status, "inin-correlation-id"), Some("user-50"));
}
