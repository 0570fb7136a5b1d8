//! Drops values of an unexpected type from a response, where the response stays
//! true without them, so that one odd value does not cost the rest.
//!
//! The lists of this file name models of the vendor, not operations: what the
//! absence of a field means is in the vendor's documentation, and in no schema.

use std::collections::BTreeMap;

use prost_reflect::{FieldDescriptor, Kind};
use serde_json::{Map, Value};

use crate::json;
use crate::proto::{self, TIMESTAMP};

/// How many scalars were dropped from a response, by model and field.
pub(crate) type PrunedFields = BTreeMap<(String, String), u64>;

/// The scalars, by model and field, whose absence has a meaning: a response
/// without them would be false.
///
/// Objects, lists and list elements are never dropped: a missing entry would
/// mean that the vendor does not have it.
const NEEDED: [(&str, &str); 9] = [
    // Without a URI, a page looks like the first or the last one; without a
    // count, a client reads 0.
    ("OrganizationPresenceEntityListing", "next_uri"),
    ("OrganizationPresenceEntityListing", "previous_uri"),
    ("OrganizationPresenceEntityListing", "page_count"),
    ("OrganizationPresenceEntityListing", "total"),
    // Without it, an inactive entry would look active.
    ("OrganizationPresence", "deactivated"),
    ("OrganizationPresenceDefinition", "deactivated"),
    ("Source", "deactivated"),
    // Absent means that there is no source.
    ("UserPrimarySource", "source_id"),
    (
        "PresenceSettings",
        "default_primary_presence_registered_source_id",
    ),
];

/// The fields that identify the user of a presence in a bulk read. Without both,
/// a user whose presence is in the response would be reported as missing.
const USER: (&str, [&str; 2]) = ("UcUserPresence", ["user_id", "self_uri"]);

/// Drops the scalars of an unexpected type from a response, except those whose
/// absence would make it false.
pub(super) fn prune(tree: &mut Value, response: &str) -> PrunedFields {
    let mut pruned = PrunedFields::new();
    let response = proto::message(response);
    let users_are_named = !has_nameless_user(tree);
    json::prune_mismatched(tree, &response, &mut |field, is_entry| {
        let is_dispensable = if is_entry {
            field.is_map()
        } else {
            is_dispensable(field, users_are_named)
        };
        if is_dispensable {
            let model = field.parent_message().name().to_owned();
            *pruned.entry((model, field.name().to_owned())).or_default() += 1;
        }
        is_dispensable
    });
    pruned
}

/// Whether an object has fields, but none of its model's: it is an object of
/// another model.
pub(super) fn is_another(tree: &Value, response: &str) -> bool {
    let model = proto::message(response);
    let is_known = |name: &String| model.get_field_by_json_name(name).is_some();
    let fields = tree.as_object().into_iter().flatten();
    let mut fields = fields.filter(|(_, value)| !value.is_null()).peekable();
    fields.peek().is_some() && !fields.any(|(name, _)| is_known(name))
}

fn is_dispensable(field: &FieldDescriptor, users_are_named: bool) -> bool {
    let is_scalar = !field.is_list()
        && match field.kind() {
            Kind::Message(model) => model.full_name() == TIMESTAMP,
            _ => true,
        };
    let model = field.parent_message();
    let (model, field) = (model.name(), field.name());
    let names_user = model == USER.0 && USER.1.contains(&field);
    is_scalar && !NEEDED.contains(&(model, field)) && (users_are_named || !names_user)
}

/// Whether a presence of a bulk read would identify no user once its values of an
/// unexpected type are dropped.
fn has_nameless_user(tree: &Value) -> bool {
    let presences = tree.get("presences").and_then(Value::as_array);
    let mut presences = presences.into_iter().flatten().filter_map(Value::as_object);
    presences.any(|presence| {
        let is_odd = |name| {
            !matches!(
                presence.get(name),
                None | Some(Value::Null | Value::String(_))
            )
        };
        (is_odd("userId") || is_odd("selfUri")) && !names_a_user(presence)
    })
}

fn names_a_user(presence: &Map<String, Value>) -> bool {
    let text = |name| presence.get(name).and_then(Value::as_str);
    text("userId").is_some_and(|id| !id.is_empty())
        || text("selfUri").and_then(user_in_self_uri).is_some()
}

/// The user's id in the `selfUri` of a presence, percent-encoded; `None` if there
/// is none.
pub(crate) fn user_in_self_uri(uri: &str) -> Option<&str> {
    let (_, rest) = uri.split_once("/users/")?;
    let id = rest.split(['/', '?', '#']).next();
    id.filter(|id| !id.is_empty())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_presence_identifies_a_user_by_its_id_or_its_uri() {
        for (presence, names) in [
            (
                json!({"userId": 7, "selfUri": "/api/v2/users/u/presences"}),
                true,
            ),
            (json!({"userId": 7, "selfUri": "/api/v2/users/u"}), true),
            (json!({"userId": "u", "selfUri": 7}), true),
            (json!({"userId": 7, "selfUri": "/api/v2/users/"}), false),
            (
                json!({"userId": 7, "selfUri": "/api/v2/users//presences"}),
                false,
            ),
            (
                json!({"userId": 7, "selfUri": "/api/v2/users/?id=u"}),
                false,
            ),
            (json!({"userId": "", "selfUri": 7}), false),
            (json!({"userId": 7}), false),
        ] {
            let tree = json!({"presences": [presence]});
            assert_eq!(has_nameless_user(&tree), !names, "{tree}");
        }
    }

    #[test]
    fn every_required_field_exists() {
        let user = USER.1.map(|field| (USER.0, field));
        for (model, field) in NEEDED.into_iter().chain(user) {
            let name = format!("genesys.presence.v1.{model}");
            assert!(
                proto::message(&name).get_field_by_name(field).is_some(),
                "{model} has no field {field}"
            );
        }
    }
}
