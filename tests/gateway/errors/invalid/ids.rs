//! Ids: what cannot be one segment of a path or one element of a list.

use percent_encoding::percent_decode_str;
use prost_reflect::{Kind, MethodDescriptor};
use serde_json::{Value, json};

use super::{vendor, wrong};
use crate::support::{Gateway, methods, minimal_request};

/// The fields of an RPC's path, in the proto's and in JSON's spelling.
fn path_variables(method: &MethodDescriptor) -> Vec<(String, String)> {
    let message = method.input();
    let fields = message.fields().filter(|field| {
        matches!(field.kind(), Kind::String) && !field.supports_presence() && !field.is_list()
    });
    fields
        .map(|field| (field.name().to_owned(), field.json_name().to_owned()))
        .collect()
}

/// The lists of texts of an RPC, in the proto's and in JSON's spelling.
fn lists(method: &MethodDescriptor) -> Vec<(String, String)> {
    let message = method.input();
    let fields = message
        .fields()
        .filter(|field| field.is_list() && matches!(field.kind(), Kind::String));
    fields
        .map(|field| (field.name().to_owned(), field.json_name().to_owned()))
        .collect()
}

fn with(method: &MethodDescriptor, json_name: &str, value: impl Into<Value>) -> Value {
    let mut request = minimal_request(method);
    request[json_name] = value.into();
    request
}

#[tokio::test]
async fn every_path_variable_is_needed_and_cannot_climb_out_of_its_place() {
    let vendor = vendor().await;
    let gateway = Gateway::start(&vendor).await;
    let long = "x".repeat(257);
    let wide = "\u{1f355}".repeat(64) + "x";
    let mut checked = 0;
    for method in methods() {
        for (field, json_name) in path_variables(&method) {
            for (id, says) in [
                ("", "must not be empty"),
                (".", "must not be `.` or `..`"),
                ("..", "must not be `.` or `..`"),
                (&long, "at most 256 bytes"),
                (&wide, "at most 256 bytes"),
            ] {
                let request = with(&method, &json_name, id);
                let wrong = wrong(&gateway, &vendor, method.name(), request).await;
                let [(named, description)] = wrong.as_slice() else {
                    panic!("{}: {wrong:?}", method.name());
                };
                assert_eq!(named, &field, "{}", method.name());
                assert!(
                    description.contains(says),
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
async fn an_id_with_a_dot_segment_in_it_is_refused_and_nothing_is_sent() {
    let vendor = vendor().await;
    let gateway = Gateway::start(&vendor).await;
    for method in methods() {
        for (field, json_name) in path_variables(&method) {
            for id in [
                "../x", "./x", "a/..", "a/.", "a/../b", "a/./b", "/..", "/.", "../", "..\\x",
                "a\\..", "a\\.\\b", "a/..\\b", "a\\../b", "..\\..", "//..//",
            ] {
                let request = with(&method, &json_name, id);
                let wrong = wrong(&gateway, &vendor, method.name(), request).await;
                let [(named, description)] = wrong.as_slice() else {
                    panic!("{} with {id:?}: {wrong:?}", method.name());
                };
                assert_eq!(named, &field, "{} with {id:?}", method.name());
                assert!(
                    description.contains("must not contain `.` or `..` between slashes"),
                    "{} with {id:?}: {description}",
                    method.name()
                );
            }
        }
    }
}

/// Ids that are odd, and ids.
fn odd() -> Vec<String> {
    let mut odd: Vec<String> = [
        "a/b",
        "/",
        "//",
        "a//b",
        "a/.b/..c",
        "a/...",
        // Encoded once more, a percent sign is one of the id.
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
    odd.push("/".repeat(256));
    odd.push("\0".repeat(256));
    odd.push("\u{1f355}".repeat(64));
    odd.push("x".repeat(256));
    odd
}

#[tokio::test]
async fn any_other_id_is_one_segment_and_arrives_as_it_was_asked() {
    let vendor = vendor().await;
    let gateway = Gateway::start(&vendor).await;
    for id in odd() {
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
async fn an_element_of_a_list_is_no_list_and_is_not_empty() {
    let vendor = vendor().await;
    let gateway = Gateway::start(&vendor).await;
    let long = "x".repeat(257);
    let mut checked = 0;
    for method in methods() {
        for (field, json_name) in lists(&method) {
            for (element, says) in [
                ("", "must not be empty"),
                (",", "comma"),
                ("a,b", "comma"),
                ("a,", "comma"),
                (&long, "at most 256 bytes"),
            ] {
                let request = with(
                    &method,
                    &json_name,
                    json!(["good", element, "good", element]),
                );
                let wrong = wrong(&gateway, &vendor, method.name(), request).await;
                let fields: Vec<_> = wrong.iter().map(|(field, _)| field.clone()).collect();
                assert_eq!(fields, [format!("{field}[1]"), format!("{field}[3]")]);
                assert!(wrong[0].1.contains(says), "{}: {wrong:?}", method.name());
            }
            checked += 1;
        }
    }
    assert_eq!(checked, 3, "the ids of both bulk reads, and the divisions");
}

#[tokio::test]
async fn any_other_element_arrives_as_it_was_asked() {
    let vendor = vendor().await;
    let gateway = Gateway::start(&vendor).await;
    // In a query, no dot segment is folded.
    let climbing = ["../x", "a/../b", "..\\x"].map(str::to_owned);
    for id in odd().into_iter().chain(climbing) {
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
async fn every_update_of_a_bulk_write_names_its_user() {
    let vendor = vendor().await;
    let gateway = Gateway::start(&vendor).await;
    let updates = json!([{"id": "a"}, {}, {"id": ""}, {"id": "x".repeat(257)}, {"id": "b"}]);
    let wrong = wrong(
        &gateway,
        &vendor,
        "PutUsersPresencesBulk",
        json!({"body": updates}),
    )
    .await;
    let fields: Vec<_> = wrong.iter().map(|(field, _)| field.as_str()).collect();
    assert_eq!(fields, ["body[1].id", "body[2].id", "body[3].id"]);
    assert!(wrong[0].1.contains("is required"), "{wrong:?}");
    assert!(wrong[2].1.contains("256 bytes"), "{wrong:?}");
}
