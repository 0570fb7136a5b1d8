//! The bytes are those that prost writes for the message that the JSON means.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use prost::Message;
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, Value as Field};
use serde_json::Value;

use super::object as object_of;
use super::{FieldKind, Model, Writer};
use crate::json::models;
use crate::operation::SPECS;
use crate::proto::{self, TIMESTAMP};

/// Any text, as a JSON text: with escapes, and outside of ASCII.
fn text() -> BoxedStrategy<String> {
    let text = prop_oneof![
        "[a-z0-9-]{0,40}",
        any::<String>(),
        Just("\u{1F600}".to_owned())
    ];
    text.prop_map(|text| Value::from(text).to_string()).boxed()
}

/// A value of a field, or `null`.
fn value(kind: &'static FieldKind, depth: u32) -> BoxedStrategy<String> {
    let list = |element| {
        let element = prop_oneof![9 => element, 1 => Just("null".to_owned())];
        vec(element, 0..4).prop_map(|elements| format!("[{}]", elements.join(",")))
    };
    let some = match kind {
        FieldKind::Text => text(),
        FieldKind::Integer => {
            let spelled =
                |value: i64| prop_oneof![Just(value.to_string()), Just(format!("\"{value}\""))];
            any::<i64>().prop_flat_map(spelled).boxed()
        }
        FieldKind::Boolean => prop_oneof!["true", "false", "\"true\"", "\"false\""].boxed(),
        FieldKind::Date => (0..4_000_000_000_i64, 0..1000_u32)
            .prop_map(|(second, millisecond)| {
                let date = jiff::Timestamp::new(second, 0).unwrap_or_default();
                format!(
                    "\"{}.{millisecond:03}Z\"",
                    date.strftime("%Y-%m-%dT%H:%M:%S")
                )
            })
            .boxed(),
        FieldKind::Texts => list(text()).boxed(),
        // With one entry: prost writes several in any order.
        FieldKind::TextMap => option::of((text(), text()))
            .prop_map(|entry| {
                let entry = entry.map(|(key, value)| format!("{key}:{value}"));
                format!("{{{}}}", entry.unwrap_or_default())
            })
            .boxed(),
        FieldKind::Object(model) if depth > 0 => object(model, depth - 1),
        FieldKind::Objects(model) if depth > 0 => list(object(model, depth - 1)).boxed(),
        FieldKind::Object(_) => Just("{}".to_owned()).boxed(),
        FieldKind::Objects(_) => Just("[]".to_owned()).boxed(),
    };
    prop_oneof![9 => some, 1 => Just("null".to_owned())].boxed()
}

/// An object with some of the fields of a model, and perhaps another one, in any order.
fn object(model: &'static Model, depth: u32) -> BoxedStrategy<String> {
    let fields = model.fields.iter().map(|field| {
        let value = value(&field.kind, depth).prop_map(|value| format!("{:?}:{value}", field.json));
        option::weighted(0.7, value).boxed()
    });
    let other = Just("\"another\":[{\"a\":null},\"b\"]".to_owned());
    let fields: Vec<_> = fields
        .chain([option::weighted(0.2, other).boxed()])
        .collect();
    fields
        .prop_map(|fields| fields.into_iter().flatten().collect::<Vec<_>>())
        .prop_shuffle()
        .prop_map(|fields| format!("{{{}}}", fields.join(", ")))
        .boxed()
}

/// The message that a tree means, by its descriptor.
fn message(descriptor: &MessageDescriptor, tree: &Value) -> DynamicMessage {
    let mut message = DynamicMessage::new(descriptor.clone());
    for (name, value) in tree.as_object().into_iter().flatten() {
        if let Some(field) = descriptor.get_field_by_json_name(name)
            && !value.is_null()
        {
            message.set_field(&field, field_value(&field, value));
        }
    }
    message
}

