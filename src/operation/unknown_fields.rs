//! Finds fields of a response that the proto does not have: drift of the vendor's
//! API.

use std::collections::BTreeMap;

use prost_reflect::MessageDescriptor;
use serde_ignored::Path;

use super::{Operation, ResponseShape};
use crate::fields;
use crate::json;
use crate::proto;

/// How many fields of a response the proto does not have, by model. Zero for an
/// response that cannot be parsed straight into the message.
///
/// Parses once more after [`super::decode()`], which does not report the names
/// that it skips.
pub(crate) fn unknown_fields<O: Operation>(body: &[u8]) -> BTreeMap<String, u64> {
    let mut found = BTreeMap::new();
    let response = proto::message(O::SPEC.response);
    let mut record = |path: Path<'_>| {
        if let Path::Map { parent, .. } = path
            && let Some(model) = model_at(parent, &response)
        {
            *found.entry(model.name().to_owned()).or_default() += 1;
        }
    };
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    match O::SPEC.shape {
        ResponseShape::Empty => {}
        ResponseShape::Object => {
            let observed = serde_ignored::Deserializer::new(&mut deserializer, &mut record);
            let _ = json::object::<_, O::Response>(observed);
        }
        ResponseShape::List(list) => {
            let object = json::single_field(list.json, &mut deserializer);
            let _: Result<O::Response, _> = serde_ignored::deserialize(object, record);
        }
    }
    found
}

/// The model at a path that starts at the response.
fn model_at(path: &Path<'_>, response: &MessageDescriptor) -> Option<MessageDescriptor> {
    match path {
        Path::Root => Some(response.clone()),
        Path::Map { parent, key } => {
            let field = model_at(parent, response)?.get_field_by_json_name(key)?;
            fields::model(&field)
        }
        Path::Seq { parent, .. }
        | Path::Some { parent }
        | Path::NewtypeStruct { parent }
        | Path::NewtypeVariant { parent } => model_at(parent, response),
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
    fn unknown_fields_are_counted_by_model() {
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
    fn known_fields_and_unreadable_responses_count_as_no_drift() {
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
