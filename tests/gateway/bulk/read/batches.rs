//! Bulk reads: how ids are cut into requests, and how the responses are
//! assembled.

use serde_json::{Value, json};
use tonic::Code;

use crate::support::bulk::{
    READ, READS, all_presences, failure, failures, ids, presence, read_request, start_vendor,
    strings, user_ids,
};
use crate::support::{
    CORRELATION_ID, Gateway, Limits, ReceivedRequest, Vendor, expect_error, metadata, violations,
};

#[tokio::test]
async fn fifty_ids_are_one_request_and_each_batch_repeats_the_other_parameters() {
    for (rpc, path) in READS {
        for (count, batches) in [
            (1, vec![ids(0..1)]),
            (50, vec![ids(0..50)]),
            (51, vec![ids(0..50), ids(50..51)]),
            (101, vec![ids(0..50), ids(50..100), ids(100..101)]),
        ] {
            let vendor = start_vendor(all_presences).await;
            let gateway = Gateway::start(&vendor).await;
            let request = read_request(rpc, json!({"id": ids(0..count)}));
            let answer = gateway.call(rpc, request).await.unwrap();
            assert_eq!(user_ids(&answer), ids(0..count), "{rpc}");
            assert_eq!(answer["missingIds"], Value::Null, "{rpc}");

            let mut received = vendor.received();
            received.sort_by_key(|received| received.ids()[0][5..].parse::<usize>().unwrap());
            let sent: Vec<_> = received.iter().map(ReceivedRequest::ids).collect();
            assert_eq!(sent, batches, "{rpc} of {count} ids");
            for received in received {
                let names = received.query().into_iter().map(|(name, _)| name);
                assert_eq!(received.path(), path, "{rpc}");
                assert_eq!(names.collect::<Vec<_>>(), ["id"], "{rpc}");
                assert_eq!(received.token(), "Bearer token", "{rpc}");
            }
        }
    }
}

#[tokio::test]
async fn a_repeated_id_is_sent_once_in_its_first_spelling() {
    let vendor = start_vendor(all_presences).await;
    let gateway = Gateway::start(&vendor).await;
    // 50 distinct ids, more with repetitions.
    let repeated = [ids(0..30), vec!["USER-3".to_owned(); 20], ids(10..50)].concat();
    let answer = gateway.call(READ, json!({"id": repeated})).await.unwrap();
    assert_eq!(vendor.single_request().ids(), ids(0..50));
    assert_eq!(user_ids(&answer), ids(0..50));
}

#[tokio::test]
async fn a_request_without_ids_is_forwarded_once() {
    for (rpc, path) in READS {
        let list = json!([presence("b"), presence("a"), presence("b"), {}]);
        let vendor = Vendor::with_response(200, list.to_string()).await;
        let gateway = Gateway::start(&vendor).await;
        let request = read_request(rpc, json!({"allowPartialResults": true}));
        let answer = gateway.call(rpc, request).await.unwrap();
        assert_eq!(answer, json!({"presences": list}), "{rpc}");
        assert_eq!(vendor.single_request().path_and_query, path, "{rpc}");
    }
}

#[tokio::test]
async fn the_limit_of_ids_is_accepted_and_one_more_is_rejected_unsent() {
    for (rpc, _) in READS {
        let vendor = start_vendor(all_presences).await;
        let limits = Limits {
            max_ids: 60,
            ..Limits::default()
        };
        let gateway = Gateway::start_with(&vendor, limits).await;
        let request = |count| {
            let request = json!({"id": ids(0..count), "allowPartialResults": true});
            read_request(rpc, request)
        };
        let answer = gateway.call(rpc, request(60)).await.unwrap();
        assert_eq!(user_ids(&answer).len(), 60, "{rpc}");
        let sent = vendor.received().len();

        let answer = gateway.call(rpc, request(61)).await;
        let status = expect_error(answer, Code::InvalidArgument, "INVALID_REQUEST");
        assert_eq!(violations(&status), ["ids"], "{rpc}");
        for part in ["60", "61", "--max-bulk-ids"] {
            assert!(status.message().contains(part), "{}", status.message());
        }
        assert_eq!(vendor.received().len(), sent, "{rpc}: a request was sent");
    }
}

#[tokio::test]
async fn an_invalid_id_is_reported_and_nothing_is_sent() {
    let longest = "x".repeat(256);
    let too_long = "x".repeat(257);
    for (rpc, _) in READS {
        let vendor = start_vendor(all_presences).await;
        let gateway = Gateway::start(&vendor).await;
        // Also if the batch before is valid.
        let mut wrong = ids(0..70);
        wrong[55] = "a,b".to_owned();
        wrong[60] = String::new();
        wrong[69].clone_from(&too_long);
        let mut request = read_request(rpc, json!({"id": wrong, "allowPartialResults": true}));
        let status = expect_error(
            gateway.call(rpc, request.clone()).await,
            Code::InvalidArgument,
            "INVALID_REQUEST",
        );
        assert_eq!(violations(&status), ["ids[55]", "ids[60]", "ids[69]"]);
        assert!(status.message().contains("comma"), "{}", status.message());
        assert!(vendor.received().is_empty(), "{rpc}: a request was sent");

        request["id"] = json!([longest, ".", ".."]);
        gateway.call(rpc, request).await.unwrap();
        assert_eq!(vendor.single_request().ids(), [&longest, ".", ".."]);
    }
}

