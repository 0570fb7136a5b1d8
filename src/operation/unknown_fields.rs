//! What an answer holds that the proto does not know: the vendor's API drifts.

use std::collections::BTreeMap;

use prost_reflect::{Kind, MessageDescriptor};
use serde::de::value::MapAccessDeserializer;
use serde_ignored::Path;

use super::{Operation, ResponseShape};
use crate::json::{self, SingleField};
use crate::proto;

/// The models of an answer that have fields which the proto does not know,
/// and how many. An answer that cannot be read straight counts as having none.
///
/// It is a reading of its own, beside [`super::decode`]: it has to note every
/// name that it meets.
pub(crate) fn unknown_fields<O: Operation>(body: &[u8]) -> BTreeMap<String, u64> {
    let mut found = BTreeMap::new();
    let Some(response) = proto::pool().get_message_by_name(O::SPEC.response) else {
        return found;
    };
    let mut note = |path: Path<'_>| {
        if let Some(model) = model(&path, &response) {
            *found.entry(model).or_default() += 1;
        }
    };
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    match O::SPEC.shape {
        ResponseShape::Empty => {}
        ResponseShape::Object => {
            let watched = serde_ignored::Deserializer::new(&mut deserializer, &mut note);
            let _ = json::object::<_, O::Response>(watched);
        }
        ResponseShape::List(list) => {
            let object = MapAccessDeserializer::new(SingleField::new(list.json, &mut deserializer));
            let _: Result<O::Response, _> = serde_ignored::deserialize(object, note);
        }
    }
    found
}

/// The name of the model that has a field which it does not know.
fn model(path: &Path<'_>, response: &MessageDescriptor) -> Option<String> {
    let Path::Map { parent, .. } = path else {
        return None;
    };
    at(parent, response).map(|model| model.name().to_owned())
}

/// The model at a path from the response.
fn at(path: &Path<'_>, response: &MessageDescriptor) -> Option<MessageDescriptor> {
    match path {
        Path::Root => Some(response.clone()),
        Path::Map { parent, key } => {
            let field = at(parent, response)?.get_field_by_json_name(key)?;
            match field.kind() {
                Kind::Message(model) if !field.is_map() => Some(model),
                _ => None,
            }
        }
        Path::Seq { parent, .. }
        | Path::Some { parent }
        | Path::NewtypeStruct { parent }
        | Path::NewtypeVariant { parent } => at(parent, response),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::v1::{GetPresenceDefinitionsRequest, GetUsersPresencesPurecloudBulkRequest};

    fn found<O: Operation>(body: &str) -> Vec<(String, u64)> {
        unknown_fields::<O>(body.as_bytes()).into_iter().collect()
    }

    #[test]
    fn fields_that_the_proto_does_not_know_are_counted_by_their_model() {
        let list = r#"[
            {"userId": "a", "new": 1, "other": {"x": [1]}, "presenceDefinition": {"id": "b"}},
            null,
            {"userId": "c", "new": null, "presenceDefinition": {"id": "d", "colour": "red"}}
        ]"#;
        assert_eq!(
            found::<GetUsersPresencesPurecloudBulkRequest>(list),
            [
                ("PresenceDefinition".to_owned(), 1),
                ("UcUserPresence".to_owned(), 3),
            ]
        );
        let object = r#"{"total": 1, "cursor": "x", "entities": [{"id": "a", "y": 1,
            "languageLabels": {"en": "A", "any-KEY": "b"}}]}"#;
        assert_eq!(
            found::<GetPresenceDefinitionsRequest>(object),
            [
                ("OrganizationPresenceDefinition".to_owned(), 1),
                ("OrganizationPresenceDefinitionEntityListing".to_owned(), 1),
            ]
        );
    }

    #[test]
    fn what_the_proto_knows_is_not_counted_and_what_cannot_be_read_is_no_drift() {
        for body in [
            "[]",
            r#"[{"userId": "a"}]"#,
            "",
            "nothing",
            "{",
            "null",
            "[7]",
        ] {
            assert!(
                found::<GetUsersPresencesPurecloudBulkRequest>(body).is_empty(),
                "{body}"
            );
        }
    }
}
