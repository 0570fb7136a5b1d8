//! Responses whose fields have other types than in the proto.

use serde_json::json;
use tonic::Code;

use super::responses::call_with_body;
use crate::support::{expect_error, info, metadata};

/// JSON values that are not text.
const NOT_TEXT: [&str; 7] = ["5", "-1.5", "true", "[]", "[\"x\"]", "{}", "{\"x\":{}}"];

#[tokio::test]
async fn a_scalar_of_another_type_is_dropped_from_the_response() {
    let rest = json!({"id": "p", "message": "m", "presenceDefinition": {"id": "d"}});
    let with = |field: &str, value: &str| {
        let mut body = rest.to_string();
        body.pop();
        format!("{body},\"{field}\":{value}}}")
    };
    let cases = |field: &'static str, values: &[&'static str]| {
        values
            .iter()
            .map(|value| (field, *value))
            .collect::<Vec<_>>()
    };
    let cases = [
        cases("name", &NOT_TEXT),
        cases("source", &NOT_TEXT),
        cases("selfUri", &NOT_TEXT),
        cases("primary", &["5", "1.5", "\"yes\"", "[]", "{}"]),
        cases(
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
        let presence = call_with_body("GetUserPresencesPurecloud", with(field, value)).await;
        assert_eq!(presence.unwrap(), rest, "{field}: {value}");
    }
}

#[tokio::test]
async fn a_scalar_of_another_type_is_dropped_from_lists_and_maps() {
    let body = r#"{"total":"many","entities":[
        {"id":"a","name":7,"languageLabels":{"en_US":"A","de":5,"fr":["x"]}},
        {"id":{"x":1},"name":"b","divisionId":true}]}"#;
    let listing = call_with_body("GetPresenceDefinitions", body)
        .await
        .unwrap();
    assert_eq!(
        listing,
        json!({"entities": [
            {"id": "a", "languageLabels": {"en_US": "A"}},
            {"name": "b"},
        ]})
    );
    let list = r#"[{"id":"a"},{"name":true,"id":"b"}]"#;
    let list = call_with_body("GetSystempresences", list).await.unwrap();
    assert_eq!(list, json!({"systemPresences": [{"id": "a"}, {"id": "b"}]}));
    let settings = r#"{"requestingOffQueueEnabled":1,
        "restorePresenceSettings":{"enabled":true,"restoreTimeMilliseconds":"soon"}}"#;
    let settings = call_with_body("GetPresenceSettings", settings)
        .await
        .unwrap();
    assert_eq!(
        settings,
        json!({"restorePresenceSettings": {"enabled": true}})
    );
}

#[tokio::test]
async fn a_response_that_would_mislead_without_a_field_is_rejected() {
    for (rpc, body) in [
        // Without these, a page would look like the last or the only one.
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
        // Without this, a deactivated entity would look active.
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
        let answer = call_with_body(rpc, body).await;
        expect_error(answer, Code::Internal, "UNREADABLE_ANSWER");
    }
    // A page does not mislead without these.
    let body = r#"{"entities":[],"pageSize":"x","pageNumber":[],"firstUri":1,"lastUri":2,"selfUri":3,"total":4}"#;
    let listing = call_with_body("GetOrganizationPresences", body)
        .await
        .unwrap();
    assert_eq!(listing, json!({"total": 4}));
}

#[tokio::test]
async fn the_error_of_a_mismatched_response_names_field_and_model_but_no_value() {
    for (rpc, body, parts) in [
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
            &["it is an HTML page"],
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
        let status = expect_error(
            call_with_body(rpc, body).await,
            Code::Internal,
            "UNREADABLE_ANSWER",
        );
        for part in parts {
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
async fn the_error_of_a_write_with_an_unreadable_response_reports_it_as_applied() {
    for body in [
        "",
        "null",
        "[]",
        "{",
        "<html>",
        r#"{"presenceDefinition":1}"#,
    ] {
        let answer = call_with_body("PatchUserPresencesPurecloud", body).await;
        let status = expect_error(answer, Code::Internal, "UNREADABLE_ANSWER");
        assert_eq!(
            info(&status, "outcome").as_deref(),
            Some("applied"),
            "{body}"
        );
        assert!(
            status.message().contains("was applied"),
            "{}",
            status.message()
        );
    }
    let status = expect_error(
        call_with_body("GetUserPresencesPurecloud", "").await,
        Code::Internal,
        "UNREADABLE_ANSWER",
    );
    assert_eq!(info(&status, "outcome"), None);
}
