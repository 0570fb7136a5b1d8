//! The protos match the vendor's API description: operations, parameters, models.

use std::collections::BTreeMap;

use prost_reflect::{Cardinality, FieldDescriptor, Kind, MethodDescriptor, Value};

use crate::support::methods;
use crate::support::vendor_api::{Needed, Operation, api, element, http, permissions, rpc_name};

/// Returns each vendor operation with its RPC.
pub(super) fn pairs() -> Vec<(Operation, MethodDescriptor)> {
    let rpcs = methods();
    let pair = |operation: Operation| {
        let name = rpc_name(&operation);
        let rpc = rpcs.iter().find(|rpc| rpc.name() == name);
        let rpc = rpc.unwrap_or_else(|| {
            let file = if operation.deprecated {
                "legacy_presence_service.proto"
            } else {
                "presence_service.proto"
            };
            let operation = &operation.operation;
            panic!("{operation} has no RPC {name}; add it to {file}")
        });
        (operation, rpc.clone())
    };
    api().operations.into_iter().map(pair).collect()
}

#[test]
fn operations_and_rpcs_correspond_one_to_one() {
    let pairs = pairs();
    let left_over: Vec<String> = methods()
        .iter()
        .filter(|rpc| pairs.iter().all(|(_, paired)| paired != *rpc))
        .map(|rpc| rpc.name().to_owned())
        .collect();
    assert!(
        left_over.is_empty(),
        "RPCs without an operation in presence-api.json: {left_over:?}"
    );
    for (operation, rpc) in pairs {
        let service = rpc.parent_service().name().to_owned();
        let expected = if operation.deprecated {
            "LegacyPresenceService"
        } else {
            "PresenceService"
        };
        assert_eq!(service, expected, "{}", rpc.name());
        assert_eq!(rpc.input().name(), format!("{}Request", rpc.name()));
        let deprecated = rpc
            .options()
            .get_field_by_name("deprecated")
            .unwrap()
            .as_bool();
        assert_eq!(deprecated, Some(operation.deprecated), "{}", rpc.name());
    }
}

#[test]
fn every_annotation_has_the_vendors_method_and_path() {
    for (operation, rpc) in pairs() {
        let (method, path, rule) = http(&rpc);
        let mut expected = operation.path.clone();
        for parameter in operation.parameters.iter().filter(|p| p.place == "path") {
            let field = rpc.input().get_field_by_json_name(&parameter.name).unwrap();
            expected = expected.replace(
                &format!("{{{}}}", parameter.name),
                &format!("{{{}}}", field.name()),
            );
        }
        assert_eq!(
            (method, path),
            (operation.method.clone(), expected),
            "{}",
            rpc.name()
        );
        let body = operation
            .parameters
            .iter()
            .find(|parameter| parameter.place == "body");
        let body_field = rule
            .get_field_by_name("body")
            .unwrap()
            .as_str()
            .unwrap()
            .to_owned();
        assert_eq!(body_field, body.map_or("", |_| "body"), "{}", rpc.name());
        let is_list = operation
            .returns
            .as_deref()
            .is_some_and(|kind| kind.starts_with("list["));
        let has_response_body = !rule
            .get_field_by_name("response_body")
            .unwrap()
            .as_str()
            .unwrap()
            .is_empty();
        assert_eq!(has_response_body, is_list, "{}", rpc.name());
    }
}

#[test]
fn parameters_and_fields_correspond_except_for_gateway_only_fields() {
    for (operation, rpc) in pairs() {
        let mut fields: BTreeMap<String, FieldDescriptor> = rpc
            .input()
            .fields()
            .map(|field| (field.json_name().to_owned(), field))
            .collect();
        for parameter in &operation.parameters {
            let name = &parameter.name;
            let field = fields
                .remove(name)
                .unwrap_or_else(|| panic!("{}: no field for `{name}`", rpc.name()));
            check_type(&field, &parameter.kind, rpc.name());
            if parameter.place == "path" {
                assert!(
                    !field.supports_presence(),
                    "{}: {name} is optional",
                    rpc.name()
                );
            }
        }
        for (name, field) in fields {
            assert!(
                is_gateway_only(&field),
                "{}: `{name}` is neither a parameter nor gateway_only",
                rpc.name()
            );
        }
    }
}

