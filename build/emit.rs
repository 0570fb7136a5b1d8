//! Generates the constants and the handler of each operation, and the JSON
//! attributes of each model.

use std::fmt::Write;

use prost_reflect::{DescriptorPool, FieldDescriptor, Kind, MessageDescriptor};
use tonic_prost_build::Builder;

use crate::annotation::{
    Operation, PACKAGE, Permissions, Response, Segment, is_body_list, is_gateway_only,
};
use crate::model::TIMESTAMP;

/// Generates one `impl Operation` per operation, and the list of their constants: no code.
pub fn operations(operations: &[Operation]) -> String {
    let mut code = String::new();
    for operation in operations {
        let rpc = &operation.rpc;
        let path: String = operation.path.iter().map(segment).collect();
        let template: String = operation.path.iter().map(template).collect();
        let query: String = operation
            .query
            .iter()
            .map(|query| format!("{}, ", field(query)))
            .collect();
        let body = match &operation.body {
            Some(body) => format!("Some({})", field(body)),
            None => "None".to_owned(),
        };
        let shape = match &operation.response {
            Response::Nothing => "ResponseShape::Empty".to_owned(),
            Response::Object => "ResponseShape::Object".to_owned(),
            Response::List(list) => format!("ResponseShape::List({})", field(list)),
        };
        // `write!` to a `String` cannot fail.
        let _ = write!(
            code,
            "impl Operation for {input} {{
    type Response = {output};
    const SPEC: &'static Spec = &Spec {{
        name: {name:?},
        rpc: {full_name:?},
        request: {request:?},
        method: http::Method::{method},
        template: {template:?},
        span: {span:?},
        path: &[{path}],
        query: &[{query}],
        body: {body},
        body_is_list: {body_is_list},
        shape: {shape},
        response: {response:?},
        permissions: {permissions},
        is_repeatable: {is_repeatable},
    }};
}}
",
            input = rpc.input().name(),
            output = rpc.output().name(),
            name = rpc.name(),
            full_name = format!("{}/{}", rpc.parent_service().full_name(), rpc.name()),
            span = format!("{} {template}", operation.method),
            request = rpc.input().full_name(),
            response = rpc.output().full_name(),
            method = operation.method,
            body_is_list = operation
                .body
                .as_ref()
                .is_some_and(FieldDescriptor::is_list),
            is_repeatable = operation.is_repeatable,
            permissions = permissions(operation.permissions.as_ref()),
        );
    }
    let specs = operations.iter().map(|operation| operation.rpc.input());
    let specs: String = specs
        .map(|input| format!("    {}::SPEC,\n", input.name()))
        .collect();
    code + &format!(
        "\n/// The mapping of each operation.\npub static SPECS: &[&Spec] = &[\n{specs}];\n"
    )
}

/// The request field that makes an RPC a bulk RPC; `src/rpc.rs` names it too.
const BULK: &str = "allow_partial_results";

/// Generates the implementation of each service: one handler per operation, which
/// forwards the call or fans it out. `src/grpc.rs` includes it.
pub fn services(operations: &[Operation]) -> String {
    let rpcs = operations.iter().map(|operation| &operation.rpc);
    let mut code = String::new();
    let mut service = None;
    for rpc in rpcs {
        let parent = rpc.parent_service();
        if service.as_ref() != Some(&parent) {
            let end = if service.is_some() { "}\n\n" } else { "" };
            let _ = write!(
                code,
                "{end}#[async_trait]\nimpl {} for Handler {{\n",
                parent.name()
            );
            service = Some(parent);
        }
        let is_bulk = rpc.input().get_field_by_name(BULK).is_some();
        let _ = write!(
            code,
            "    async fn {name}(&self, call: Request<{input}>) -> GrpcResult<{output}> {{
        self.{handler}(call.into_inner()).await
    }}
",
            name = snake_case(rpc.name()),
            input = rpc.input().name(),
            output = rpc.output().name(),
            handler = if is_bulk { "fan_out" } else { "forward" },
        );
    }
    code + "}\n"
}

/// `GetUserPresence` as `get_user_presence`, the name of the method that tonic generates.
fn snake_case(name: &str) -> String {
    let mut snake = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.extend(letter.to_lowercase());
    }
    snake
}

