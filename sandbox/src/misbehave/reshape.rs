//! Changes to the JSON of a right response.

use serde_json::{Value, json};

use super::Change;

/// The id of a user that no request names.
pub(crate) const STRANGER: &str = "ffffffff-ffff-4fff-8fff-ffffffffffff";

impl Change {
    /// Applies the change to the body if it is a list, else to its `entities`.
    pub(super) fn apply(self, mut body: Value) -> Value {
        match self {
            Self::WrongShape if body.is_array() => return json!({"unexpected": body}),
            Self::WrongShape => return json!([body]),
            Self::UnknownField => mark(&mut body),
            _ => {}
        }
        let list = if body.is_array() {
            Some(&mut body)
        } else {
            body.get_mut("entities")
        };
        let Some(list) = list else { return body };
        if self == Self::NullList {
            *list = Value::Null;
        }
        if let Some(items) = list.as_array_mut() {
            self.rearrange(items);
        }
        body
    }

    fn rearrange(self, items: &mut Vec<Value>) {
        match self {
            // Reversal is deterministic, and as unexpected as any order.
            Self::Shuffle => items.reverse(),
            Self::Drop(count) => items.truncate(items.len().saturating_sub(count)),
            Self::Duplicate => items.extend(items.first().cloned()),
            Self::NullItems => items.insert(0, Value::Null),
            Self::Stranger => {
                let first = items.iter().find_map(Value::as_object);
                let mut stranger = first.cloned().unwrap_or_default();
                let uri = format!("/api/v2/users/{STRANGER}/presences");
                stranger.insert("userId".to_owned(), json!(STRANGER));
                stranger.insert("selfUri".to_owned(), json!(uri));
                items.push(Value::Object(stranger));
            }
            Self::NullList | Self::UnknownField | Self::WrongShape => {}
        }
    }
}

/// Adds an unknown field to each object, except to maps with free keys.
pub(super) fn mark(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(mark),
        Value::Object(fields) => {
            for (name, field) in fields.iter_mut() {
                if name != "languageLabels" && name != "messageParams" {
                    mark(field);
                }
            }
            fields.insert(
                "sandboxUnknownField".to_owned(),
                json!({"new": [1, "two", null]}),
            );
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_rearranges_a_list() {
        let list = json!([{"userId": "a"}, {"userId": "b"}, {"userId": "c"}]);
        let ids = |change: Change| -> Vec<Value> {
            let changed = change.apply(list.clone());
            changed
                .as_array()
                .unwrap()
                .iter()
                .map(|item| item["userId"].clone())
                .collect()
        };
        assert_eq!(ids(Change::Shuffle), ["c", "b", "a"]);
        assert_eq!(ids(Change::Drop(2)), ["a"]);
        assert_eq!(ids(Change::Drop(9)), Vec::<Value>::new());
        assert_eq!(ids(Change::Duplicate), ["a", "b", "c", "a"]);
        assert_eq!(ids(Change::Stranger).last().unwrap(), STRANGER);
        assert_eq!(ids(Change::NullItems)[0], Value::Null);
        assert_eq!(Change::NullList.apply(list), Value::Null);
    }

    #[test]
    fn a_change_of_a_listing_applies_to_its_entities() {
        let listing = json!({"entities": [{"languageLabels": {"de": "x"}}], "total": 1});
        let nulls = Change::NullList.apply(listing.clone());
        assert_eq!(nulls, json!({"entities": null, "total": 1}));
        let marked = Change::UnknownField.apply(listing.clone());
        assert!(marked["sandboxUnknownField"].is_object());
        assert!(marked["entities"][0]["sandboxUnknownField"].is_object());
        assert_eq!(marked["entities"][0]["languageLabels"], json!({"de": "x"}));
        assert!(Change::WrongShape.apply(listing).is_array());
    }
}
