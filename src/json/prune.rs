//! Drops values from a tree that do not have the type of the model.

use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor};
use serde_json::Value;

use super::transcode::MAX_RESPONSE_ELEMENTS;
use crate::proto::TIMESTAMP;

/// Decides whether to drop a value of this field, or, if true, an entry of this
/// list or map.
type Drops<'a> = &'a mut dyn FnMut(&FieldDescriptor, bool) -> bool;

/// Removes, in one pass, the values of a tree that do not have the type of the
/// model and for which `drops` returns true. Keeps fields that the model does not
/// have. Returns false if the tree is not an object.
pub(crate) fn prune_mismatched(
    tree: &mut Value,
    model: &MessageDescriptor,
    drops: Drops<'_>,
) -> bool {
    let Value::Object(fields) = tree else {
        return false;
    };
    fields.retain(|name, value| {
        let field = model.get_field_by_json_name(name);
        value.is_null() || field.is_none_or(|field| keeps(value, &field, drops))
    });
    true
}

fn keeps(value: &mut Value, field: &FieldDescriptor, drops: Drops<'_>) -> bool {
    match value {
        Value::Object(entries) if field.is_map() => {
            entries.retain(|_, value| value.is_null() || value.is_string() || !drops(field, true));
            true
        }
        Value::Array(elements) if field.is_list() => {
            let mut count = 0;
            elements.retain_mut(|element| {
                let fits = count < MAX_RESPONSE_ELEMENTS
                    && (element.is_null() || prune_value(element, field, drops));
                count += usize::from(fits);
                fits || !drops(field, true)
            });
            true
        }
        _ if field.is_map() || field.is_list() => !drops(field, false),
        _ => prune_value(value, field, drops) || !drops(field, false),
    }
}

fn prune_value(value: &mut Value, field: &FieldDescriptor, drops: Drops<'_>) -> bool {
    match field.kind() {
        Kind::Message(model) if model.full_name() == TIMESTAMP => {
            super::date::deserialize(&*value).is_ok()
        }
        Kind::Message(model) => prune_mismatched(value, &model, drops),
        Kind::String => value.is_string(),
        Kind::Bool => super::boolean(&*value).is_ok(),
        _ => super::integer(&*value).is_ok(),
    }
}
