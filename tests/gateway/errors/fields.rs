//! Which field was wrong: told by the vendor in its spelling, and to the
//! caller in the proto's.

use serde_json::{Value, json};
use tonic::Code;
use tonic_types::StatusExt;

use super::ask;
use crate::support::{Gateway, Vendor, expect_error, info, method, minimal_request, violations};

/// The fields that a caller sees where the vendor refuses with this error body.
async fn named(rpc: &str, mut body: Value) -> Vec<String> {
    body["code"] = json!("bad.request");
    let vendor = Vendor::with_response(400, body.to_string()).await;
    let gateway = Gateway::start(&vendor).await;
    let answer = ask(&gateway, rpc, minimal_request(&method(rpc))).await;
    violations(&expect_error(answer, Code::InvalidArgument, "BAD_REQUEST"))
}

#[tokio::test]
async fn a_field_that_the_vendor_names_is_told_by_its_proto_path() {
    for (rpc, vendors, protos) in [
        // Of the body.
        (
            "PutPresenceDefinition",
            "systemPresence",
            "body.system_presence",
        ),
        ("PutPresenceDefinition", "id", "body.id"),
        (
            "PutPresenceDefinition",
            "system_presence",
            "body.system_presence",
        ),
        (
            "PutPresenceDefinition",
            "languageLabels",
            "body.language_labels",
        ),
        ("PatchUserPresencesPurecloud", "body", "body"),
        (
            "PatchUserPresencesPurecloud",
            "body.message",
            "body.message",
        ),
        // Nested.
        (
            "PatchUserPresence",
            "presenceDefinition.id",
            "body.presence_definition.id",
        ),
        (
            "PatchUserPresence",
            "body.presenceDefinition.id",
            "body.presence_definition.id",
        ),
        (
            "PutPresenceSettings",
            "restorePresenceSettings.restoreTimeMilliseconds",
            "body.restore_presence_settings.restore_time_milliseconds",
        ),
        // Of the query.
        ("GetPresenceDefinitions", "localeCode", "locale_code"),
        ("GetPresenceDefinitions", "divisionId", "division_ids"),
        ("GetPresenceDefinitions", "divisionId[1]", "division_ids[1]"),
        ("GetOrganizationPresences", "pageSize", "page_size"),
        ("GetUsersPresencesPurecloudBulk", "id", "ids"),
        ("GetUsersPresencesPurecloudBulk", "id[49]", "ids[49]"),
        // Of the path.
        ("GetUserPresencesPurecloud", "userId", "user_id"),
        ("PatchUserPresencesPurecloud", "userId", "user_id"),
        ("PutPresenceDefinition", "definitionId", "definition_id"),
        ("PutOrganizationPresence", "presenceId", "presence_id"),
        // In a list.
        (
            "PutUsersPresencesBulk",
            "body[0].presenceDefinition.id",
            "body[0].presence_definition.id",
        ),
        // What nobody knows stays as it is.
        ("PutPresenceDefinition", "brandNew", "brandNew"),
        (
            "PatchUserPresence",
            "presenceDefinition.brandNew",
            "body.presence_definition.brandNew",
        ),
        (
            "GetPresenceSettings",
            "a.b[c].\u{1f355}",
            "a.b[c].\u{1f355}",
        ),
        ("PutPresenceDefinition", "[", "["),
        ("PutPresenceDefinition", "].x..y", "].x..y"),
        ("PutPresenceDefinition", ".", "."),
    ] {
        let details = json!({"details": [{"errorCode": "e", "fieldName": vendors}]});
        assert_eq!(
            named(rpc, details).await,
            [protos],
            "{vendors} of {rpc}, in details"
        );
        let params = json!({"messageParams": {"fieldName": vendors, "value": "localeCode"}});
        assert_eq!(
            named(rpc, params).await,
            [protos],
            "{vendors} of {rpc}, in messageParams"
        );
    }
}

#[tokio::test]
async fn every_place_of_the_error_body_is_looked_at_and_no_field_told_twice() {
    let body = json!({
        "message": "m",
        "details": [{"fieldName": "name"}, {"errorCode": "no.name"}, {"fieldName": ""}],
        "messageParams": {"field": "name", "property": "divisionId", "object": "deactivated"},
        "errors": [
            {"details": [{"fieldName": "systemPresence", "errorCode": "invalid.value"}]},
            {"messageParams": {"parameterName": "localeCode"}},
        ],
    });
    assert_eq!(
        named("PutPresenceDefinition", body).await,
        [
            "body.name",
            "body.system_presence",
            "body.division_id",
            "localeCode"
        ]
    );
}

#[tokio::test]
async fn what_is_wrong_is_the_details_code_else_the_vendors_words() {
    let body = json!({
        "code": "bad.request", "message": "the vendor's words",
        "details": [{"fieldName": "name", "errorCode": "invalid.value"}, {"fieldName": "type"}],
    });
    for status in [400, 413, 414, 422] {
        let vendor = Vendor::with_response(status, body.to_string()).await;
        let gateway = Gateway::start(&vendor).await;
        let answer = ask(
            &gateway,
            "PutPresenceDefinition",
            minimal_request(&method("PutPresenceDefinition")),
        );
        let refusal = expect_error(answer.await, Code::InvalidArgument, "BAD_REQUEST");
        let details = refusal.get_details_bad_request().unwrap().field_violations;
        let told: Vec<_> = details
            .iter()
            .map(|d| (&*d.field, &*d.description))
            .collect();
        assert_eq!(
            told,
            [
                ("body.name", "invalid.value"),
                ("body.type", "the vendor's words")
            ],
            "{status}"
        );
    }
}

#[tokio::test]
async fn a_refusal_for_another_cause_names_no_field() {
    let body = json!({"code": "c.d", "message": "m", "details": [{"fieldName": "name"}]});
    for status in [401, 404, 409, 500] {
        let vendor = Vendor::with_response(status, body.to_string()).await;
        let gateway = Gateway::start(&vendor).await;
        let answer = ask(
            &gateway,
            "PutPresenceDefinition",
            minimal_request(&method("PutPresenceDefinition")),
        );
        let refusal = answer.await.unwrap_err();
        assert_eq!(violations(&refusal), [""; 0], "{status}");
    }
}

#[tokio::test]
async fn of_many_fields_the_first_are_told_and_the_others_counted() {
    let details: Vec<Value> = (0..3000)
        .map(|n| json!({"fieldName": format!("f{n}")}))
        .collect();
    let body = json!({"code": "bad.request", "message": "m", "details": details});
    let vendor = Vendor::with_response(400, body.to_string()).await;
    let gateway = Gateway::start(&vendor).await;
    let answer = ask(&gateway, "GetPresenceSettings", json!({})).await;
    let refusal = expect_error(answer, Code::InvalidArgument, "BAD_REQUEST");
    let told = violations(&refusal);
    let expected: Vec<_> = (0..told.len()).map(|n| format!("f{n}")).collect();
    assert!(!told.is_empty());
    assert_eq!(told, expected);
    let omitted = info(&refusal, "violations_omitted");
    assert_eq!(omitted, Some((3000 - told.len()).to_string()));
}
