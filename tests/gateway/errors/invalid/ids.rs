//! Ids that cannot be a path segment or a list element, and ids that can.

use percent_encoding::percent_decode_str;
use prost_reflect::{Kind, MethodDescriptor};
use serde_json::{Value, json};

use super::{rejected_fields, vendor};
use crate::support::{Gateway, methods, minimal_request};

/// The path variables of an RPC, by proto name and JSON name.
fn path_variables(method: &MethodDescriptor) -> Vec<(String, String)> {
    let message = method.input();
    let fields = message.fields().filter(|field| {
        matches!(field.kind(), Kind::String) && !field.supports_presence() && !field.is_list()
    });
    fields
        .map(|field| (field.name().to_owned(), field.json_name().to_owned()))
        .collect()
}

/// The lists of texts of an RPC, by proto name and JSON name.
fn text_lists(method: &MethodDescriptor) -> Vec<(String, String)> {
    let message = method.input();
    let fields = message
        .fields()
        .filter(|field| field.is_list() && matches!(field.kind(), Kind::String));
    fields
        .map(|field| (field.name().to_owned(), field.json_name().to_owned()))
        .collect()
}

fn request_with(method: &MethodDescriptor, json_name: &str, value: impl Into<Value>) -> Value {
    let mut request = minimal_request(method);
    request[json_name] = value.into();
    request
}

#[tokio::test]
async fn every_path_variable_rejects_empty_dot_and_long_ids() {
    let vendor = vendor().await;
    let gateway = Gateway::start(&vendor).await;
    let long = "x".repeat(257);
    let wide = "\u{1f355}".repeat(64) + "x";
    let mut checked = 0;
    for method in methods() {
        for (field, json_name) in path_variables(&method) {
            for (id, message) in [
                ("", "must not be empty"),
                (".", "must not be `.` or `..`"),
                ("..", "must not be `.` or `..`"),
                (&long, "at most 256 bytes"),
                (&wide, "at most 256 bytes"),
            ] {
                let request = request_with(&method, &json_name, id);
                let rejected = rejected_fields(&gateway, &vendor, method.name(), request).await;
                let [(name, description)] = rejected.as_slice() else {
                    panic!("{}: {rejected:?}", method.name());
                };
                assert_eq!(name, &field, "{}", method.name());
                assert!(
                    description.contains(message),
                    "{}: {description}",
                    method.name()
                );
            }
            checked += 1;
        }
    }
    assert!(checked >= 18, "only {checked} path variables were found");
}

#[tokio::test]
async fn an_id_with_a_dot_segment_is_rejected_unsent() {
    let vendor = vendor().await;
    let gateway = Gateway::start(&vendor).await;
    for method in methods() {
        for (field, json_name) in path_variables(&method) {
            for id in [
                "../x", "./x", "a/..", "a/.", "a/../b", "a/./b", "/..", "/.", "../", "..\\x",
                "a\\..", "a\\.\\b", "a/..\\b", "a\\../b", "..\\..", "//..//",
            ] {
                let request = request_with(&method, &json_name, id);
                let rejected = rejected_fields(&gateway, &vendor, method.name(), request).await;
                let [(name, description)] = rejected.as_slice() else {
                    panic!("{} with {id:?}: {rejected:?}", method.name());
                };
                assert_eq!(name, &field, "{} with {id:?}", method.name());
                assert!(
                    description.contains("must not contain `.` or `..` between slashes"),
                    "{} with {id:?}: {description}",
                    method.name()
                );
            }
        }
    }
}

/// Unusual ids that are valid.
fn unusual_ids() -> Vec<String> {
    let mut ids: Vec<String> = [
        "a/b",
        "/",
        "//",
        "a//b",
        "a/.b/..c",
        "a/...",
        // A percent sign of the id is encoded, so these decode to themselves.
        "..%2f",
        "a%2f..%2fb",
        "%",
        "%2e%2e",
        "%00",
        "a?b",
        "?",
        "a#b",
        "#",
        "&",
        "=",
        ";",
        "\\",
        "a\\b",
        "a\\..b",
        "\0",
        "\r\n",
        "\t",
        "\u{7f}",
        "\u{1f355}",
        "\u{202e}abc",
        "\u{5d0}\u{5d1}",
        "e\u{301}",
        "...",
        ".x",
        " ",
        "+",
        "a b",
        "*",
        "<script>",
        "{userId}",
        "${x}",
        "'\"`",
        "~",
        "\u{feff}",
        "\u{2028}",
        "\u{ffff}",
    ]
    .map(str::to_owned)
    .to_vec();
    ids.push("/".repeat(256));
    ids.push("\0".repeat(256));
    ids.push("\u{1f355}".repeat(64));
    ids.push("x".repeat(256));
    ids
}

