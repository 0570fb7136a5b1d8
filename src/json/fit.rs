//! A tree made to fit a model: what is of another kind is left out.

use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor};
use serde_json::Value;

use crate::proto::TIMESTAMP;

/// A value that is not of the kind that the proto promises.
pub(crate) enum Misfit<'a> {
    /// The value of this field.
    Field(&'a FieldDescriptor),
    /// An element of this list, or a value of this map.
    Within(&'a FieldDescriptor),
}

/// Takes the values out of a tree that the model could not hold, in one pass,
/// those for which `leaves_out` says so; false if the tree is no object. What
/// the model does not know is left.
pub(crate) fn fit(
    tree: &mut Value,
    model: &MessageDescriptor,
    leaves_out: &mut dyn FnMut(Misfit<'_>) -> bool,
) -> bool {
    let Value::Object(fields) = tree else {
        return false;
    };
    fields.retain(|name, value| {
        let field = model.get_field_by_json_name(name);
        value.is_null() || field.is_none_or(|field| stays(value, &field, leaves_out))
    });
    true
}

fn stays(
    value: &mut Value,
    field: &FieldDescriptor,
    leaves_out: &mut dyn FnMut(Misfit<'_>) -> bool,
) -> bool {
    match value {
        Value::Object(entries) if field.is_map() => {
            entries.retain(|_, value| {
                value.is_null() || value.is_string() || !leaves_out(Misfit::Within(field))
            });
            true
        }
        Value::Array(elements) if field.is_list() => {
            let mut count = 0;
            elements.retain_mut(|element| {
                let fits = count < super::MAX_ELEMENTS
                    && (element.is_null() || fit_one(element, field, leaves_out));
                count += usize::from(fits);
                fits || !leaves_out(Misfit::Within(field))
            });
            true
        }
        _ if field.is_map() || field.is_list() => !leaves_out(Misfit::Field(field)),
        _ => fit_one(value, field, leaves_out) || !leaves_out(Misfit::Field(field)),
    }
}

fn fit_one(
    value: &mut Value,
    field: &FieldDescriptor,
    leaves_out: &mut dyn FnMut(Misfit<'_>) -> bool,
) -> bool {
    match field.kind() {
        Kind::Message(model) if model.full_name() == TIMESTAMP => {
            super::date::deserialize(&*value).is_ok()
        }
        Kind::Message(model) => fit(value, &model, leaves_out),
        Kind::String => value.is_string(),
        Kind::Bool => super::boolean(&*value).is_ok(),
        _ => super::integer(&*value).is_ok(),
    }
}
