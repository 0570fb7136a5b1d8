//! The shapes of request bodies, and their validation.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::api_error::ApiError;
use super::settings::Nulls;

/// The most elements of a list that are read, if the operation has no limit of its own.
pub(super) const MAX_LIST: usize = 10_000;

/// The type of a field.
#[derive(Debug)]
pub(super) enum Kind {
    Text,
    Flag,
    Integer,
    Date,
    /// Texts by name.
    Labels,
    Object(Shape),
}

/// A field of a body.
#[derive(Debug)]
pub(super) struct Field {
    name: &'static str,
    kind: Kind,
    required: bool,
}

/// The fields of a body; others are ignored, as the vendor does.
pub(super) type Shape = &'static [Field];

/// A field that a body may leave out.
pub(super) const fn may(name: &'static str, kind: Kind) -> Field {
    Field {
        name,
        kind,
        required: false,
    }
}

/// A field that a body must have.
pub(super) const fn must(name: &'static str, kind: Kind) -> Field {
    Field {
        name,
        kind,
        required: true,
    }
}

const PRESENCE_DEFINITION: Shape = &[must("id", Kind::Text), may("systemPresence", Kind::Text)];

/// `UserPresence`, and `MutableUserPresence` with it.
pub(super) const USER_PRESENCE: Shape = &[
    may("id", Kind::Text),
    may("name", Kind::Text),
    may("source", Kind::Text),
    may("sourceId", Kind::Text),
    may("primary", Kind::Flag),
    may("presenceDefinition", Kind::Object(PRESENCE_DEFINITION)),
    may(
        "futurePresenceDefinition",
        Kind::Object(&[may("id", Kind::Text)]),
    ),
    may("message", Kind::Text),
    may("modifiedDate", Kind::Date),
];

/// `OrganizationPresenceDefinition`, and `OrganizationPresence` with it.
pub(super) const DEFINITION: Shape = &[
    may("id", Kind::Text),
    may("name", Kind::Text),
    may("type", Kind::Text),
    must("languageLabels", Kind::Labels),
    may("systemPresence", Kind::Text),
    may("divisionId", Kind::Text),
    may("deactivated", Kind::Flag),
    may("primary", Kind::Flag),
    may("createdDate", Kind::Date),
    may("modifiedDate", Kind::Date),
];

/// `Source`.
pub(super) const SOURCE: Shape = &[
    may("id", Kind::Text),
    must("name", Kind::Text),
    may("description", Kind::Text),
    may("type", Kind::Text),
    may("deactivated", Kind::Flag),
];

/// `PresenceSettings`.
pub(super) const PRESENCE_SETTINGS: Shape = &[
    may("id", Kind::Text),
    may("name", Kind::Text),
    may(
        "restorePresenceSettings",
        Kind::Object(&[
            must("enabled", Kind::Flag),
            must("restoreTimeMilliseconds", Kind::Integer),
            must("restoreOnQueueEnabled", Kind::Flag),
        ]),
    ),
    may("requestingOffQueueEnabled", Kind::Flag),
    may("defaultPrimaryPresenceRegisteredSourceId", Kind::Text),
];

/// `UserPrimarySource`.
pub(super) const PRIMARY_SOURCE: Shape = &[
    may("id", Kind::Text),
    may("name", Kind::Text),
    must("sourceId", Kind::Text),
    may("registered", Kind::Flag),
];

/// Validates a body: keeps known fields, each checked against its type.
///
/// `at` is its path in the request: empty, or `[3].` in a list.
pub(super) fn read(
    value: &Value,
    shape: Shape,
    nulls: Nulls,
    at: &str,
) -> Result<Map<String, Value>, ApiError> {
    let Value::Object(given) = value else {
        let name = at.trim_end_matches('.');
        return Err(wrong_type(
            if name.is_empty() { "body" } else { name },
            "object",
        ));
    };
    let mut known = Map::new();
    for field in shape {
        let name = format!("{at}{}", field.name);
        let value = match given.get(field.name) {
            Some(Value::Null) => null(&field.kind, nulls, &name)?,
            Some(value) => Some(check_kind(value, &field.kind, nulls, &name)?),
            None => None,
        };
        match value {
            Some(value) => drop(known.insert(field.name.to_owned(), value)),
            None if field.required => {
                let message = format!("The field [{name}] is required.");
                return Err(ApiError::field("constraint.validation", &name, &message));
            }
            None => {}
        }
    }
    Ok(known)
}

fn null(kind: &Kind, nulls: Nulls, name: &str) -> Result<Option<Value>, ApiError> {
    match (nulls, kind) {
        (Nulls::Refused, _) => Err(wrong_type(name, "value, not null")),
        (Nulls::Clear, Kind::Text) => Ok(Some(json!(""))),
        (Nulls::Clear | Nulls::Absent, _) => Ok(None),
    }
}