#[tokio::test]
async fn any_other_id_arrives_unchanged_as_one_segment() {
    let vendor = vendor().await;
    let gateway = Gateway::start(&vendor).await;
    for id in unusual_ids() {
        let request = json!({"userId": id, "sourceId": id, "body": {}});
        gateway.call("PatchUserPresence", request).await.unwrap();
        let sent = vendor.received().pop().unwrap();
        assert!(
            !sent.path_and_query.contains(['?', '#']),
            "{}",
            sent.path_and_query
        );
        let segments: Vec<&str> = sent.path_and_query.split('/').collect();
        let [before @ .., user, "presences", source] = segments.as_slice() else {
            panic!("{id:?} became {}", sent.path_and_query);
        };
        assert_eq!(before, ["", "api", "v2", "users"], "{id:?}");
        for segment in [user, source] {
            let decoded = percent_decode_str(segment).decode_utf8().unwrap();
            assert_eq!(decoded, id);
        }
    }
}

#[tokio::test]
async fn a_list_element_must_not_be_empty_or_hold_a_comma() {
    let vendor = vendor().await;
    let gateway = Gateway::start(&vendor).await;
    let long = "x".repeat(257);
    let mut checked = 0;
    for method in methods() {
        for (field, json_name) in text_lists(&method) {
            for (element, message) in [
                ("", "must not be empty"),
                (",", "comma"),
                ("a,b", "comma"),
                ("a,", "comma"),
                (&long, "at most 256 bytes"),
            ] {
                let request = request_with(
                    &method,
                    &json_name,
                    json!(["valid", element, "valid", element]),
                );
                let rejected = rejected_fields(&gateway, &vendor, method.name(), request).await;
                let fields: Vec<_> = rejected.iter().map(|(field, _)| field.clone()).collect();
                assert_eq!(fields, [format!("{field}[1]"), format!("{field}[3]")]);
                assert!(
                    rejected[0].1.contains(message),
                    "{}: {rejected:?}",
                    method.name()
                );
            }
            checked += 1;
        }
    }
    assert_eq!(
        checked, 3,
        "the ids of both bulk reads and the divisions should be checked"
    );
}

#[tokio::test]
async fn any_other_list_element_arrives_unchanged() {
    let vendor = vendor().await;
    let gateway = Gateway::start(&vendor).await;
    // Dot segments are valid in a query.
    let dot_segments = ["../x", "a/../b", "..\\x"].map(str::to_owned);
    for id in unusual_ids().into_iter().chain(dot_segments) {
        let request = json!({"divisionId": ["first", id]});
        gateway
            .call("GetPresenceDefinitions", request)
            .await
            .unwrap();
        let sent = vendor.received().pop().unwrap();
        let query = [("divisionId".to_owned(), format!("first,{id}"))];
        assert_eq!(sent.query(), query);
    }
}

#[tokio::test]
async fn a_bulk_write_rejects_updates_without_a_valid_id() {
    let vendor = vendor().await;
    let gateway = Gateway::start(&vendor).await;
    let updates = json!([{"id": "a"}, {}, {"id": ""}, {"id": "x".repeat(257)}, {"id": "b"}]);
    let rejected = rejected_fields(
        &gateway,
        &vendor,
        "PutUsersPresencesBulk",
        json!({"body": updates}),
    )
    .await;
    let fields: Vec<_> = rejected.iter().map(|(field, _)| field.as_str()).collect();
    assert_eq!(fields, ["body[1].id", "body[2].id", "body[3].id"]);
    assert!(rejected[0].1.contains("is required"), "{rejected:?}");
    assert!(rejected[2].1.contains("256 bytes"), "{rejected:?}");
}
