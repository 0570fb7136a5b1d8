//! Generates the constants of each operation.

use std::fmt::Write;

use prost_reflect::FieldDescriptor;

use crate::annotation::{Operation, Permissions, Response, Segment};
use crate::json::{model_field, model_name};

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
            Response::List(list) => format!("ResponseShape::List(&{})", model_field(list)),
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
        model: &models::{model},
        permissions: {permissions},
        is_repeatable: {is_repeatable},
        is_read: {is_read},
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
            model = model_name(&rpc.output()),
            method = operation.method,
            body_is_list = operation
                .body
                .as_ref()
                .is_some_and(FieldDescriptor::is_list),
            is_repeatable = operation.is_repeatable,
            is_read = operation.method == "GET",
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
