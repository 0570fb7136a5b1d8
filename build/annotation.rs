//! Reads what the proto says of each RPC, and refuses what the gateway cannot do.
//!
//! The annotations are the only description of the upstream API. A mistake in
//! one must not wait for a call to show itself, so everything that the
//! interpreter (`src/operation.rs`) takes for granted is checked here, and a
//! refusal names the RPC and the field.

use std::fmt;

use super::model;
use prost_reflect::{
    Cardinality, DescriptorPool, DynamicMessage, FieldDescriptor, Kind, MessageDescriptor,
    MethodDescriptor, Value,
};

/// The package whose services are mapped.
pub const PACKAGE: &str = "genesys.presence.v1";

/// One RPC and the REST call that it stands for.
pub struct Operation {
    pub rpc: MethodDescriptor,
    /// The HTTP method, in upper case.
    pub method: &'static str,
    pub path: Vec<Segment>,
    pub body: Option<FieldDescriptor>,
    /// What is neither in the path nor in the body, in the order of the proto.
    pub query: Vec<FieldDescriptor>,
    pub answer: Answer,
    pub permissions: Option<Permissions>,
    /// Whether a repetition changes nothing more than the first request did.
    pub is_repeatable: bool,
}

/// A part of a path template.
pub enum Segment {
    /// Text that stands in every path, slashes included.
    Literal(String),
    /// A field whose value is one segment.
    Variable(FieldDescriptor),
}

/// What the upstream answers with.
pub enum Answer {
    /// Nothing: the response has no field of the vendor's.
    Nothing,
    /// An object: the response itself.
    Object,
    /// A bare array: this field of the response.
    List(FieldDescriptor),
}

/// The permissions that the upstream asks for.
pub struct Permissions {
    /// `ANY` or `ALL`.
    pub mode: &'static str,
    pub names: Vec<String>,
    pub condition: String,
}

/// Why an RPC cannot be mapped.
#[derive(Debug)]
pub struct Refusal {
    rpc: String,
    reason: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.rpc, self.reason)
    }
}

/// Reads the RPCs of every service of [`PACKAGE`], in the order of the proto,
/// but for streams without an annotation.
///
/// # Errors
///
/// Returns every refusal, at most one for an RPC.
pub fn read(pool: &DescriptorPool) -> Result<Vec<Operation>, Vec<Refusal>> {
    let mut operations = Vec::new();
    let mut refusals = Vec::new();
    for rpc in pool
        .services()
        .filter(|s| s.package_name() == PACKAGE)
        .flat_map(|service| methods(&service))
        .filter(|rpc| !is_stream(rpc))
    {
        let name = rpc.full_name().to_owned();
        match operation(rpc) {
            Ok(operation) => operations.push(operation),
            Err(reason) => refusals.push(Refusal { rpc: name, reason }),
        }
    }
    if refusals.is_empty() {
        Ok(operations)
    } else {
        Err(refusals)
    }
}

/// Whether a field is the gateway's own, and so no part of a REST call.
pub fn is_gateway_only(field: &FieldDescriptor) -> bool {
    let option = field
        .parent_pool()
        .get_extension_by_name(&format!("{PACKAGE}.gateway_only"));
    option.is_some_and(|option| field.options().get_extension(&option).as_bool() == Some(true))
}

/// Whether an RPC is a stream of the gateway's own, which stands for no REST call.
fn is_stream(rpc: &MethodDescriptor) -> bool {
    let is_annotated = rpc
        .parent_pool()
        .get_extension_by_name("google.api.http")
        .is_some_and(|annotation| rpc.options().has_extension(&annotation));
    (rpc.is_client_streaming() || rpc.is_server_streaming()) && !is_annotated
}

fn methods(service: &prost_reflect::ServiceDescriptor) -> Vec<MethodDescriptor> {
    service.methods().collect()
}

fn operation(rpc: MethodDescriptor) -> Result<Operation, String> {
    let rule = rule(&rpc)?;
    if rpc.is_client_streaming() || rpc.is_server_streaming() {
        return Err("a streaming RPC cannot be one REST call; take the annotation away".into());
    }
    if !list(&rule, "additional_bindings").is_empty() {
        return Err("additional_bindings: an RPC is one REST call; keep one binding".into());
    }
    let (method, template) = pattern(&rule)?;
    let input = rpc.input();
    let path = path(&template, &input)?;
    let body = body(&text(&rule, "body"), method, &input)?;
    let query = query(&input, &path, body.as_ref())?;
    let answer = answer(&text(&rule, "response_body"), &rpc.output())?;
    let permissions = permissions(&rpc)?;
    for model in body.iter().filter_map(model_of).chain([rpc.output()]) {
        model::check(&model)?;
    }
    let is_repeatable = is_repeatable(&rpc, method, body.as_ref())?;
    Ok(Operation {
        rpc,
        method,
        path,
        body,
        query,
        answer,
        permissions,
        is_repeatable,
    })
}

