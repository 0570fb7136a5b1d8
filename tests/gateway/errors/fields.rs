//! Field violations: the vendor's field names become proto paths.

use serde_json::{Value, json};
use tonic::Code;
use tonic_types::StatusExt;

use super::call_once;
use crate::support::{Gateway, Vendor, expect_error, info, method, minimal_request, violations};

/// Returns the fields of the error when the vendor responds 400 with this body.
async fn violated_fields(rpc: &str, mut body: Value) -> Vec<String> {
    body["code"] = json!("bad.request");
    let vendor = Vendor::with_response(400, body.to_string()).await;
    let gateway = Gateway::start(&vendor).await;
    let answer = call_once(&gateway, rpc, minimal_request(&method(rpc))).await;
    violations(&expect_error(answer, Code::InvalidArgument, "BAD_REQUEST"))
}

#[tokio::test]
async fn a_vendor_field_name_becomes_a_proto_path() {
    for (rpc, vendor_name, proto_path) in [
        // In the body.
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
        // In the query.
        ("GetPresenceDefinitions", "localeCode", "locale_code"),
        ("GetPresenceDefinitions", "divisionId", "division_ids"),
        ("GetPresenceDefinitions", "divisionId[1]", "division_ids[1]"),
        ("GetOrganizationPresences", "pageSize", "page_size"),
        ("GetUsersPresencesPurecloudBulk", "id", "ids"),
        ("GetUsersPresencesPurecloudBulk", "id[49]", "ids[49]"),
        // In the path.
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
        // Unknown names stay unchanged.
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
        let details = json!({"details": [{"errorCode": "e", "fieldName": vendor_name}]});
        assert_eq!(
            violated_fields(rpc, details).await,
            [proto_path],
            "{vendor_name} of {rpc}, in details"
        );
        let params = json!({"messageParams": {"fieldName": vendor_name, "value": "localeCode"}});
        assert_eq!(
            violated_fields(rpc, params).await,
            [proto_path],
            "{vendor_name} of {rpc}, in messageParams"
        );
    }
}

#[tokio::test]
async fn fields_from_all_places_of_the_error_body_are_listed_once() {
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
        violated_fields("PutPresenceDefinition", body).await,
        [
            "body.name",
            "body.system_presence",
            "body.division_id",
            "localeCode"
        ]
    );
}

#[tokio::test]
async fn a_violation_is_described_by_its_code_or_else_the_vendors_message() {
    let body = json!({
        "code": "bad.request", "message": "the vendor's words",
        "details": [{"fieldName": "name", "errorCode": "invalid.value"}, {"fieldName": "type"}],
    });
    for status in [400, 413, 414, 422] {
        let vendor = Vendor::with_response(status, body.to_string()).await;
        let gateway = Gateway::start(&vendor).await;
        let answer = call_once(
            &gateway,
            "PutPresenceDefinition",
            minimal_request(&method("PutPresenceDefinition")),
        );
        let status = expect_error(answer.await, Code::InvalidArgument, "BAD_REQUEST");
        let details = status.get_details_bad_request().unwrap().field_violations;
        let violations: Vec<_> = details
            .iter()
            .map(|violation| (&*violation.field, &*violation.description))
            .collect();
        assert_eq!(
            violations,
            [
                ("body.name", "invalid.value"),
                ("body.type", "the vendor's words")
            ],
            "{status}"
        );
    }
}

#[tokio::test]
async fn an_error_of_another_status_has_no_field_violations() {
    let body = json!({"code": "c.d", "message": "m", "details": [{"fieldName": "name"}]});
    for status in [401, 404, 409, 500] {
        let vendor = Vendor::with_response(status, body.to_string()).await;
        let gateway = Gateway::start(&vendor).await;
        let answer = call_once(
            &gateway,
            "PutPresenceDefinition",
            minimal_request(&method("PutPresenceDefinition")),
        );
        let status = answer.await.unwrap_err();
        assert_eq!(violations(&status), [""; 0], "{status}");
    }
}

#[tokio::test]
async fn the_first_of_many_fields_are_listed_and_the_others_counted() {
    let details: Vec<Value> = (0..3000)
        .map(|n| json!({"fieldName": format!("f{n}")}))
        .collect();
    let body = json!({"code": "bad.request", "message": "m", "details": details});
    let vendor = Vendor::with_response(400, body.to_string()).await;
    let gateway = Gateway::start(&vendor).await;
    let answer = call_once(&gateway, "GetPresenceSettings", json!({})).await;
    let status = expect_error(answer, Code::InvalidArgument, "BAD_REQUEST");
    let listed = violations(&status);
    let expected: Vec<_> = (0..listed.len()).map(|n| format!("f{n}")).collect();
    assert!(!listed.is_empty());
    assert_eq!(listed, expected);
    let omitted = info(&status, "violations_omitted");
    assert_eq!(omitted, Some((3000 - listed.len()).to_string()));
}
