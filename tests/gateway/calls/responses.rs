//! What is made of the vendor's answers: nothing that the proto models is lost
//! over what it does not.

use serde_json::{Value, json};

use crate::support::{Gateway, Vendor};

/// What the gateway answers where the vendor answers with `body`.
pub(super) async fn answer(rpc: &str, body: impl Into<String>) -> Result<Value, tonic::Status> {
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
async fn every_model_comes_back_as_the_vendor_sent_it() {
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
        assert_eq!(answer(rpc, body.to_string()).await.unwrap(), body, "{rpc}");
    }
    let list = json!([{"id": "1", "name": "ON_QUEUE", "selfUri": "/1"}, {}]);
    let wrapped = json!({"systemPresences": list});
    assert_eq!(
        answer("GetSystempresences", list.to_string())
            .await
            .unwrap(),
        wrapped
    );
}

#[tokio::test]
async fn what_the_proto_does_not_know_is_passed_over() {
    let body = r#"{"id":"p","new":{"deep":[1,{"x":null}]},"message":"m","presenceDefinition":
        {"id":"d","systemPresence":"Brand New Status","new":[]},"source":"NOT_YET"}"#;
    let presence = answer("GetUserPresencesPurecloud", body).await.unwrap();
    assert_eq!(
        presence,
        json!({
            "id": "p", "message": "m", "source": "NOT_YET",
            "presenceDefinition": {"id": "d", "systemPresence": "Brand New Status"},
        })
    );
}

#[tokio::test]
async fn null_is_absent_wherever_it_stands() {
    let body = r#"{"id":null,"primary":null,"presenceDefinition":null,"modifiedDate":null,
        "message":"m"}"#;
    let presence = answer("GetUserPresencesPurecloud", body).await.unwrap();
    assert_eq!(presence, json!({"message": "m"}));

    let body = r#"{"entities":[null,{"id":"a","languageLabels":null,"createdBy":null},null,
        {"id":"b","languageLabels":{"en_US":null,"de":"Mittag"}}],"total":null,"pageSize":25}"#;
    let listing = answer("GetOrganizationPresences", body).await.unwrap();
    assert_eq!(
        listing,
        json!({
            "entities": [{"id": "a"}, {"id": "b", "languageLabels": {"de": "Mittag"}}],
            "pageSize": 25,
        })
    );

    let listing = answer("GetOrganizationPresences", r#"{"entities":null}"#)
        .await
        .unwrap();
    assert_eq!(listing, json!({}));
    let list = answer("GetSystempresences", r#"[null,{"id":"a"},null]"#)
        .await
        .unwrap();
    assert_eq!(list, json!({"systemPresences": [{"id": "a"}]}));
}

#[tokio::test]
async fn a_date_is_read_in_every_spelling_of_the_vendors() {
    for spelling in [
        "2026-11-23T10:15:30.123Z",
        "2026-11-23T10:15:30.123+00:00",
        "2026-11-23T10:15:30.123+0000",
        "2026-11-23T10:15:30.123000Z",
    ] {
        let body = json!({"modifiedDate": spelling}).to_string();
        let presence = answer("GetUserPresencesPurecloud", body).await.unwrap();
        assert_eq!(
            presence["modifiedDate"], "2026-11-23T10:15:30.123Z",
            "{spelling}"
        );
    }
    for spelling in [
        "2026-11-23T10:15:30Z",
        "2026-11-23T10:15:30+00:00",
        "2026-11-23T10:15:30+0000",
    ] {
        let body = json!({"modifiedDate": spelling}).to_string();
        let presence = answer("GetUserPresencesPurecloud", body).await.unwrap();
        assert_eq!(
            presence["modifiedDate"], "2026-11-23T10:15:30Z",
            "{spelling}"
        );
    }
}

#[tokio::test]
async fn digits_of_a_fraction_beyond_nine_are_cut() {
    for (spelling, read) in [
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
        let body = json!({"id": "p", "modifiedDate": spelling}).to_string();
        let presence = answer("GetUserPresencesPurecloud", body).await.unwrap();
        assert_eq!(
            presence,
            json!({"id": "p", "modifiedDate": read}),
            "{spelling}"
        );
    }
}

#[tokio::test]
async fn an_empty_text_is_absent_where_no_text_is_promised() {
    let body = r#"{"id":"","modifiedDate":"","primary":"","message":"m"}"#;
    let presence = answer("GetUserPresencesPurecloud", body).await.unwrap();
    assert_eq!(presence, json!({"id": "", "message": "m"}));
    let body = r#"{"entities":[{"id":"a","deactivated":""}],"total":""}"#;
    let listing = answer("GetPresenceDefinitions", body).await.unwrap();
    assert_eq!(listing, json!({"entities": [{"id": "a"}]}));
}

#[tokio::test]
async fn a_truth_value_is_read_as_text() {
    for (text, value) in [("true", true), ("false", false)] {
        let body = json!({"id": "p", "primary": text}).to_string();
        let presence = answer("GetUserPresencesPurecloud", body).await.unwrap();
        assert_eq!(presence, json!({"id": "p", "primary": value}));
        let body = json!({"entities": [{"deactivated": text}]}).to_string();
        let listing = answer("GetPresenceDefinitions", body).await.unwrap();
        assert_eq!(listing, json!({"entities": [{"deactivated": value}]}));
    }
}

#[tokio::test]
async fn a_number_is_read_beyond_32_bits_and_as_text() {
    for total in ["9223372036854775807", "\"9223372036854775807\""] {
        let listing = answer("GetOrganizationPresences", format!("{{\"total\":{total}}}")).await;
        assert_eq!(listing.unwrap(), json!({"total": i64::MAX}));
    }
    let listing = answer(
        "GetOrganizationPresences",
        r#"{"total":12.0,"pageSize":-1}"#,
    )
    .await;
    assert_eq!(listing.unwrap(), json!({"total": 12, "pageSize": -1}));
}

#[tokio::test]
async fn text_that_is_not_quite_json_costs_nothing_else() {
    for body in [
        "\u{feff}{\"id\":\"a\"}",
        " \r\n{\"id\":\"a\"}\n ",
        r#"{"id":"b","id":"a"}"#,
        r#"{"new":1,"new":2,"id":"a"}"#,
    ] {
        let presence = answer("GetUserPresencesPurecloud", body).await.unwrap();
        assert_eq!(presence, json!({"id": "a"}), "{body}");
    }
    let presence = answer(
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
async fn a_huge_list_comes_whole() {
    let list: Vec<Value> = (0..20_000).map(|n| json!({"id": n.to_string()})).collect();
    let body = Value::Array(list.clone()).to_string();
    let answered = answer("GetSystempresences", body).await.unwrap();
    assert_eq!(answered["systemPresences"].as_array().unwrap(), &list);
}

#[tokio::test]
async fn any_body_is_ignored_where_nothing_is_promised() {
    for body in ["", "null", "{\"x\":1}", "<html>", "{", "[]"] {
        assert_eq!(
            answer("DeletePresenceSource", body).await.unwrap(),
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
