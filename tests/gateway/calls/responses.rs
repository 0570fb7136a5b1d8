//! Decoding of vendor responses: all that the proto models arrives, whatever else
//! a response holds.

use serde_json::{Value, json};

use crate::support::{Gateway, Vendor};

/// Makes a call to which the vendor responds with `body`.
pub(super) async fn call_with_body(
    rpc: &str,
    body: impl Into<String>,
) -> Result<Value, tonic::Status> {
    let vendor = Vendor::with_response(200, body).await;
    let request = match rpc {
        "GetUserPresencesPurecloud" => json!({"userId": "u"}),
        "PatchUserPresencesPurecloud" => json!({"userId": "u", "body": {}}),
        "DeletePresenceSource" => json!({"sourceId": "s"}),
        _ => json!({}),
    };
    Gateway::start(&vendor).await.call(rpc, request).await
}

#[tokio::test]
async fn every_model_arrives_as_the_vendor_sent_it() {
    let presence = json!({
        "id": "p", "name": "", "source": "PURECLOUD", "sourceId": "s", "primary": false,
        "presenceDefinition": {"id": "d", "systemPresence": "On Queue", "selfUri": "/d"},
        "futurePresenceDefinition": {"id": "f"}, "message": "",
        "modifiedDate": "2023-08-21T15:54:31.904Z", "selfUri": "/p",
    });
    let listing = json!({
        "entities": [{
            "id": "d", "languageLabels": {"en_US": "Available"}, "systemPresence": "Available",
            "deactivated": false, "primary": true,
            "createdBy": {"id": "u", "name": "n", "email": "e", "selfUri": "/u"},
            "createdDate": "2023-08-21T15:54:31.904Z",
        }],
        "pageSize": 20, "pageNumber": 1, "total": 5_000_000_000_i64, "pageCount": 0,
        "firstUri": "/1", "nextUri": "/2", "previousUri": "", "lastUri": "/9", "selfUri": "/s",
    });
    let settings = json!({
        "restorePresenceSettings":
            {"enabled": false, "restoreTimeMilliseconds": 0, "restoreOnQueueEnabled": true},
        "requestingOffQueueEnabled": false,
    });
    for (rpc, body) in [
        ("GetUserPresencesPurecloud", presence),
        ("GetOrganizationPresences", listing),
        ("GetPresenceSettings", settings),
    ] {
        assert_eq!(
            call_with_body(rpc, body.to_string()).await.unwrap(),
            body,
            "{rpc}"
        );
    }
    let list = json!([{"id": "1", "name": "ON_QUEUE", "selfUri": "/1"}, {}]);
    let wrapped = json!({"systemPresences": list});
    assert_eq!(
        call_with_body("GetSystempresences", list.to_string())
            .await
            .unwrap(),
        wrapped
    );
}

#[tokio::test]
async fn unknown_fields_are_ignored() {
    let body = r#"{"id":"p","new":{"deep":[1,{"x":null}]},"message":"m","presenceDefinition":
        {"id":"d","systemPresence":"Brand New Status","new":[]},"source":"NOT_YET"}"#;
    let presence = call_with_body("GetUserPresencesPurecloud", body)
        .await
        .unwrap();
    assert_eq!(
        presence,
        json!({
            "id": "p", "message": "m", "source": "NOT_YET",
            "presenceDefinition": {"id": "d", "systemPresence": "Brand New Status"},
        })
    );
}