#[test]
fn every_model_has_the_vendors_fields() {
    for (name, fields) in api().models {
        // `createdBy` is mapped only as far as it identifies the user.
        let name = if name == "User" {
            "UserRef".to_owned()
        } else {
            name
        };
        let model = presence_gateway::proto::pool()
            .get_message_by_name(&format!("genesys.presence.v1.{name}"))
            .unwrap_or_else(|| panic!("no message for the model {name}"));
        for (field_name, field) in &fields {
            let Some(found) = model.get_field_by_json_name(field_name) else {
                assert_eq!(name, "UserRef", "{name} lacks `{field_name}`");
                continue;
            };
            check_type(&found, &field.kind, &name);
        }
        for field in model.fields() {
            assert!(
                fields.contains_key(field.json_name()),
                "{name}: the vendor has no field {}",
                field.name()
            );
        }
    }
}

#[test]
fn permissions_match_the_vendor_and_a_patch_has_its_later_one() {
    for (operation, rpc) in pairs() {
        match (&operation.permissions, permissions(&rpc)) {
            (
                Some(expected),
                Some(Needed {
                    mode,
                    names,
                    condition,
                }),
            ) => {
                let expected_mode = if expected.mode == "ANY" { 1 } else { 2 };
                assert_eq!(
                    (mode, names),
                    (expected_mode, expected.names.clone()),
                    "{}",
                    rpc.name()
                );
                assert_eq!(condition, "", "{}", rpc.name());
            }
            (
                None,
                Some(Needed {
                    names, condition, ..
                }),
            ) => {
                assert_eq!(
                    operation.method,
                    "PATCH",
                    "{} needs no permission",
                    rpc.name()
                );
                assert_eq!(names, ["presence:userPresence:edit"]);
                assert!(!condition.is_empty(), "{}", rpc.name());
            }
            (None, None) => assert_ne!(operation.method, "PATCH", "{}", rpc.name()),
            (Some(_), None) => panic!("{} has no permissions", rpc.name()),
        }
    }
}

#[test]
fn idempotency_follows_the_method_where_a_retry_is_harmless() {
    // A retry could overwrite later writes of other callers, for many users.
    let never = "PutUsersPresencesBulk";
    assert!(pairs().iter().any(|(_, rpc)| rpc.name() == never));
    for (operation, rpc) in pairs() {
        let level = rpc
            .options()
            .get_field_by_name("idempotency_level")
            .unwrap()
            .into_owned();
        let expected = match operation.method.as_str() {
            "GET" => 1,
            _ if rpc.name() == never => 0,
            "PUT" | "DELETE" => 2,
            _ => 0,
        };
        assert_eq!(level, Value::EnumNumber(expected), "{}", rpc.name());
    }
}

fn is_gateway_only(field: &FieldDescriptor) -> bool {
    let options = field.options();
    let pool = presence_gateway::proto::pool();
    let extension = pool
        .get_extension_by_name("genesys.presence.v1.gateway_only")
        .unwrap();
    options.get_extension(&extension).as_bool() == Some(true)
}

/// Checks a field against a vendor type: `string`, `list[string]`,
/// `map<string,string>`, `date-time`, or the name of a model.
fn check_type(field: &FieldDescriptor, kind: &str, owner: &str) {
    let place = format!("{owner}.{} should be {kind}", field.name());
    if kind.starts_with("list[") {
        assert_eq!(field.cardinality(), Cardinality::Repeated, "{place}");
        return check_kind(field, element(kind), &place);
    }
    if kind.starts_with("map<") {
        assert!(field.is_map(), "{place}");
        return;
    }
    assert_ne!(field.cardinality(), Cardinality::Repeated, "{place}");
    check_kind(field, kind, &place);
    let is_scalar = !matches!(field.kind(), Kind::Message(_));
    let is_path_variable = owner.starts_with(|c: char| c.is_ascii_uppercase())
        && field.parent_message().name().ends_with("Request");
    assert!(
        !is_scalar || field.supports_presence() || is_path_variable,
        "{place}: not optional"
    );
}

fn check_kind(field: &FieldDescriptor, kind: &str, place: &str) {
    match (kind, field.kind()) {
        ("str" | "string", Kind::String)
        | ("bool" | "boolean", Kind::Bool)
        | ("int" | "integer", Kind::Int64) => {}
        ("date-time" | "datetime", Kind::Message(model)) => {
            assert_eq!(model.full_name(), "google.protobuf.Timestamp", "{place}");
        }
        ("User", Kind::Message(model)) => assert_eq!(model.name(), "UserRef", "{place}"),
        (kind, Kind::Message(model)) => assert_eq!(model.name(), kind, "{place}"),
        (_, other) => panic!("{place}, is {other:?}"),
    }
}
