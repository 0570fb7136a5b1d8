//! What is made of the vendor's answers: nothing that the proto models is lost
//! over what it does not.

use serde_json::{Value, json};
use tonic::Code;

use crate::support::{Gateway, Vendor, metadata, refused};

/// What the gateway answers where the vendor answers with `body`.
async fn answer(rpc: &str, body: impl Into<String>) -> Result<Value, tonic::Status> {
    let vendor = Vendor::answering(200, body).await;
    let request = match rpc {
        "GetUserPresencesPurecloud" => json!({"userId": "u"}),
        "PatchUserPresencesPurecloud" => json!({"userId": "u", "body": {}}),
        "DeletePresenceSource" => json!({"sourceId": "s"}),
        _ => json!({}),
    };
    Gateway::before(&vendor).await.call(rpc, request).await
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

/// Values that are of no kind of the table's.
const ODD: [&str; 7] = ["5", "-1.5", "true", "[]", "[\"x\"]", "{}", "{\"x\":{}}"];

#[tokio::test]
async fn a_scalar_of_another_kind_is_left_out_and_the_rest_of_the_answer_stands() {
    let rest = json!({"id": "p", "message": "m", "presenceDefinition": {"id": "d"}});
    let with = |field: &str, value: &str| {
        let mut body = rest.to_string();
        body.pop();
        format!("{body},\"{field}\":{value}}}")
    };
    let odd = |field: &'static str, kinds: &[&'static str]| {
        kinds.iter().map(|kind| (field, *kind)).collect::<Vec<_>>()
    };
    let cases = [
        odd("name", &ODD),
        odd("source", &ODD),
        odd("selfUri", &ODD),
        odd("primary", &["5", "1.5", "\"yes\"", "[]", "{}"]),
        odd(
            "modifiedDate",
            &[
                "1795428930123",
                "\"yesterday\"",
                "\" \"",
                "true",
                "[]",
                "{}",
                "\"0000-12-31T23:59:59Z\"",
            ],
        ),
    ];
    for (field, value) in cases.concat() {
        let presence = answer("GetUserPresencesPurecloud", with(field, value)).await;
        assert_eq!(presence.unwrap(), rest, "{field}: {value}");
    }
}

#[tokio::test]
async fn a_scalar_of_another_kind_within_lists_and_maps_costs_nothing_else() {
    let body = r#"{"total":"many","entities":[
        {"id":"a","name":7,"languageLabels":{"en_US":"A","de":5,"fr":["x"]}},
        {"id":{"x":1},"name":"b","divisionId":true}]}"#;
    let listing = answer("GetPresenceDefinitions", body).await.unwrap();
    assert_eq!(
        listing,
        json!({"entities": [
            {"id": "a", "languageLabels": {"en_US": "A"}},
            {"name": "b"},
        ]})
    );
    let list = r#"[{"id":"a"},{"name":true,"id":"b"}]"#;
    let list = answer("GetSystempresences", list).await.unwrap();
    assert_eq!(list, json!({"systemPresences": [{"id": "a"}, {"id": "b"}]}));
    let settings = r#"{"requestingOffQueueEnabled":1,
        "restorePresenceSettings":{"enabled":true,"restoreTimeMilliseconds":"soon"}}"#;
    let settings = answer("GetPresenceSettings", settings).await.unwrap();
    assert_eq!(
        settings,
        json!({"restorePresenceSettings": {"enabled": true}})
    );
}

