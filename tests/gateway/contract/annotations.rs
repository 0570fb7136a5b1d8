//! The build rejects annotations that the interpreter cannot map.

#[allow(dead_code, reason = "the build uses all of it")]
#[path = "../../../build/annotation.rs"]
mod annotation;
#[path = "../../../build/fields.rs"]
mod fields;
#[path = "../../../build/model.rs"]
mod model;
#[path = "../../../build/rule.rs"]
mod rule;

use protox::Compiler;
use protox::file::{ChainFileResolver, File, FileResolver, IncludeFileResolver};

/// A proto file in memory.
struct Source(String);

impl FileResolver for Source {
    fn open_file(&self, name: &str) -> Result<File, protox::Error> {
        match name {
            "test.proto" => File::from_source(name, &self.0),
            _ => Err(protox::Error::file_not_found(name)),
        }
    }
}

/// Reads the annotations of a service with these RPCs and the messages below, as
/// the build does.
fn read(rpcs: &str) -> Result<Vec<annotation::Operation>, String> {
    let source = format!(
        r#"syntax = "proto3";
        package genesys.presence.v1;
        import "genesys/presence/v1/options.proto";
        import "google/api/annotations.proto";
        import "google/protobuf/timestamp.proto";
        message Model {{ optional string a = 1; repeated Model list = 2; map<string, string> map = 3; }}
        message Empty {{}}
        message List {{ repeated Model list = 1; repeated string names = 2; }}
        message Numbers {{ map<string, int64> map = 1; }}
        message Plain {{ string a = 1; }}
        message Choice {{ oneof of {{ string a = 1; string b = 2; }} }}
        message Float {{ optional double a = 1; }}
        message Request {{
          string id = 1;
          optional string maybe = 2;
          repeated string names = 3;
          optional int64 number = 4;
          Model body = 5 [(gateway_only) = true];
          google.protobuf.Timestamp since = 6;
        }}
        message BodyRequest {{ string id = 1; Model body = 2; }}
        message MessageRequest {{ Model body = 1; }}
        message BareRequest {{ string id = 1; }}
        message ListBodyRequest {{ string id = 1; repeated Model body = 2; }}
        message ImplicitRequest {{ string a = 1; }}
        message NumbersRequest {{ repeated int64 a = 1; }}
        message DatesRequest {{ repeated google.protobuf.Timestamp a = 1; }}
        message NumbersBodyRequest {{ Numbers body = 1; }}
        message PlainBodyRequest {{ Plain body = 1; }}
        message ScalarBodyRequest {{ string body = 1; }}
        service Test {{ {rpcs} }}"#
    );
    let mut resolver = ChainFileResolver::new();
    resolver.add(Source(source));
    resolver.add(IncludeFileResolver::new(
        concat!(env!("CARGO_MANIFEST_DIR"), "/proto").into(),
    ));
    resolver.add(protox::file::GoogleFileResolver::new());
    let mut compiler = Compiler::with_file_resolver(resolver);
    compiler
        .include_imports(true)
        .open_file("test.proto")
        .unwrap_or_else(|e| panic!("{e:?}"));
    annotation::parse(&compiler.descriptor_pool()).map_err(|refusals| {
        refusals
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join("\n")
    })
}

/// Checks that the build rejects an RPC, and that the message has its name and
/// `parts`.
#[track_caller]
fn assert_rejected(rpc: &str, parts: &[&str]) {
    let Err(message) = read(rpc) else {
        panic!("the build accepts {rpc}")
    };
    for part in ["genesys.presence.v1.Test.R: "].iter().chain(parts) {
        assert!(message.contains(part), "`{message}` lacks `{part}`");
    }
}