#[tokio::test]
async fn null_counts_as_absent_everywhere() {
    let body = r#"{"id":null,"primary":null,"presenceDefinition":null,"modifiedDate":null,
        "message":"m"}"#;
    let presence = call_with_body("GetUserPresencesPurecloud", body)
        .await
        .unwrap();
    assert_eq!(presence, json!({"message": "m"}));

    let body = r#"{"entities":[null,{"id":"a","languageLabels":null,"createdBy":null},null,
        {"id":"b","languageLabels":{"en_US":null,"de":"Mittag"}}],"total":null,"pageSize":25}"#;
    let listing = call_with_body("GetOrganizationPresences", body)
        .await
        .unwrap();
    assert_eq!(
        listing,
        json!({
            "entities": [{"id": "a"}, {"id": "b", "languageLabels": {"de": "Mittag"}}],
            "pageSize": 25,
        })
    );

    let listing = call_with_body("GetOrganizationPresences", r#"{"entities":null}"#)
        .await
        .unwrap();
    assert_eq!(listing, json!({}));
    let list = call_with_body("GetSystempresences", r#"[null,{"id":"a"},null]"#)
        .await
        .unwrap();
    assert_eq!(list, json!({"systemPresences": [{"id": "a"}]}));
}

#[tokio::test]
async fn a_date_is_parsed_in_every_format_of_the_vendor() {
    for date in [
        "2026-11-23T10:15:30.123Z",
        "2026-11-23T10:15:30.123+00:00",
        "2026-11-23T10:15:30.123+0000",
        "2026-11-23T10:15:30.123000Z",
    ] {
        let body = json!({"modifiedDate": date}).to_string();
        let presence = call_with_body("GetUserPresencesPurecloud", body)
            .await
            .unwrap();
        assert_eq!(
            presence["modifiedDate"], "2026-11-23T10:15:30.123Z",
            "{date}"
        );
    }
    for date in [
        "2026-11-23T10:15:30Z",
        "2026-11-23T10:15:30+00:00",
        "2026-11-23T10:15:30+0000",
    ] {
        let body = json!({"modifiedDate": date}).to_string();
        let presence = call_with_body("GetUserPresencesPurecloud", body)
            .await
            .unwrap();
        assert_eq!(presence["modifiedDate"], "2026-11-23T10:15:30Z", "{date}");
    }
}

#[tokio::test]
async fn a_fraction_of_a_second_is_cut_to_nine_digits() {
    for (date, parsed) in [
        (
            "2026-11-23T10:15:30.1234567891Z",
            "2026-11-23T10:15:30.123456789Z",
        ),
        (
            "2026-11-23T10:15:30.123000000000+0000",
            "2026-11-23T10:15:30.123Z",
        ),
        (
            "2026-11-23T12:15:30.99999999999999999999+02:00",
            "2026-11-23T10:15:30.999999999Z",
        ),
        (
            "2026-11-23T10:15:30.1234567891",
            "2026-11-23T10:15:30.123456789Z",
        ),
    ] {
        let body = json!({"id": "p", "modifiedDate": date}).to_string();
        let presence = call_with_body("GetUserPresencesPurecloud", body)
            .await
            .unwrap();
        assert_eq!(
            presence,
            json!({"id": "p", "modifiedDate": parsed}),
            "{date}"
        );
    }
}

#[tokio::test]
async fn an_empty_text_counts_as_absent_in_a_field_of_another_type() {
    let body = r#"{"id":"","modifiedDate":"","primary":"","message":"m"}"#;
    let presence = call_with_body("GetUserPresencesPurecloud", body)
        .await
        .unwrap();
    assert_eq!(presence, json!({"id": "", "message": "m"}));
    let body = r#"{"entities":[{"id":"a","deactivated":""}],"total":""}"#;
    let listing = call_with_body("GetPresenceDefinitions", body)
        .await
        .unwrap();
    assert_eq!(listing, json!({"entities": [{"id": "a"}]}));
}

#[tokio::test]
async fn a_boolean_is_parsed_from_text() {
    for (text, value) in [("true", true), ("false", false)] {
        let body = json!({"id": "p", "primary": text}).to_string();
        let presence = call_with_body("GetUserPresencesPurecloud", body)
            .await
            .unwrap();
        assert_eq!(presence, json!({"id": "p", "primary": value}));
        let body = json!({"entities": [{"deactivated": text}]}).to_string();
        let listing = call_with_body("GetPresenceDefinitions", body)
            .await
            .unwrap();
        assert_eq!(listing, json!({"entities": [{"deactivated": value}]}));
    }
}

#[tokio::test]
async fn a_number_is_parsed_beyond_32_bits_and_from_text() {
    for total in ["9223372036854775807", "\"9223372036854775807\""] {
        let listing =
            call_with_body("GetOrganizationPresences", format!("{{\"total\":{total}}}")).await;
        assert_eq!(listing.unwrap(), json!({"total": i64::MAX}));
    }
    let listing = call_with_body(
        "GetOrganizationPresences",
        r#"{"total":12.0,"pageSize":-1}"#,
    )
    .await;
    assert_eq!(listing.unwrap(), json!({"total": 12, "pageSize": -1}));
}

#[tokio::test]
async fn slightly_invalid_json_is_decoded() {
    for body in [
        "\u{feff}{\"id\":\"a\"}",
        " \r\n{\"id\":\"a\"}\n ",
        r#"{"id":"b","id":"a"}"#,
        r#"{"new":1,"new":2,"id":"a"}"#,
    ] {
        let presence = call_with_body("GetUserPresencesPurecloud", body)
            .await
            .unwrap();
        assert_eq!(presence, json!({"id": "a"}), "{body}");
    }
    let presence = call_with_body(
        "GetUserPresencesPurecloud",
        r#"{"id":"a","message":"x\ud83dy"}"#,
    )
    .await;
    assert_eq!(
        presence.unwrap(),
        json!({"id": "a", "message": "x\u{fffd}y"})
    );
}

#[tokio::test]
async fn a_long_list_arrives_complete() {
    let list: Vec<Value> = (0..20_000).map(|n| json!({"id": n.to_string()})).collect();
    let body = Value::Array(list.clone()).to_string();
    let response = call_with_body("GetSystempresences", body).await.unwrap();
    assert_eq!(response["systemPresences"].as_array().unwrap(), &list);
}

#[tokio::test]
async fn the_body_is_ignored_when_the_operation_returns_nothing() {
    for body in ["", "null", "{\"x\":1}", "<html>", "{", "[]"] {
        assert_eq!(
            call_with_body("DeletePresenceSource", body).await.unwrap(),
            json!({}),
            "{body}"
        );
    }
    let vendor = Vendor::with_response(204, "").await;
    let gateway = Gateway::start(&vendor).await;
    gateway
        .call("DeletePresenceSource", json!({"sourceId": "s"}))
        .await
        .unwrap();
}