fn check_kind(value: &Value, kind: &Kind, nulls: Nulls, name: &str) -> Result<Value, ApiError> {
    match (kind, value) {
        (Kind::Text, Value::String(_)) | (Kind::Flag, Value::Bool(_)) => Ok(value.clone()),
        // Clients send `"primary": "true"`, and the vendor accepts it.
        (Kind::Flag, Value::String(text)) if text.eq_ignore_ascii_case("true") => Ok(json!(true)),
        (Kind::Flag, Value::String(text)) if text.eq_ignore_ascii_case("false") => Ok(json!(false)),
        (Kind::Integer, Value::Number(number)) if number.is_i64() => Ok(value.clone()),
        (Kind::Date, Value::String(text)) => match text.parse::<Timestamp>() {
            Ok(_) => Ok(value.clone()),
            Err(_) => Err(ApiError::field(
                "invalid.date",
                name,
                "Dates must be specified as ISO-8601 strings. For example: yyyy-MM-ddTHH:mm:ss.SSSZ",
            )),
        },
        (Kind::Labels, Value::Object(labels)) => {
            let mut read = Map::new();
            for (locale, label) in labels {
                match label {
                    Value::String(_) => drop(read.insert(locale.clone(), label.clone())),
                    Value::Null if nulls != Nulls::Refused => {}
                    _ => return Err(wrong_type(&format!("{name}.{locale}"), "string")),
                }
            }
            Ok(Value::Object(read))
        }
        (Kind::Object(shape), Value::Object(_)) => Ok(Value::Object(read(
            value,
            shape,
            nulls,
            &format!("{name}."),
        )?)),
        (Kind::Text, _) => Err(wrong_type(name, "string")),
        (Kind::Flag, _) => Err(wrong_type(name, "boolean")),
        (Kind::Integer, _) => Err(wrong_type(name, "integer")),
        (Kind::Date, _) => Err(wrong_type(name, "date")),
        (Kind::Labels | Kind::Object(_), _) => Err(wrong_type(name, "object")),
    }
}

/// 400 for a field of the wrong type.
pub(super) fn wrong_type(name: &str, expected: &str) -> ApiError {
    let message = format!("The field [{name}] must be a JSON {expected}.");
    ApiError::field("bad.request", name, &message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rejected_field(body: &Value, shape: Shape, nulls: Nulls) -> String {
        let body = read(body, shape, nulls, "")
            .unwrap_err()
            .into_reply("c")
            .body
            .unwrap();
        body["details"][0]["fieldName"].as_str().unwrap().to_owned()
    }

    #[test]
    fn an_invalid_field_is_named_by_its_path() {
        for (body, field) in [
            (json!([]), "body"),
            (json!({"message": 5}), "message"),
            (json!({"primary": "perhaps"}), "primary"),
            (json!({"presenceDefinition": "id"}), "presenceDefinition"),
            (json!({"presenceDefinition": {}}), "presenceDefinition.id"),
            (
                json!({"presenceDefinition": {"id": {}}}),
                "presenceDefinition.id",
            ),
            (json!({"modifiedDate": "yesterday"}), "modifiedDate"),
        ] {
            assert_eq!(
                rejected_field(&body, USER_PRESENCE, Nulls::Absent),
                field,
                "{body}"
            );
        }
        assert_eq!(
            rejected_field(&json!({}), DEFINITION, Nulls::Absent),
            "languageLabels"
        );
        let number = json!({"languageLabels": {"de": 1}});
        assert_eq!(
            rejected_field(&number, DEFINITION, Nulls::Absent),
            "languageLabels.de"
        );
        let half =
            json!({"restorePresenceSettings": {"enabled": true, "restoreTimeMilliseconds": 1.5}});
        assert_eq!(
            rejected_field(&half, PRESENCE_SETTINGS, Nulls::Absent),
            "restorePresenceSettings.restoreTimeMilliseconds"
        );
    }

    #[test]
    fn lenient_values_are_accepted_and_unknown_fields_dropped() {
        let body = json!({
            "primary": "true", "modifiedDate": "2026-11-23T10:15:30.123456Z", "colour": "red",
        });
        let read = read(&body, USER_PRESENCE, Nulls::Absent, "").unwrap();
        assert_eq!(read["primary"], json!(true));
        assert!(!read.contains_key("colour"));
    }

    #[test]
    fn the_nulls_setting_decides_what_a_null_means() {
        let body = json!({"message": null, "primary": null});
        assert!(
            read(&body, USER_PRESENCE, Nulls::Absent, "")
                .unwrap()
                .is_empty()
        );
        let cleared = read(&body, USER_PRESENCE, Nulls::Clear, "").unwrap();
        assert_eq!(Value::Object(cleared), json!({"message": ""}));
        assert_eq!(
            rejected_field(&body, USER_PRESENCE, Nulls::Refused),
            "primary"
        );
    }
}
