//! The vendor's description of its API, and the annotations of the protos
//! that repeat it.

use std::collections::BTreeMap;

use prost_reflect::{DynamicMessage, MethodDescriptor, ReflectMessage};
use serde::Deserialize;

#[derive(Deserialize)]
pub struct Api {
    pub operations: Vec<Operation>,
    pub models: BTreeMap<String, BTreeMap<String, Field>>,
}

#[derive(Deserialize)]
pub struct Operation {
    pub operation: String,
    pub method: String,
    pub path: String,
    pub deprecated: bool,
    pub permissions: Option<Permissions>,
    pub parameters: Vec<Parameter>,
    pub returns: Option<String>,
}

#[derive(Deserialize)]
pub struct Permissions {
    pub mode: String,
    pub names: Vec<String>,
}

#[derive(Deserialize)]
pub struct Parameter {
    pub name: String,
    #[serde(rename = "in")]
    pub place: String,
    #[serde(rename = "type")]
    pub kind: String,
}

#[derive(Deserialize)]
pub struct Field {
    #[serde(rename = "type")]
    pub kind: String,
}

/// The types of query parameters, besides `list[str]`.
const PARAMETER_TYPES: [&str; 4] = ["str", "int", "bool", "datetime"];

/// The types of fields of models, besides models, lists and maps.
const FIELD_TYPES: [&str; 4] = ["string", "integer", "boolean", "date-time"];

/// The description, as recorded in the fixture.
///
/// Panics at a type that CONTRIBUTING.md does not list, as
/// `tests/interop/operations.py` does.
pub fn api() -> Api {
    let api: Api = serde_json::from_str(include_str!("../../fixtures/presence-api.json")).unwrap();
    for operation in &api.operations {
        let owner = &operation.operation;
        for Parameter { name, place, kind } in &operation.parameters {
            let (is_known, types) = match place.as_str() {
                "path" => (kind == "str", "`str`"),
                "query" => (
                    PARAMETER_TYPES.contains(&kind.as_str()) || kind == "list[str]",
                    "`str`, `int`, `bool`, `datetime` or `list[str]`",
                ),
                "body" => (api.is_model(element(kind)), "a model or a list of one"),
                _ => panic!("{owner}: `{name}` is in `{place}`, not in path, query or body"),
            };
            assert!(
                is_known,
                "{owner}: `{name}` has the type `{kind}`; in the {place} it must be {types}"
            );
        }
        if let Some(kind) = &operation.returns {
            assert!(
                api.is_model(element(kind)),
                "{owner}: returns the type `{kind}`; it must be null, a model or a list of one"
            );
        }
    }
    for (model, fields) in &api.models {
        for (name, Field { kind }) in fields {
            assert!(
                FIELD_TYPES.contains(&kind.as_str())
                    || ["list[string]", "map<string,string>"].contains(&kind.as_str())
                    || api.is_model(element(kind)),
                "{model}: `{name}` has the type `{kind}`; it must be `string`, `integer`, `boolean`, \
                 `date-time`, `list[string]`, `map<string,string>`, a model or a list of one"
            );
        }
    }
    api
}

impl Api {
    /// Whether a type is a model. Of `User` the proto has a part, as `UserRef`.
    fn is_model(&self, kind: &str) -> bool {
        kind == "User" || self.models.contains_key(kind)
    }
}

/// The type of a list's elements; a type that is no list is returned as it is.
pub fn element(kind: &str) -> &str {
    let list = kind.strip_prefix("list[");
    list.and_then(|rest| rest.strip_suffix(']')).unwrap_or(kind)
}

/// The name of the RPC for a vendor operation.
pub fn rpc_name(operation: &Operation) -> String {
    let legacy = operation
        .operation
        .replace("presencedefinition", "organization_presence");
    let name = if operation.deprecated {
        &legacy
    } else {
        &operation.operation
    };
    name.split('_')
        .map(|word| word[..1].to_uppercase() + &word[1..])
        .collect()
}

/// Returns an extension in the options of a descriptor.
fn option(options: &DynamicMessage, name: &str) -> Option<DynamicMessage> {
    let extension = options
        .descriptor()
        .parent_pool()
        .get_extension_by_name(name)
        .unwrap();
    options.has_extension(&extension).then(|| {
        options
            .get_extension(&extension)
            .as_message()
            .unwrap()
            .clone()
    })
}

/// The method, the path and the whole rule of an RPC's annotation.
pub fn http(rpc: &MethodDescriptor) -> (String, String, DynamicMessage) {
    let rule = option(&rpc.options(), "google.api.http")
        .unwrap_or_else(|| panic!("{} has no google.api.http", rpc.name()));
    let (method, path) = ["get", "put", "post", "delete", "patch"]
        .into_iter()
        .find_map(|verb| {
            let path = rule.get_field_by_name(verb)?.as_str()?.to_owned();
            rule.has_field_by_name(verb)
                .then(|| (verb.to_uppercase(), path))
        })
        .unwrap();
    (method, path, rule)
}

/// The permissions that an RPC needs.
pub struct Needed {
    /// 1 for any of the names, 2 for all.
    pub mode: i32,
    pub names: Vec<String>,
    pub condition: String,
}

/// The permissions that an RPC declares, if any.
pub fn permissions(rpc: &MethodDescriptor) -> Option<Needed> {
    let declared = option(&rpc.options(), "genesys.presence.v1.permissions")?;
    let names = declared.get_field_by_name("names")?;
    Some(Needed {
        mode: declared.get_field_by_name("mode")?.as_enum_number()?,
        names: names
            .as_list()?
            .iter()
            .filter_map(|name| Some(name.as_str()?.to_owned()))
            .collect(),
        condition: declared
            .get_field_by_name("condition")?
            .as_str()?
            .to_owned(),
    })
}