/// A segment in the notation of the vendor's documentation.
fn template(segment: &Segment) -> String {
    match segment {
        Segment::Literal(text) => text.clone(),
        Segment::Variable(variable) => format!("{{{}}}", variable.json_name()),
    }
}

fn segment(segment: &Segment) -> String {
    match segment {
        Segment::Literal(text) => format!("Segment::Literal({text:?}), "),
        Segment::Variable(variable) => format!("Segment::Variable({}), ", field(variable)),
    }
}

fn field(field: &FieldDescriptor) -> String {
    format!(
        "Field {{ proto: {:?}, json: {:?} }}",
        field.name(),
        field.json_name()
    )
}

fn permissions(permissions: Option<&Permissions>) -> String {
    let Some(Permissions {
        mode,
        names,
        condition,
    }) = permissions
    else {
        return "None".to_owned();
    };
    format!("Some(Permissions {{ mode: {mode:?}, names: &{names:?}, condition: {condition:?} }})")
}

/// Adds the JSON attributes of every message of the package: proto3 JSON with the
/// vendor's names, parsed with the leniency of `src/json.rs`.
pub fn json(mut builder: Builder, pool: &DescriptorPool, operations: &[Operation]) -> Builder {
    for message in pool
        .all_messages()
        .filter(|m| m.package_name() == PACKAGE && !m.is_map_entry() && !has_choice(m))
    {
        let operation = operations
            .iter()
            .find(|operation| operation.rpc.input() == message);
        builder = message_json(builder, &message, operation);
    }
    builder
}

fn message_json(
    mut builder: Builder,
    message: &MessageDescriptor,
    operation: Option<&Operation>,
) -> Builder {
    let derive = if operation.is_some() {
        "Serialize"
    } else {
        "Serialize, serde::Deserialize"
    };
    builder = builder.message_attribute(message.full_name(), format!("#[derive(serde::{derive})]"));
    if operation.is_none() {
        builder = builder.message_attribute(message.full_name(), "#[serde(default)]");
    }
    for field in message.fields() {
        let attribute = match attribute(&field, operation) {
            Some(attribute) => format!("rename = {:?}{attribute}", field.json_name()),
            None => "skip".to_owned(),
        };
        builder = builder.field_attribute(field.full_name(), format!("#[serde({attribute})]"));
    }
    builder
}

/// The attributes of a field besides its name; `None` for a field of the gateway.
fn attribute(field: &FieldDescriptor, operation: Option<&Operation>) -> Option<String> {
    if is_gateway_only(field) || field.kind().as_message().is_some_and(is_foreign) {
        return None;
    }
    let read = |function: &str| match operation {
        Some(_) => String::new(),
        None => format!(", deserialize_with = \"crate::json::{function}\""),
    };
    Some(
        if is_body_list(operation.and_then(|o| o.body.as_ref()), field) {
            // An empty list is still a body: `[]`.
            String::new()
        } else if field.is_map() {
            let empty = "std::collections::HashMap::is_empty";
            format!("{}, skip_serializing_if = {empty:?}", read("map"))
        } else if field.is_list() {
            let read = read(if field.kind() == Kind::String {
                "texts"
            } else {
                "list"
            });
            format!("{read}, skip_serializing_if = \"Vec::is_empty\"")
        } else if !field.supports_presence() {
            String::new()
        } else {
            let read = match field.kind() {
                Kind::Int64 => read("integer"),
                Kind::Bool => read("boolean"),
                Kind::Message(date) if date.full_name() == TIMESTAMP => {
                    ", with = \"crate::json::date\"".to_owned()
                }
                Kind::Message(_) => read("object") + ", serialize_with = \"crate::json::present\"",
                _ => String::new(),
            };
            format!("{read}, skip_serializing_if = \"Option::is_none\"")
        },
    )
}

/// Whether a message has a `oneof`: no message of the vendor's API has one.
fn has_choice(message: &MessageDescriptor) -> bool {
    message.oneofs().any(|choice| !choice.is_synthetic())
}

fn is_foreign(message: &MessageDescriptor) -> bool {
    message.package_name() != PACKAGE && message.full_name() != TIMESTAMP
}
