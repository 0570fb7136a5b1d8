//! Valid messages of an RPC that cannot become a request.

use prost_reflect::{DynamicMessage, ReflectMessage, Value as Field};
use serde_json::{Value, json};
use tonic::{Code, Request};

use super::{assert_invalid_request, rejected_fields, vendor};
use crate::support::raw_http::{frame, head, send};
use crate::support::{Gateway, expect_error, method, methods, minimal_request, path};

const MAX: usize = 4 * 1024 * 1024;

#[tokio::test]
async fn every_rpc_rejects_a_missing_body_by_name() {
    let vendor = vendor().await;
    let gateway = Gateway::start(&vendor).await;
    let mut checked = 0;
    for method in methods() {
        let Some(body) = method.input().get_field_by_name("body") else {
            continue;
        };
        let mut request = minimal_request(&method);
        request.as_object_mut().unwrap().remove("body");
        if body.is_list() {
            // An empty bulk write is valid, and sends `[]`.
            gateway.call(method.name(), request).await.unwrap();
            assert_eq!(vendor.received().pop().unwrap().body, b"[]");
        } else {
            let rejected = rejected_fields(&gateway, &vendor, method.name(), request).await;
            assert_eq!(
                rejected,
                [("body".to_owned(), "is required".to_owned())],
                "{}",
                method.name()
            );
        }
        checked += 1;
    }
    assert_eq!(checked, 11, "each POST, PUT and PATCH should be checked");
}

#[tokio::test]
async fn all_invalid_fields_are_reported_at_once() {
    let vendor = vendor().await;
    let gateway = Gateway::start(&vendor).await;
    let fields = async |rpc: &str, request: Value| {
        let rejected = rejected_fields(&gateway, &vendor, rpc, request).await;
        rejected
            .into_iter()
            .map(|(field, _)| field)
            .collect::<Vec<_>>()
    };
    let named = fields("PatchUserPresence", json!({"userId": "..", "sourceId": ""})).await;
    assert_eq!(named, ["user_id", "source_id", "body"]);
    let named = fields("PutPresenceDefinition", json!({})).await;
    assert_eq!(named, ["definition_id", "body"]);
    let request = json!({"sourceId": ".", "id": ["", "a", "a,b"]});
    let named = fields("GetUsersPresenceBulk", request).await;
    assert_eq!(named, ["source_id", "ids[0]", "ids[2]"]);
    let status = assert_invalid_request(gateway.call("PutPresenceDefinition", json!({})).await);
    assert!(
        status.message().contains("and 1 more"),
        "{}",
        status.message()
    );
}

#[tokio::test]
async fn at_most_a_hundred_invalid_elements_are_reported() {
    let vendor = vendor().await;
    let gateway = Gateway::start(&vendor).await;
    let request = json!({"divisionId": vec![""; 5000]});
    let status = assert_invalid_request(gateway.call("GetPresenceDefinitions", request).await);
    let message = status.message();
    assert!(message.contains("(and 99 more)"), "{message}");
}

#[tokio::test]
async fn a_date_out_of_range_is_rejected_by_its_path() {
    let vendor = vendor().await;
    let gateway = Gateway::start(&vendor).await;
    for (seconds, nanos) in [
        (253_402_300_800_i64, 0),
        (-62_135_596_801, 0),
        (i64::MAX, 0),
        (i64::MIN, 0),
        (0, -1),
        (0, 1_000_000_000),
        (0, i32::MIN),
    ] {
        for (rpc, in_list) in [
            ("PatchUserPresencesPurecloud", false),
            ("PutUsersPresencesBulk", true),
        ] {
            let method = method(rpc);
            let mut request = DynamicMessage::new(method.input());
            if !in_list {
                request.set_field_by_name("user_id", Field::String("u".into()));
            }
            let body = method.input().get_field_by_name("body").unwrap();
            let model = body.kind().as_message().unwrap().clone();
            let mut presence = DynamicMessage::new(model.clone());
            presence.set_field_by_name("id", Field::String("u".into()));
            let valid = presence.clone();
            let date = model.get_field_by_name("modified_date").unwrap();
            let mut timestamp = DynamicMessage::new(date.kind().as_message().unwrap().clone());
            timestamp.set_field_by_name("seconds", Field::I64(seconds));
            timestamp.set_field_by_name("nanos", Field::I32(nanos));
            presence.set_field_by_name("modified_date", Field::Message(timestamp));
            let body = if in_list {
                Field::List(vec![Field::Message(valid), Field::Message(presence)])
            } else {
                Field::Message(presence)
            };
            request.set_field_by_name("body", body);
            let mut call = Request::new(prost::Message::encode_to_vec(&request));
            call.metadata_mut()
                .insert("authorization", "Bearer token".parse().unwrap());
            assert_eq!(request.descriptor(), method.input());
            let status = assert_invalid_request(gateway.call_raw(&path(&method), call).await);
            let field = if in_list {
                "body[1].modified_date"
            } else {
                "body.modified_date"
            };
            assert_eq!(
                crate::support::violations(&status),
                [field],
                "{seconds} s, {nanos} ns"
            );
            assert!(
                status.message().contains("years 1 to 9999"),
                "{}",
                status.message()
            );
        }
    }
    assert!(vendor.received().is_empty());
}

