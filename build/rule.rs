//! The options of an RPC: its HTTP rule, its idempotency level, its permissions.

use prost_reflect::{DynamicMessage, FieldDescriptor, MethodDescriptor, Value};

use super::annotation::{PACKAGE, Permissions};

/// The `google.api.http` rule of an RPC.
pub fn rule(rpc: &MethodDescriptor) -> Result<DynamicMessage, String> {
    let missing = "has no google.api.http annotation; say which REST call it stands for";
    let extension = rpc
        .parent_pool()
        .get_extension_by_name("google.api.http")
        .ok_or(missing.to_owned())?;
    let options = rpc.options();
    if !options.has_extension(&extension) {
        return Err(missing.into());
    }
    options
        .get_extension(&extension)
        .as_message()
        .cloned()
        .ok_or_else(|| missing.into())
}

/// The HTTP method and the path template of a rule.
pub fn pattern(rule: &DynamicMessage) -> Result<(&'static str, String), String> {
    for (field, method) in [
        ("get", "GET"),
        ("put", "PUT"),
        ("post", "POST"),
        ("delete", "DELETE"),
        ("patch", "PATCH"),
    ] {
        if rule.has_field_by_name(field) {
            return Ok((method, text(rule, field)));
        }
    }
    Err("google.api.http: needs one of get, put, post, delete and patch".into())
}

/// Whether the idempotency level lets the operation be repeated.
///
/// The level is published, and client libraries repeat calls because of it. So a
/// level that does not hold is rejected.
pub fn is_repeatable(
    rpc: &MethodDescriptor,
    method: &str,
    body: Option<&FieldDescriptor>,
) -> Result<bool, String> {
    let options = rpc.options();
    let level = options.get_field_by_name("idempotency_level");
    let level = match level.and_then(|level| level.as_enum_number()) {
        Some(1) => "NO_SIDE_EFFECTS",
        Some(2) => "IDEMPOTENT",
        _ => return Ok(false),
    };
    let untrue = |why: &str| Err(format!("idempotency_level: {level} is not true: {why}"));
    match method {
        "POST" | "PATCH" => untrue(&format!(
            "a {method} may change something each time that it is sent; leave it out"
        )),
        "PUT" | "DELETE" if level == "NO_SIDE_EFFECTS" => {
            untrue(&format!("a {method} changes something; use IDEMPOTENT"))
        }
        "PUT" if body.is_some_and(FieldDescriptor::is_list) => untrue(
            "a list is sent in batches, some of which may have been applied, and a repetition \
             could overwrite what somebody wrote since; leave it out",
        ),
        _ => Ok(true),
    }
}

/// The permissions that the upstream documents.
pub fn permissions(rpc: &MethodDescriptor) -> Result<Option<Permissions>, String> {
    let extension = rpc
        .parent_pool()
        .get_extension_by_name(&format!("{PACKAGE}.permissions"));
    let options = rpc.options();
    let Some(extension) = extension.filter(|extension| options.has_extension(extension)) else {
        return Ok(None);
    };
    let value = options.get_extension(&extension);
    let value = value.as_message().ok_or("permissions: must be a message")?;
    let mode = match value
        .get_field_by_name("mode")
        .and_then(|mode| mode.as_enum_number())
    {
        Some(1) => "ANY",
        Some(2) => "ALL",
        _ => return Err("permissions: `mode` must be MODE_ANY or MODE_ALL".into()),
    };
    let names: Vec<String> = list(value, "names")
        .iter()
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect();
    if names.is_empty() {
        return Err(
            "permissions: `names` must hold one at least; leave the option out for none".into(),
        );
    }
    Ok(Some(Permissions {
        mode,
        names,
        condition: text(value, "condition"),
    }))
}

/// The value of a string field; empty if unset.
pub fn text(message: &DynamicMessage, field: &str) -> String {
    let value = message.get_field_by_name(field);
    value
        .and_then(|value| value.as_str().map(str::to_owned))
        .unwrap_or_default()
}

/// The values of a repeated field.
pub fn list(message: &DynamicMessage, field: &str) -> Vec<Value> {
    let value = message.get_field_by_name(field);
    value
        .and_then(|value| value.as_list().map(<[Value]>::to_vec))
        .unwrap_or_default()
}