#[tokio::test]
async fn a_presence_is_matched_by_its_user_and_never_by_its_position() {
    let by_uri = json!({"selfUri": "/api/v2/users/user-2/presences/purecloud", "message": "uri"});
    let by_uri_and_empty_id = json!({"userId": "", "selfUri": "/api/v2/users/USER-4/presences"});
    let encoded = json!({"selfUri": "/api/v2/users/z%C3%ab%20%2F/presences/purecloud"});
    let second = json!({"userId": "user-0", "message": "second"});
    let stranger = json!({"userId": "stranger", "selfUri": "/api/v2/users/user-1/presences"});
    let answer = json!([
        second,
        stranger,
        presence("USER-3"),
        {},
        by_uri,
        by_uri_and_empty_id,
        null,
        encoded,
        presence("user-0"),
        presence("loud"),
        null,
    ]);
    let vendor = Vendor::with_response(200, answer.to_string()).await;
    let gateway = Gateway::start(&vendor).await;
    let requested = [ids(0..6), vec!["LOUD".to_owned(), "z\u{eb} /".to_owned()]].concat();
    let answer = gateway.call(READ, json!({"id": requested})).await.unwrap();
    let expected = json!([
        second,
        by_uri,
        presence("USER-3"),
        by_uri_and_empty_id,
        presence("loud"),
        encoded,
        stranger,
        {},
        presence("user-0"),
    ]);
    assert_eq!(answer["presences"], expected);
    assert_eq!(strings(&answer["missingIds"]), ["user-1", "user-5"]);
}

#[tokio::test]
async fn a_response_that_is_no_array_fails_and_reports_no_missing_ids() {
    for body in ["", " ", "null", "{}", r#"{"entities":[]}"#, "[", "<html>"] {
        let vendor = Vendor::with_response(200, body).await;
        let gateway = Gateway::start(&vendor).await;
        for request in [json!({"id": ids(0..60)}), json!({})] {
            let answer = gateway.call(READ, request).await;
            let status = expect_error(answer, Code::Internal, "UNREADABLE_ANSWER");
            assert_eq!(
                metadata(&status, "inin-correlation-id"),
                Some(CORRELATION_ID)
            );
        }
        let request = json!({"id": ids(0..60), "allowPartialResults": true});
        let answer = gateway.call(READ, request).await.unwrap();
        let unreadable = |ids| failure(Code::Internal, "UNREADABLE_ANSWER", ids);
        assert_eq!(
            failures(&answer),
            [unreadable(ids(0..50)), unreadable(ids(50..60))]
        );
        assert_eq!(answer["missingIds"], Value::Null, "{body}");
    }
    let vendor = Vendor::with_response(200, "[]").await;
    let gateway = Gateway::start(&vendor).await;
    let answer = gateway.call(READ, json!({"id": ids(0..60)})).await.unwrap();
    assert_eq!(answer, json!({"missingIds": ids(0..60)}));
}

#[tokio::test]
async fn a_user_id_of_another_type_is_matched_by_the_path_and_never_reported_missing() {
    for (rpc, _) in READS {
        // The path holds the user id, too; the last path is not needed.
        let list = json!([
            {"userId": 7, "selfUri": "/api/v2/users/a/presences/purecloud", "message": "m"},
            {"userId": "b", "selfUri": 7},
        ]);
        let vendor = Vendor::with_response(200, list.to_string()).await;
        let gateway = Gateway::start(&vendor).await;
        let request = read_request(rpc, json!({"id": ["a", "b"]}));
        let answer = gateway.call(rpc, request).await.unwrap();
        let expected = json!({"presences": [
            {"selfUri": "/api/v2/users/a/presences/purecloud", "message": "m"},
            {"userId": "b"},
        ]});
        assert_eq!(answer, expected, "{rpc}");

        // The user of these is unknown; it may be a requested one.
        for odd in [
            json!({"userId": 7}),
            json!({"userId": ["a"], "selfUri": {}}),
            json!({"selfUri": true, "message": "m"}),
            json!({"userId": "", "selfUri": 7}),
            json!({"userId": 7, "selfUri": "/elsewhere"}),
        ] {
            let list = json!([presence("b"), odd]);
            let vendor = Vendor::with_response(200, list.to_string()).await;
            let gateway = Gateway::start(&vendor).await;
            let mut request = read_request(rpc, json!({"id": ["a", "b"]}));
            let answer = gateway.call(rpc, request.clone()).await;
            expect_error(answer, Code::Internal, "UNREADABLE_ANSWER");
            request["allowPartialResults"] = true.into();
            let answer = gateway.call(rpc, request).await.unwrap();
            assert_eq!(answer["missingIds"], Value::Null, "{rpc}: {odd}");
            let both = vec!["a".to_owned(), "b".to_owned()];
            let unreadable = failure(Code::Internal, "UNREADABLE_ANSWER", both);
            assert_eq!(failures(&answer), [unreadable], "{rpc}: {odd}");
        }
    }
}