/// An encoded request of exactly this size.
fn sized(bytes: usize) -> Vec<u8> {
    let method = method("PatchUserPresencesPurecloud");
    let mut request = DynamicMessage::new(method.input());
    request.set_field_by_name("user_id", Field::String("u".into()));
    let model = method.input().get_field_by_name("body").unwrap();
    let mut body = DynamicMessage::new(model.kind().as_message().unwrap().clone());
    // 13 bytes precede the text: at any size used here, its length and the length of
    // the body take four bytes each.
    body.set_field_by_name("message", Field::String("m".repeat(bytes - 13)));
    request.set_field_by_name("body", Field::Message(body));
    let encoded = prost::Message::encode_to_vec(&request);
    assert_eq!(encoded.len(), bytes);
    encoded
}

#[tokio::test]
async fn a_message_over_the_limit_is_rejected_with_advice() {
    let vendor = vendor().await;
    let gateway = Gateway::start(&vendor).await;
    let path = path(&method("PatchUserPresencesPurecloud"));
    let call = async |bytes: usize| {
        let call = head(&path).body(frame(&sized(bytes)).into()).unwrap();
        send(&gateway, call).await.result()
    };
    call(MAX).await.unwrap();
    let sent = vendor.single_request();
    assert_eq!(sent.json()["message"].as_str().unwrap().len(), MAX - 13);
    for bytes in [MAX + 1, 2 * MAX, 8 * MAX] {
        let status = expect_error(
            call(bytes).await,
            Code::ResourceExhausted,
            "MESSAGE_TOO_LARGE",
        );
        assert!(
            status.message().contains("4194304 bytes"),
            "{}",
            status.message()
        );
        assert!(
            status.message().contains("several calls"),
            "{}",
            status.message()
        );
    }
    // A frame head that declares 4 GiB.
    let declared = [&[0, 0xff, 0xff, 0xff, 0xff][..], &[0; 100]].concat();
    let call = head(&path).body(declared.into()).unwrap();
    let answer = send(&gateway, call).await.result();
    expect_error(answer, Code::ResourceExhausted, "MESSAGE_TOO_LARGE");
    vendor.single_request();
}

#[tokio::test]
async fn the_error_of_too_many_ids_names_field_and_limit() {
    let vendor = vendor().await;
    let limits = crate::support::Limits {
        max_ids: 3,
        ..Default::default()
    };
    let gateway = Gateway::start_with(&vendor, limits).await;
    for rpc in ["GetUsersPresenceBulk", "GetUsersPresencesPurecloudBulk"] {
        let mut request = minimal_request(&method(rpc));
        request["id"] = json!(["a", "b", "c", "d"]);
        let rejected = rejected_fields(&gateway, &vendor, rpc, request.clone()).await;
        assert_eq!(rejected[0].0, "ids");
        assert!(rejected[0].1.contains("at most 3 "), "{rejected:?}");
        request["id"] = json!(["a", "b", "c"]);
        gateway.call(rpc, request).await.unwrap();
    }
    let body: Vec<_> = (0..4).map(|n| json!({"id": n.to_string()})).collect();
    let rejected = rejected_fields(
        &gateway,
        &vendor,
        "PutUsersPresencesBulk",
        json!({"body": body}),
    )
    .await;
    assert_eq!(rejected[0].0, "body");
}

#[tokio::test]
async fn the_error_of_a_too_long_url_names_the_field() {
    let vendor = vendor().await;
    let gateway = Gateway::start(&vendor).await;
    let ids: Vec<String> = (0..3000).map(|n| format!("{n:036}")).collect();
    for (request, field) in [
        (
            json!({"divisionId": ids, "localeCode": "en_US"}),
            "division_ids",
        ),
        (
            json!({"divisionId": ["*"], "localeCode": "x".repeat(70_000)}),
            "locale_code",
        ),
    ] {
        let rejected = rejected_fields(&gateway, &vendor, "GetPresenceDefinitions", request).await;
        assert_eq!(rejected.len(), 1, "{rejected:?}");
        assert_eq!(rejected[0].0, field);
        assert!(
            rejected[0].1.contains("exceeds the limit of 60000 bytes"),
            "{rejected:?}"
        );
    }
}

#[tokio::test]
async fn a_call_without_a_token_is_rejected_before_its_message_is_read() {
    let vendor = vendor().await;
    let gateway = Gateway::start(&vendor).await;
    let huge = vec![0_u8; MAX + 1];
    for message in [&b"\xff\xff\xff"[..], &huge] {
        let method = method("GetUserPresence");
        let request = Request::new(message.to_vec());
        let answer = gateway.call_raw(&path(&method), request).await;
        expect_error(answer, Code::Unauthenticated, "MISSING_TOKEN");
    }
}
