//! A tree made to fit a model: what is of another type is left out.

use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor};
use serde_json::Value;

/// Takes out of a tree whatever the model could not hold, in one pass; false
/// if that is the whole of it. What the model does not know is left.
pub(crate) fn fit(tree: &mut Value, model: &MessageDescriptor) -> bool {
    let Value::Object(fields) = tree else {
        return false;
    };
    fields.retain(|name, value| {
        let field = model.get_field_by_json_name(name);
        value.is_null() || field.is_none_or(|field| fit_field(value, &field))
    });
    true
}

fn fit_field(value: &mut Value, field: &FieldDescriptor) -> bool {
    match value {
        Value::Object(entries) if field.is_map() => {
            entries.retain(|_, value| value.is_null() || value.is_string());
            true
        }
        Value::Array(elements) if field.is_list() => {
            elements.retain_mut(|element| element.is_null() || fit_one(element, field));
            elements.truncate(super::MAX_ELEMENTS);
            true
        }
        _ if field.is_map() || field.is_list() => false,
        _ => fit_one(value, field),
    }
}

fn fit_one(value: &mut Value, field: &FieldDescriptor) -> bool {
    match field.kind() {
        Kind::Message(model) => fit(value, &model),
        Kind::String => value.is_string(),
        Kind::Bool => value.is_boolean(),
        _ => super::integer(&*value).is_ok(),
    }
}
