//! A request with all its fields, for the caller to fill in.

use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MessageDescriptor};
use serde_json::{Map, Value, json};

use super::json::to_json;
use crate::proto::TIMESTAMP;
use crate::proto::comments::paragraphs;

/// A date-time as the vendor writes it.
pub(super) const DATE_TIME: &str = "2026-11-23T10:15:30.123Z";

/// What the comment of a field has that a request need not contain.
const BY_VENDOR: &str = "Set by the vendor";

/// A message with all its fields as indented JSON, in the order of the proto.
pub(super) fn template_text(message: &MessageDescriptor) -> serde_json::Result<String> {
    to_json(
        &DynamicMessage::deserialize(message.clone(), template(message))?,
        true,
    )
}

/// A message with all its fields, except those that only the vendor sets or has
/// deprecated. No value is a default one, which is not written as JSON.
fn template(message: &MessageDescriptor) -> Value {
    let fields = message.fields().filter(is_for_callers);
    let fields = fields.map(|field| (field.json_name().to_owned(), value(&field)));
    Value::Object(fields.collect())
}

fn value(field: &FieldDescriptor) -> Value {
    let value = match field.kind() {
        Kind::Message(entry) if entry.is_map_entry() => {
            return Value::Object(Map::from_iter([("key".to_owned(), json!("value"))]));
        }
        Kind::Message(message) if message.full_name() == TIMESTAMP => json!(DATE_TIME),
        Kind::Message(message) => template(&message),
        Kind::Bool => json!(true),
        Kind::String => json!("text"),
        // The protos have no other types of scalars than numbers.
        _ => json!(1),
    };
    if field.is_list() {
        json!([value])
    } else {
        value
    }
}

fn is_for_callers(field: &FieldDescriptor) -> bool {
    let options = field.field_descriptor_proto().options.as_ref();
    let is_deprecated = options.is_some_and(prost_types::FieldOptions::deprecated);
    let comment = paragraphs(&field.parent_message().parent_file(), field.path());
    !is_deprecated && !comment.iter().any(|text| text.contains(BY_VENDOR))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::call::examples::example;
    use crate::proto;

    #[test]
    fn every_template_and_every_example_is_a_request() {
        for rpc in proto::methods() {
            let template = template_text(&rpc.input()).unwrap();
            let example = example(rpc.name());
            let example = example.unwrap_or_else(|| panic!("no example of {}", rpc.name()));
            for request in [&template, example] {
                let mut json = serde_json::Deserializer::from_str(request);
                let parsed = DynamicMessage::deserialize(rpc.input(), &mut json);
                assert!(parsed.is_ok(), "{}: {request}: {parsed:?}", rpc.name());
            }
        }
    }
}