#[test]
fn a_mappable_annotation_is_accepted() {
    let operations = read(
        r#"rpc R(Request) returns (Model) { option (google.api.http) = { get: "/a/{id}/b" }; }
        rpc S(BodyRequest) returns (List) {
          option (google.api.http) = { post: "/a/{id}" body: "body" response_body: "list" };
        }
        rpc T(Request) returns (Empty) { option (google.api.http) = { delete: "/a/{id}" }; }"#,
    );
    let operations = operations.unwrap_or_else(|refusal| panic!("{refusal}"));
    let methods: Vec<_> = operations
        .iter()
        .map(|operation| operation.method)
        .collect();
    assert_eq!(methods, ["GET", "POST", "DELETE"]);
}

#[test]
fn an_rpc_without_an_annotation_is_rejected() {
    assert_rejected(
        "rpc R(Request) returns (Model);",
        &["no google.api.http annotation"],
    );
}

#[test]
fn a_path_variable_other_than_a_plain_string_field_is_rejected() {
    let with = |path: &str| {
        format!(
            r#"rpc R(Request) returns (Model) {{ option (google.api.http) = {{ get: "{path}" }}; }}"#
        )
    };
    assert_rejected(&with("/a/{idd}"), &["`idd`", "Request has no such field"]);
    assert_rejected(&with("/a/{maybe}"), &["`maybe`", "plain `string`"]);
    assert_rejected(&with("/a/{names}"), &["`names`", "plain `string`"]);
    assert_rejected(&with("/a/{number}"), &["`number`", "plain `string`"]);
    assert_rejected(&with("/a/{body.a}"), &["`body.a`"]);
    assert_rejected(&with("/a/{id}/{id}"), &["`id`", "twice"]);
    assert_rejected(&with("/a/{id=**}"), &["`id=**`"]);
    assert_rejected(&with("/a/{id}:verb"), &["`{id}:verb`"]);
    assert_rejected(&with("/a//{id}"), &["path"]);
    assert_rejected(&with("a/{id}"), &["must begin with a slash"]);
}