#[tokio::test]
async fn an_answer_that_would_say_something_false_without_a_field_is_not_read() {
    for (rpc, body) in [
        // The last page would look like one that has no other.
        (
            "GetOrganizationPresences",
            r#"{"entities":[],"nextUri":{}}"#,
        ),
        (
            "GetOrganizationPresences",
            r#"{"entities":[],"previousUri":7}"#,
        ),
        (
            "GetOrganizationPresences",
            r#"{"entities":[],"pageCount":"many"}"#,
        ),
        ("GetOrganizationPresences", r#"{"entities":[],"total":1.5}"#),
        // What is out of use would look like what is in use.
        (
            "GetPresenceDefinitions",
            r#"{"entities":[{"deactivated":"yes"}]}"#,
        ),
        (
            "GetOrganizationPresences",
            r#"{"entities":[{"deactivated":1}]}"#,
        ),
        ("GetPresenceSources", r#"{"entities":[{"deactivated":[]}]}"#),
    ] {
        let answer = answer(rpc, body).await;
        refused(answer, Code::Internal, "UNREADABLE_ANSWER");
    }
    // A page is none the worse for these.
    let body = r#"{"entities":[],"pageSize":"x","pageNumber":[],"firstUri":1,"lastUri":2,"selfUri":3,"total":4}"#;
    let listing = answer("GetOrganizationPresences", body).await.unwrap();
    assert_eq!(listing, json!({"total": 4}));
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
    let vendor = Vendor::answering(204, "").await;
    let gateway = Gateway::before(&vendor).await;
    gateway
        .call("DeletePresenceSource", json!({"sourceId": "s"}))
        .await
        .unwrap();
}

#[tokio::test]
async fn an_answer_of_the_wrong_shape_names_the_field_and_the_model_but_not_the_value() {
    for (rpc, body, named) in [
        (
            "GetPresenceDefinitions",
            r#"{"entities":[{"deactivated":"secret"}]}"#,
            &[
                "`entities[0].deactivated` of OrganizationPresenceDefinition",
                "a boolean",
            ],
        ),
        (
            "GetOrganizationPresences",
            r#"{"entities":[],"nextUri":5}"#,
            &[
                "`next_uri` of OrganizationPresenceEntityListing",
                "a string",
            ],
        ),
        (
            "GetUsersPresencesPurecloudBulk",
            r#"[{"userId":5}]"#,
            &["`presences[0].user_id` of UcUserPresence", "a string"],
        ),
        (
            "GetUserPresencesPurecloud",
            r#"{"presenceDefinition":["secret"]}"#,
            &["`presence_definition` of UserPresence", "an object"],
        ),
        (
            "GetOrganizationPresences",
            r#"{"entities":[{},{"languageLabels":["secret"]}]}"#,
            &[
                "`entities[1].language_labels` of OrganizationPresence",
                "a map",
            ],
        ),
        (
            "GetOrganizationPresences",
            r#"{"entities":{}}"#,
            &[
                "`entities` of OrganizationPresenceEntityListing",
                "an array",
            ],
        ),
        (
            "GetOrganizationPresences",
            r#"{"total":1.5}"#,
            &["`total` of", "a whole number"],
        ),
        (
            "GetSystempresences",
            r#"[{"id":"a"},7]"#,
            &["`system_presences[1]` of"],
        ),
        (
            "GetSystempresences",
            r#"{"entities":[]}"#,
            &["it is an object, not an array"],
        ),
        ("GetSystempresences", "null", &["it is null, not an array"]),
        (
            "GetUserPresencesPurecloud",
            r#"{"presences":["secret"],"id":7}"#,
            &["it has no field of UserPresence with the expected type"],
        ),
        (
            "GetUserPresencesPurecloud",
            "[]",
            &["it is an array, not an object"],
        ),
        (
            "GetUserPresencesPurecloud",
            "null",
            &["it is null, not an object"],
        ),
        (
            "GetUserPresencesPurecloud",
            "\"secret\"",
            &["it is text, not an object"],
        ),
        (
            "GetUserPresencesPurecloud",
            "{\"id\":\"secret",
            &["it is not JSON (line 1, column"],
        ),
        (
            "GetUserPresencesPurecloud",
            "{} {\"secret\":1}",
            &["it is not JSON"],
        ),
        (
            "GetUserPresencesPurecloud",
            "<html>secret</html>",
            &["it is not JSON"],
        ),
        (
            "GetUserPresencesPurecloud",
            "",
            &["it is empty where an object is expected"],
        ),
        (
            "GetSystempresences",
            " \n",
            &["it is empty where an array is expected"],
        ),
    ] as [(&str, &str, &[&str]); 19]
    {
        let status = refused(answer(rpc, body).await, Code::Internal, "UNREADABLE_ANSWER");
        for part in named {
            assert!(
                status.message().contains(part),
                "{body}: `{}`",
                status.message()
            );
        }
        assert!(
            !format!("{status:?}").contains("secret"),
            "{body}: {status:?}"
        );
        assert_eq!(metadata(&status, "grpc-retry-pushback-ms"), None);
    }
}

#[tokio::test]
async fn a_write_whose_answer_cannot_be_read_says_that_it_was_applied() {
    for body in [
        "",
        "null",
        "[]",
        "{",
        "<html>",
        r#"{"presenceDefinition":1}"#,
    ] {
        let answer = answer("PatchUserPresencesPurecloud", body).await;
        let status = refused(answer, Code::Internal, "UNREADABLE_ANSWER");
        assert_eq!(
            crate::support::info(&status, "outcome").as_deref(),
            Some("applied"),
            "{body}"
        );
        assert!(
            status.message().contains("was applied"),
            "{}",
            status.message()
        );
    }
    let status = refused(
        answer("GetUserPresencesPurecloud", "").await,
        Code::Internal,
        "UNREADABLE_ANSWER",
    );
    assert_eq!(crate::support::info(&status, "outcome"), None);
}