/// Whether the idempotency level lets the operation be repeated.
///
/// The level is published: client libraries repeat calls by it that the gateway
/// would not. So one that is not true is refused.
fn is_repeatable(
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

fn rule(rpc: &MethodDescriptor) -> Result<DynamicMessage, String> {
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

fn pattern(rule: &DynamicMessage) -> Result<(&'static str, String), String> {
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

fn path(template: &str, input: &MessageDescriptor) -> Result<Vec<Segment>, String> {
    let rest = template
        .strip_prefix('/')
        .ok_or_else(|| format!("path `{template}`: must begin with a slash"))?;
    let mut path: Vec<Segment> = Vec::new();
    let mut literal = String::new();
    for segment in rest.split('/') {
        literal.push('/');
        match segment.strip_prefix('{').and_then(|s| s.strip_suffix('}')) {
            Some(name) => {
                let field = variable(name, input)?;
                if path
                    .iter()
                    .any(|s| matches!(s, Segment::Variable(other) if *other == field))
                {
                    return Err(format!(
                        "path variable `{name}`: stands twice in `{template}`"
                    ));
                }
                path.push(Segment::Literal(std::mem::take(&mut literal)));
                path.push(Segment::Variable(field));
            }
            None if segment.is_empty() || segment.contains(['{', '}', '*', ':']) => {
                return Err(format!(
                    "path `{template}`: the segment `{segment}` is neither plain text nor `{{field}}`"
                ));
            }
            None => literal.push_str(segment),
        }
    }
    if !literal.is_empty() {
        path.push(Segment::Literal(literal));
    }
    Ok(path)
}

fn variable(name: &str, input: &MessageDescriptor) -> Result<FieldDescriptor, String> {
    let field = input
        .get_field_by_name(name)
        .ok_or_else(|| format!("path variable `{name}`: {} has no such field", input.name()))?;
    if field.kind() != Kind::String || field.is_list() || field.supports_presence() {
        return Err(format!("path variable `{name}`: must be a plain `string`"));
    }
    Ok(field)
}

fn body(
    name: &str,
    method: &str,
    input: &MessageDescriptor,
) -> Result<Option<FieldDescriptor>, String> {
    if name.is_empty() {
        return Ok(None);
    }
    if matches!(method, "GET" | "DELETE") {
        return Err(format!("body `{name}`: a {method} has no body"));
    }
    let field = input
        .get_field_by_name(name)
        .ok_or_else(|| format!("body `{name}`: {} has no such field", input.name()))?;
    match model_of(&field) {
        Some(_) if !field.is_map() => Ok(Some(field)),
        _ => Err(format!(
            "body `{name}`: must be a message or a list of messages"
        )),
    }
}

fn query(
    input: &MessageDescriptor,
    path: &[Segment],
    body: Option<&FieldDescriptor>,
) -> Result<Vec<FieldDescriptor>, String> {
    let in_path = |field: &FieldDescriptor| {
        path.iter()
            .any(|s| matches!(s, Segment::Variable(v) if v == field))
    };
    let mut query = Vec::new();
    for field in input.fields() {
        if in_path(&field) || body == Some(&field) || is_gateway_only(&field) {
            continue;
        }
        let name = field.name();
        let is_scalar = matches!(field.kind(), Kind::String | Kind::Bool | Kind::Int64);
        if !is_scalar || field.is_list() && field.kind() != Kind::String {
            return Err(format!(
                "query field `{name}`: must be a string, a bool, an int64 or a list of strings"
            ));
        }
        if !field.is_list() && !field.supports_presence() {
            return Err(format!(
                "query field `{name}`: must be `optional`, so that unset and empty differ"
            ));
        }
        query.push(field);
    }
    Ok(query)
}

fn answer(name: &str, output: &MessageDescriptor) -> Result<Answer, String> {
    if name.is_empty() {
        let empty = output.fields().all(|field| is_gateway_only(&field));
        return Ok(if empty {
            Answer::Nothing
        } else {
            Answer::Object
        });
    }
    let field = output.get_field_by_name(name).ok_or_else(|| {
        format!(
            "response_body `{name}`: {} has no such field",
            output.name()
        )
    })?;
    if !field.is_list() || model_of(&field).is_none() {
        return Err(format!(
            "response_body `{name}`: must be a list of messages"
        ));
    }
    Ok(Answer::List(field))
}

fn permissions(rpc: &MethodDescriptor) -> Result<Option<Permissions>, String> {
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

pub fn model_of(field: &FieldDescriptor) -> Option<MessageDescriptor> {
    field.kind().as_message().cloned()
}

fn text(message: &DynamicMessage, field: &str) -> String {
    let value = message.get_field_by_name(field);
    value
        .and_then(|value| value.as_str().map(str::to_owned))
        .unwrap_or_default()
}

fn list(message: &DynamicMessage, field: &str) -> Vec<Value> {
    let value = message.get_field_by_name(field);
    value
        .and_then(|value| value.as_list().map(<[Value]>::to_vec))
        .unwrap_or_default()
}

/// Whether a field is a list of the vendor's that the REST call holds whole.
pub fn is_body_list(body: Option<&FieldDescriptor>, field: &FieldDescriptor) -> bool {
    body == Some(field) && field.cardinality() == Cardinality::Repeated
}
