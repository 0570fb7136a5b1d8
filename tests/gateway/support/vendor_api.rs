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

/// The description, as recorded in the fixture.
pub fn api() -> Api {
    serde_json::from_str(include_str!("../../fixtures/presence-api.json")).unwrap()
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
