//! The check that the JSON of a model survives the mapping without loss.

use prost_reflect::{Kind, MessageDescriptor};

use super::annotation::{PACKAGE, is_gateway_only, model_of};

/// The full name of the well-known type of dates.
pub const TIMESTAMP: &str = "google.protobuf.Timestamp";

/// Rejects fields of a model, or of one within it, whose JSON would be lost.
///
/// # Errors
///
/// Names the field, and the types it may have.
pub fn check(model: &MessageDescriptor) -> Result<(), String> {
    check_new(model, &mut Vec::new())
}

fn check_new(model: &MessageDescriptor, seen: &mut Vec<String>) -> Result<(), String> {
    if model.package_name() != PACKAGE || seen.iter().any(|name| name == model.full_name()) {
        return Ok(());
    }
    seen.push(model.full_name().to_owned());
    for field in model.fields().filter(|field| !is_gateway_only(field)) {
        let at = format!("field `{}.{}`", model.name(), field.name());
        if field
            .containing_oneof()
            .is_some_and(|oneof| !oneof.is_synthetic())
        {
            return Err(format!(
                "{at}: the vendor has no oneof; use `optional` fields"
            ));
        }
        if field.is_map() {
            let strings = model_of(&field).is_some_and(|entry| {
                entry.map_entry_key_field().kind() == Kind::String
                    && entry.map_entry_value_field().kind() == Kind::String
            });
            if strings {
                continue;
            }
            return Err(format!("{at}: must be a map of strings to strings"));
        }
        match field.kind() {
            Kind::Message(inner) if inner.full_name() == TIMESTAMP && !field.is_list() => {}
            Kind::Message(inner) if inner.package_name() == PACKAGE => check_new(&inner, seen)?,
            Kind::String | Kind::Bool | Kind::Int64 if field.supports_presence() => {}
            Kind::String if field.is_list() => {}
            Kind::String | Kind::Bool | Kind::Int64 => {
                return Err(format!(
                    "{at}: must be `optional`, so that unset and empty differ"
                ));
            }
            other => {
                return Err(format!(
                    "{at}: a {other:?} cannot be mapped; use string, bool, int64, a Timestamp or a message"
                ));
            }
        }
    }
    Ok(())
}
