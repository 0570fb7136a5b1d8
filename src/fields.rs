//! Translates JSON field names, which the vendor uses, to the proto field names
//! that callers know. Used for error messages only.

use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor};

use crate::proto;

/// Translates a path of JSON names, for example `body.presenceDefinition.id`, to
/// proto names, starting at the message `message`.
///
/// Keeps names that the message does not have.
#[must_use]
pub fn from_json(message: &str, path: &str) -> String {
    let mut message = Some(proto::message(message));
    let mut translated: Vec<String> = Vec::new();
    for name in path.split('.') {
        let (name, index) = name.split_at(name.find('[').unwrap_or(name.len()));
        let field = message.as_ref().and_then(|message| find(message, name));
        let proto = field.as_ref().map_or(name, FieldDescriptor::name);
        translated.push(format!("{proto}{index}"));
        // The next part is a key of the map: data, not a name.
        if field.as_ref().is_some_and(FieldDescriptor::is_map) {
            break;
        }
        message = field.as_ref().and_then(model);
    }
    translated.join(".")
}

/// Translates a field that the vendor rejects to a path from the request message
/// `request`, whose body is the field `body`.
///
/// The vendor names a field of the body or a parameter. Keeps any other name. If
/// only a part of the request's list was sent, `positions` are the positions of
/// its elements in the whole list; they are empty if the whole list was sent.
#[must_use]
pub fn from_vendor(request: &str, body: Option<&str>, name: &str, positions: &[usize]) -> String {
    let message = proto::message(request);
    let head = name.split(['.', '[']).next().unwrap_or_default();
    let body = body.and_then(|body| message.get_field_by_name(body));
    let list = body.as_ref().filter(|body| body.is_list());
    if let Some(list) = list
        && let Some(element) = element(name, list, positions)
    {
        return element;
    }
    if let Some(body) = body
        && let Some(model) = model(&body).filter(|model| find(model, head).is_some())
    {
        return format!("{}.{}", body.name(), from_json(model.full_name(), name));
    }
    from_json(request, name)
}

/// The path of an element of `list`, if `name` is one: `[3].id`, with or without
/// the name of the list in front.
fn element(name: &str, list: &FieldDescriptor, positions: &[usize]) -> Option<String> {
    let (index, rest) = name
        .strip_prefix(list.json_name())
        .unwrap_or(name)
        .strip_prefix('[')?
        .split_once(']')?;
    let index = match (index.parse::<usize>().ok()?, positions) {
        (index, []) => index,
        (index, positions) => *positions.get(index)?,
    };
    let rest = match (rest.strip_prefix('.'), model(list)) {
        (Some(rest), Some(model)) => format!(".{}", from_json(model.full_name(), rest)),
        _ => rest.to_owned(),
    };
    Some(format!("{}[{index}]{rest}", list.name()))
}

/// The name of the innermost model on a path of JSON names, starting at the
/// message `message`.
#[must_use]
pub fn model_at(message: &str, path: &str) -> String {
    let mut model_here = proto::message(message);
    let mut names = path
        .split(['.', '['])
        .filter(|name| !name.ends_with(']'))
        .peekable();
    while let Some(name) = names.next() {
        match find(&model_here, name).as_ref().and_then(model) {
            Some(inner) if names.peek().is_some() => model_here = inner,
            _ => break,
        }
    }
    model_here.name().to_owned()
}

fn find(message: &MessageDescriptor, name: &str) -> Option<FieldDescriptor> {
    message
        .get_field_by_json_name(name)
        .or_else(|| message.get_field_by_name(name))
}

/// The model that is the value of a field, or an element of its list.
pub(crate) fn model(field: &FieldDescriptor) -> Option<MessageDescriptor> {
    match field.kind() {
        Kind::Message(model) if !field.is_map() => Some(model),
        _ => None,
    }
}
