//! What the build refuses: an annotation that the interpreter could not follow.

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

/// One proto that is no file.
struct Source(String);

impl FileResolver for Source {
    fn open_file(&self, name: &str) -> Result<File, protox::Error> {
        match name {
            "test.proto" => File::from_source(name, &self.0),
            _ => Err(protox::Error::file_not_found(name)),
        }
    }
}

/// What the build says of a service with these RPCs, beside these messages.
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
        }}
        message BodyRequest {{ string id = 1; Model body = 2; }}
        message MessageRequest {{ Model body = 1; }}
        message BareRequest {{ string id = 1; }}
        message ListBodyRequest {{ string id = 1; repeated Model body = 2; }}
        message ImplicitRequest {{ string a = 1; }}
        message NumbersRequest {{ repeated int64 a = 1; }}
        message DateRequest {{ google.protobuf.Timestamp a = 1; }}
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
    annotation::read(&compiler.descriptor_pool()).map_err(|refusals| {
        refusals
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join("\n")
    })
}

/// Checks that the build refuses an RPC, and names it and what is wrong.
#[track_caller]
fn refuses(rpc: &str, named: &[&str]) {
    let Err(refusal) = read(rpc) else {
        panic!("this should have been refused: {rpc}")
    };
    for part in ["genesys.presence.v1.Test.R: "].iter().chain(named) {
        assert!(refusal.contains(part), "`{refusal}` does not name `{part}`");
    }
}

#[test]
fn what_the_interpreter_can_follow_is_accepted() {
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
fn an_rpc_without_an_annotation_is_refused() {
    refuses(
        "rpc R(Request) returns (Model);",
        &["no google.api.http annotation"],
    );
}

#[test]
fn a_path_variable_that_is_no_plain_string_field_is_refused() {
    let with = |path: &str| {
        format!(
            r#"rpc R(Request) returns (Model) {{ option (google.api.http) = {{ get: "{path}" }}; }}"#
        )
    };
    refuses(&with("/a/{idd}"), &["`idd`", "Request has no such field"]);
    refuses(&with("/a/{maybe}"), &["`maybe`", "plain `string`"]);
    refuses(&with("/a/{names}"), &["`names`", "plain `string`"]);
    refuses(&with("/a/{number}"), &["`number`", "plain `string`"]);
    refuses(&with("/a/{body.a}"), &["`body.a`"]);
    refuses(&with("/a/{id}/{id}"), &["`id`", "twice"]);
    refuses(&with("/a/{id=**}"), &["`id=**`"]);
    refuses(&with("/a/{id}:verb"), &["`{id}:verb`"]);
    refuses(&with("/a//{id}"), &["path"]);
    refuses(&with("a/{id}"), &["must begin with a slash"]);
}

#[test]
fn a_body_that_the_request_does_not_have_is_refused() {
    let with = |request: &str, rule: &str| {
        format!("rpc R({request}) returns (Model) {{ option (google.api.http) = {{ {rule} }}; }}")
    };
    refuses(
        &with("BodyRequest", r#"put: "/a/{id}" body: "bodi""#),
        &["`bodi`", "no such field"],
    );
    refuses(
        &with("BodyRequest", r#"put: "/a/{id}" body: "*""#),
        &["`*`"],
    );
    refuses(
        &with("ScalarBodyRequest", r#"put: "/a" body: "body""#),
        &["`body`", "message"],
    );
    refuses(
        &with("BodyRequest", r#"get: "/a/{id}" body: "body""#),
        &["`body`", "GET has no body"],
    );
    refuses(
        &with("BodyRequest", r#"delete: "/a/{id}" body: "body""#),
        &["DELETE has no body"],
    );
}

#[test]
fn a_query_field_that_is_no_scalar_is_refused() {
    let with = |request: &str| {
        format!(
            r#"rpc R({request}) returns (Model) {{ option (google.api.http) = {{ get: "/a" }}; }}"#
        )
    };
    refuses(&with("MessageRequest"), &["`body`", "query field"]);
    refuses(&with("DateRequest"), &["`a`", "query field"]);
    refuses(&with("NumbersRequest"), &["`a`", "list of strings"]);
    refuses(&with("ImplicitRequest"), &["`a`", "`optional`"]);
}

#[test]
fn a_response_body_that_is_no_list_of_models_is_refused() {
    let with = |field: &str| {
        format!(
            r#"rpc R(Request) returns (List) {{
              option (google.api.http) = {{ get: "/a/{{id}}" response_body: "{field}" }};
            }}"#
        )
    };
    refuses(&with("lists"), &["`lists`", "no such field"]);
    refuses(&with("names"), &["`names`", "list of messages"]);
}

#[test]
fn a_second_binding_is_refused() {
    let rpc = r#"rpc R(Request) returns (Model) {
      option (google.api.http) = { get: "/a/{id}" additional_bindings { get: "/b/{id}" } };
    }"#;
    refuses(rpc, &["additional_bindings"]);
}

#[test]
fn an_annotation_on_a_streaming_rpc_is_refused() {
    for signature in [
        "(Request) returns (stream Model)",
        "(stream Request) returns (Model)",
    ] {
        let rpc =
            format!(r#"rpc R{signature} {{ option (google.api.http) = {{ get: "/a/{{id}}" }}; }}"#);
        refuses(&rpc, &["streaming"]);
    }
}

#[test]
fn an_annotation_without_a_method_of_ours_is_refused() {
    let rpc = r#"rpc R(Request) returns (Model) {
      option (google.api.http) = { custom: { kind: "HEAD" path: "/a/{id}" } };
    }"#;
    refuses(rpc, &["get, put, post, delete and patch"]);
}

#[test]
fn a_model_that_json_would_not_survive_is_refused() {
    let answers = |model: &str| {
        format!(
            r#"rpc R(Request) returns ({model}) {{ option (google.api.http) = {{ get: "/{{id}}" }}; }}"#
        )
    };
    refuses(&answers("Plain"), &["`Plain.a`", "`optional`"]);
    refuses(&answers("Choice"), &["`Choice.a`", "oneof"]);
    refuses(&answers("Float"), &["`Float.a`", "cannot be mapped"]);
    refuses(&answers("Numbers"), &["`Numbers.map`", "map of strings"]);
    let rpc = r#"rpc R(PlainBodyRequest) returns (Model) {
      option (google.api.http) = { put: "/a" body: "body" };
    }"#;
    refuses(rpc, &["`Plain.a`"]);
}

#[test]
fn an_idempotency_level_that_is_not_true_is_refused() {
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
    for (rpc, level, says) in [
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
        // It is cut into batches, of which some may have been applied.
        (many, "IDEMPOTENT", "leave it out"),
    ] {
        refuses(&with(rpc, level), &["idempotency_level", level, says]);
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
fn permissions_without_a_mode_or_a_name_are_refused() {
    for (permissions, named) in [
        ("{ names: [\"a:b:c\"] }", "`mode`"),
        ("{ mode: MODE_ANY }", "`names`"),
    ] {
        let rpc = format!(
            r#"rpc R(Request) returns (Model) {{
              option (google.api.http) = {{ get: "/a/{{id}}" }};
              option (permissions) = {permissions};
            }}"#
        );
        refuses(&rpc, &[named]);
    }
}