fn field_value(field: &FieldDescriptor, value: &Value) -> Field {
    match value {
        Value::Array(elements) => {
            let elements = elements.iter().filter(|element| !element.is_null());
            Field::List(
                elements
                    .map(|element| single_value(field, element))
                    .collect(),
            )
        }
        Value::Object(entries) if field.is_map() => {
            let entries = entries.iter().filter_map(|(key, value)| {
                let value = Field::String(value.as_str()?.to_owned());
                Some((prost_reflect::MapKey::String(key.clone()), value))
            });
            Field::Map(entries.collect())
        }
        value => single_value(field, value),
    }
}

fn single_value(field: &FieldDescriptor, value: &Value) -> Field {
    let text = value.as_str().unwrap_or_default();
    match field.kind() {
        Kind::Message(date) if date.full_name() == TIMESTAMP => {
            let moment: jiff::Timestamp = text.parse().unwrap();
            let tree = prost_types::Timestamp {
                seconds: moment.as_second(),
                nanos: moment.subsec_nanosecond(),
            };
            let decoded = DynamicMessage::decode(date, tree.encode_to_vec().as_slice());
            Field::Message(decoded.unwrap())
        }
        Kind::Message(model) => Field::Message(message(&model, value)),
        Kind::Bool => Field::Bool(value.as_bool().unwrap_or(text == "true")),
        Kind::Int64 => Field::I64(value.as_i64().unwrap_or_else(|| text.parse().unwrap())),
        _ => Field::String(text.to_owned()),
    }
}

fn written(model: &'static Model, json: &str) -> Result<Vec<u8>, serde_json::Error> {
    let mut writer = Writer::default();
    object_of(
        model,
        &mut serde_json::Deserializer::from_str(json),
        &mut writer,
    )?;
    Ok(writer.message)
}

/// A model of a response, with an object of it.
fn response() -> impl Strategy<Value = (&'static str, &'static Model, String)> {
    proptest::sample::select(SPECS).prop_flat_map(|spec| {
        let json = object(spec.model, 3);
        json.prop_map(|json| (spec.response, spec.model, json))
    })
}

proptest! {
    #[test]
    fn an_object_is_written_as_prost_writes_its_message((name, model, json) in response()) {
        let tree: Value = serde_json::from_str(&json).unwrap();
        let expected = message(&proto::message(name), &tree).encode_to_vec();
        prop_assert_eq!(&written(model, &json).unwrap(), &expected, "{}", json);
        // A tree of values is read as its text is.
        let mut writer = Writer::default();
        object_of(model, &tree, &mut writer).unwrap();
        prop_assert_eq!(writer.message, expected, "{}", json);
    }
}

#[test]
fn a_field_that_stands_twice_is_rejected() {
    let error = written(&models::USER_PRESENCE, r#"{"id":"a","id":"b"}"#).unwrap_err();
    assert!(
        error.to_string().contains("duplicate field `id`"),
        "{error}"
    );
}

#[test]
fn entries_of_a_map_are_sorted_and_those_without_a_value_dropped() {
    let model = &models::ORGANIZATION_PRESENCE_DEFINITION;
    let json = r#"{"languageLabels":{"fr":"b","en":"a","de":null}}"#;
    let twice = r#"{"languageLabels":{"en":"c","fr":"b","en":"a"}}"#;
    assert_eq!(
        written(model, json).unwrap(),
        written(model, twice).unwrap()
    );
}

#[test]
fn unknown_fields_are_counted_by_model() {
    let json = r#"{"total": 1, "cursor": "x", "entities": [
        {"id": "a", "y": 1, "other": {"x": [1]}, "languageLabels": {"en": "A", "any": "b"}},
        null,
        {"z": null}
    ]}"#;
    let mut writer = Writer::default();
    let model = &models::ORGANIZATION_PRESENCE_DEFINITION_ENTITY_LISTING;
    object_of(
        model,
        &mut serde_json::Deserializer::from_str(json),
        &mut writer,
    )
    .unwrap();
    let expected = [
        ("OrganizationPresenceDefinition", 3),
        ("OrganizationPresenceDefinitionEntityListing", 1),
    ];
    assert_eq!(writer.unknown.into_iter().collect::<Vec<_>>(), expected);
}
