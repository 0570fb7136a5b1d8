//! Generates the JSON form of messages: a table of each that the vendor sends, and the
//! attributes of those that it takes.

use std::fmt::Write;

use prost_reflect::{DescriptorPool, FieldDescriptor, Kind, MessageDescriptor};
use tonic_prost_build::Builder;

use crate::annotation::{Operation, PACKAGE, is_body_list, is_gateway_only, model_of};
use crate::model::TIMESTAMP;
use crate::services::snake_case;

/// Generates the model of every message that the vendor sends: the responses, and the
/// body of an error.
pub fn models(pool: &DescriptorPool, operations: &[Operation]) -> String {
    let error = pool.get_message_by_name(&format!("{PACKAGE}.ErrorBody"));
    let mut messages: Vec<MessageDescriptor> = Vec::new();
    let mut found: Vec<_> = operations
        .iter()
        .map(|o| o.rpc.output())
        .chain(error)
        .collect();
    while let Some(message) = found.pop() {
        if !messages.contains(&message) {
            found.extend(json_fields(&message).iter().filter_map(model));
            messages.push(message);
        }
    }
    messages.sort_by_key(|message| message.name().to_owned());
    let mut code = String::new();
    for message in messages {
        let fields = json_fields(&message);
        // The reader marks the fields that it has seen in a number of 64 bits.
        assert!(fields.len() <= 64, "{} has too many fields", message.name());
        let fields: String = fields
            .iter()
            .map(|field| format!("        {},\n", model_field(field)))
            .collect();
        let _ = write!(
            code,
            "/// `{name}`.
pub static {constant}: Model = Model {{
    name: {name:?},
    fields: &[
{fields}    ],
}};
",
            name = message.name(),
            constant = model_name(&message),
        );
    }
    code
}

/// The fields of a message in the vendor's JSON, in the order of their tags.
fn json_fields(message: &MessageDescriptor) -> Vec<FieldDescriptor> {
    let mut fields: Vec<_> = message.fields().filter(is_json).collect();
    fields.sort_by_key(FieldDescriptor::number);
    fields
}

/// The model of a field, if it has one.
fn model(field: &FieldDescriptor) -> Option<MessageDescriptor> {
    let message = model_of(field).filter(|_| !field.is_map());
    message.filter(|message| message.full_name() != TIMESTAMP)
}

/// The name of a model's constant.
pub fn model_name(message: &MessageDescriptor) -> String {
    snake_case(message.name()).to_uppercase()
}

/// A field of a model, in `src/json`.
pub fn model_field(field: &FieldDescriptor) -> String {
    let model = |message| format!("&models::{}", model_name(message));
    let kind = match field.kind() {
        _ if field.is_map() => "TextMap".to_owned(),
        Kind::String if field.is_list() => "Texts".to_owned(),
        Kind::String => "Text".to_owned(),
        Kind::Int64 => "Integer".to_owned(),
        Kind::Bool => "Boolean".to_owned(),
        Kind::Message(date) if date.full_name() == TIMESTAMP => "Date".to_owned(),
        Kind::Message(message) if field.is_list() => format!("Objects({})", model(&message)),
        Kind::Message(message) => format!("Object({})", model(&message)),
        // `model.rs` rejects all others.
        other => panic!("{}: {other:?}", field.full_name()),
    };
    format!(
        "ModelField {{ json: {:?}, tag: {}, kind: FieldKind::{kind} }}",
        field.json_name(),
        field.number(),
    )
}

/// Adds the JSON attributes of every message of the package: proto3 JSON with the
/// vendor's names, as `src/json.rs` writes it.
pub fn attributes(
    mut builder: Builder,
    pool: &DescriptorPool,
    operations: &[Operation],
) -> Builder {
    for message in json_messages(pool) {
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
    builder = builder.message_attribute(message.full_name(), "#[derive(serde::Serialize)]");
    for field in message.fields() {
        let attribute = if is_json(&field) {
            let body = operation.and_then(|operation| operation.body.as_ref());
            format!(
                "rename = {:?}{}",
                field.json_name(),
                attribute(&field, body)
            )
        } else {
            "skip".to_owned()
        };
        builder = builder.field_attribute(field.full_name(), format!("#[serde({attribute})]"));
    }
    builder
}

/// The attributes of a field besides its name.
fn attribute(field: &FieldDescriptor, body: Option<&FieldDescriptor>) -> &'static str {
    if is_body_list(body, field) {
        // An empty list is still a body: `[]`.
        ""
    } else if field.is_map() {
        ", skip_serializing_if = \"std::collections::HashMap::is_empty\""
    } else if field.is_list() {
        ", skip_serializing_if = \"Vec::is_empty\""
    } else if !field.supports_presence() {
        ""
    } else {
        match field.kind() {
            Kind::Message(date) if date.full_name() == TIMESTAMP => {
                ", serialize_with = \"crate::json::date::serialize\", skip_serializing_if = \"Option::is_none\""
            }
            Kind::Message(_) => {
                ", serialize_with = \"crate::json::present\", skip_serializing_if = \"Option::is_none\""
            }
            _ => ", skip_serializing_if = \"Option::is_none\"",
        }
    }
}

/// The messages that have a JSON form.
fn json_messages(pool: &DescriptorPool) -> impl Iterator<Item = MessageDescriptor> {
    let is_own = |message: &MessageDescriptor| {
        message.package_name() == PACKAGE && !message.is_map_entry() && !has_choice(message)
    };
    pool.all_messages().filter(is_own)
}

/// Whether a field is in the vendor's JSON, and not the gateway's own.
fn is_json(field: &FieldDescriptor) -> bool {
    !is_gateway_only(field) && !field.kind().as_message().is_some_and(is_foreign)
}

/// Whether a message has a `oneof`: no message of the vendor's API has one.
fn has_choice(message: &MessageDescriptor) -> bool {
    message.oneofs().any(|choice| !choice.is_synthetic())
}

fn is_foreign(message: &MessageDescriptor) -> bool {
    message.package_name() != PACKAGE && message.full_name() != TIMESTAMP
}
