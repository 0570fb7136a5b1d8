//! The fields of the messages: path variables, body, query and response.

use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor};

use super::annotation::{Response, Segment, is_gateway_only, model_of};
use super::model::TIMESTAMP;

/// Parses a path template: literals and variables.
pub fn path(template: &str, input: &MessageDescriptor) -> Result<Vec<Segment>, String> {
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

/// The field that is the request body, if any.
pub fn body(
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

/// The fields that are query parameters: those neither in the path nor in the body.
pub fn query(
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
        let is_single_value = match field.kind() {
            Kind::String | Kind::Bool | Kind::Int64 => true,
            Kind::Message(message) => message.full_name() == TIMESTAMP,
            _ => false,
        };
        if !is_single_value || field.is_list() && field.kind() != Kind::String {
            return Err(format!(
                "query field `{name}`: must be a string, a bool, an int64, a google.protobuf.Timestamp or a list of strings"
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

/// The form of the response body.
pub fn response(name: &str, output: &MessageDescriptor) -> Result<Response, String> {
    if name.is_empty() {
        let empty = output.fields().all(|field| is_gateway_only(&field));
        return Ok(if empty {
            Response::Nothing
        } else {
            Response::Object
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
    Ok(Response::List(field))
}