#[test]
fn a_body_outside_the_request_is_rejected() {
    let with = |request: &str, rule: &str| {
        format!("rpc R({request}) returns (Model) {{ option (google.api.http) = {{ {rule} }}; }}")
    };
    assert_rejected(
        &with("BodyRequest", r#"put: "/a/{id}" body: "bodi""#),
        &["`bodi`", "no such field"],
    );
    assert_rejected(
        &with("BodyRequest", r#"put: "/a/{id}" body: "*""#),
        &["`*`"],
    );
    assert_rejected(
        &with("ScalarBodyRequest", r#"put: "/a" body: "body""#),
        &["`body`", "message"],
    );
    assert_rejected(
        &with("BodyRequest", r#"get: "/a/{id}" body: "body""#),
        &["`body`", "GET has no body"],
    );
    assert_rejected(
        &with("BodyRequest", r#"delete: "/a/{id}" body: "body""#),
        &["DELETE has no body"],
    );
}

#[test]
fn a_query_field_other_than_a_scalar_is_rejected() {
    let with = |request: &str| {
        format!(
            r#"rpc R({request}) returns (Model) {{ option (google.api.http) = {{ get: "/a" }}; }}"#
        )
    };
    assert_rejected(&with("MessageRequest"), &["`body`", "query field"]);
    assert_rejected(&with("DatesRequest"), &["`a`", "list of strings"]);
    assert_rejected(&with("NumbersRequest"), &["`a`", "list of strings"]);
    assert_rejected(&with("ImplicitRequest"), &["`a`", "`optional`"]);
}

#[test]
fn a_response_body_other_than_a_list_of_models_is_rejected() {
    let with = |field: &str| {
        format!(
            r#"rpc R(Request) returns (List) {{
              option (google.api.http) = {{ get: "/a/{{id}}" response_body: "{field}" }};
            }}"#
        )
    };
    assert_rejected(&with("lists"), &["`lists`", "no such field"]);
    assert_rejected(&with("names"), &["`names`", "list of messages"]);
}

#[test]
fn a_second_binding_is_rejected() {
    let rpc = r#"rpc R(Request) returns (Model) {
      option (google.api.http) = { get: "/a/{id}" additional_bindings { get: "/b/{id}" } };
    }"#;
    assert_rejected(rpc, &["additional_bindings"]);
}

#[test]
fn an_annotation_on_a_streaming_rpc_is_rejected() {
    for signature in [
        "(Request) returns (stream Model)",
        "(stream Request) returns (Model)",
    ] {
        let rpc =
            format!(r#"rpc R{signature} {{ option (google.api.http) = {{ get: "/a/{{id}}" }}; }}"#);
        assert_rejected(&rpc, &["streaming"]);
    }
}

#[test]
fn an_annotation_with_an_unsupported_method_is_rejected() {
    let rpc = r#"rpc R(Request) returns (Model) {
      option (google.api.http) = { custom: { kind: "HEAD" path: "/a/{id}" } };
    }"#;
    assert_rejected(rpc, &["get, put, post, delete and patch"]);
}

#[test]
fn a_model_without_a_json_mapping_is_rejected() {
    let returning = |model: &str| {
        format!(
            r#"rpc R(Request) returns ({model}) {{ option (google.api.http) = {{ get: "/{{id}}" }}; }}"#
        )
    };
    assert_rejected(&returning("Plain"), &["`Plain.a`", "`optional`"]);
    assert_rejected(&returning("Choice"), &["`Choice.a`", "oneof"]);
    assert_rejected(&returning("Float"), &["`Float.a`", "cannot be mapped"]);
    assert_rejected(&returning("Numbers"), &["`Numbers.map`", "map of strings"]);
    let rpc = r#"rpc R(PlainBodyRequest) returns (Model) {
      option (google.api.http) = { put: "/a" body: "body" };
    }"#;
    assert_rejected(rpc, &["`Plain.a`"]);
}

#[test]
fn a_wrong_idempotency_level_is_rejected() {
    let with = |(method, request, body): (&str, &str, &str), level: &str| {
        format!(
            r#"rpc R({request}) returns (Model) {{
                 option idempotency_level = {level};
                 option (google.api.http) = {{ {method}: "/a/{{id}}" {body} }};
               }}"#
        )
    };
    let one = |method| (method, "BodyRequest", r#"body: "body""#);
    let none = |method| (method, "BareRequest", "");
    let many = ("put", "ListBodyRequest", r#"body: "body""#);
    for (rpc, level, message) in [
        (one("post"), "IDEMPOTENT", "leave it out"),
        (one("patch"), "IDEMPOTENT", "leave it out"),
        (one("post"), "NO_SIDE_EFFECTS", "leave it out"),
        (one("patch"), "NO_SIDE_EFFECTS", "leave it out"),
        (one("put"), "NO_SIDE_EFFECTS", "a PUT changes something"),
        (
            none("delete"),
            "NO_SIDE_EFFECTS",
            "a DELETE changes something",
        ),
        // The gateway cuts it into batches, and some of them can be applied.
        (many, "IDEMPOTENT", "leave it out"),
    ] {
        assert_rejected(&with(rpc, level), &["idempotency_level", level, message]);
    }
    for (rpc, level) in [
        (none("get"), "NO_SIDE_EFFECTS"),
        (one("put"), "IDEMPOTENT"),
        (none("delete"), "IDEMPOTENT"),
        (one("post"), "IDEMPOTENCY_UNKNOWN"),
        (many, "IDEMPOTENCY_UNKNOWN"),
    ] {
        read(&with(rpc, level)).unwrap_or_else(|refusal| panic!("{refusal}"));
    }
}

#[test]
fn permissions_without_a_mode_or_a_name_are_rejected() {
    for (permissions, field) in [
        ("{ names: [\"a:b:c\"] }", "`mode`"),
        ("{ mode: MODE_ANY }", "`names`"),
    ] {
        let rpc = format!(
            r#"rpc R(Request) returns (Model) {{
              option (google.api.http) = {{ get: "/a/{{id}}" }};
              option (permissions) = {permissions};
            }}"#
        );
        assert_rejected(&rpc, &[field]);
    }
}
