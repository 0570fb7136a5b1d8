//! What the parser of requests accepts, but does not send: a field that is given
//! twice, of which it keeps the last, and a null.

use std::collections::{HashMap, HashSet};
use std::fmt;

use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor};
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use super::fields::{is_nested, join};

/// The problems of a request, each with its path.
pub(super) fn problems(request: &str, message: &MessageDescriptor) -> Vec<String> {
    let mut problems = Vec::new();
    // Of text that is no JSON, the syntax is the problem.
    if let Ok(Tree::Object(members)) = serde_json::from_str(request) {
        check("", &members, message, &mut problems);
    }
    problems
}

/// JSON with the members of objects as they stand in the text.
enum Tree {
    Null,
    Scalar,
    Array(Vec<Tree>),
    Object(Vec<(String, Tree)>),
}

/// Checks the members of an object at a path.
fn check(
    path: &str,
    members: &[(String, Tree)],
    message: &MessageDescriptor,
    problems: &mut Vec<String>,
) {
    let mut seen: HashMap<String, &str> = HashMap::new();
    for (name, value) in members {
        let by_name = message.get_field_by_json_name(name);
        let field = by_name.or_else(|| message.get_field_by_name(name));
        let key = field.as_ref().map_or(name.as_str(), |field| field.name());
        let path = join(path, name);
        match seen.insert(key.to_owned(), name) {
            Some(earlier) if earlier == name => problems.push(twice(&path)),
            Some(earlier) => problems.push(format!(
                "`{path}` is the field that is given as `{earlier}`, too: give it once"
            )),
            None => {}
        }
        if let Some(field) = field {
            check_value(&path, value, &field, problems);
        }
    }
}

fn check_value(path: &str, value: &Tree, field: &FieldDescriptor, problems: &mut Vec<String>) {
    match (field.kind(), value) {
        (_, Tree::Null) => problems.push(null(path, field)),
        (Kind::Message(entry), Tree::Object(members)) if entry.is_map_entry() => {
            let mut seen = HashSet::new();
            for (key, _) in members {
                if !seen.insert(key) {
                    problems.push(twice(&join(path, key)));
                }
            }
        }
        (Kind::Message(inner), Tree::Object(members)) if is_nested(&inner) => {
            check(path, members, &inner, problems);
        }
        (Kind::Message(inner), Tree::Array(elements)) if is_nested(&inner) => {
            for (index, element) in elements.iter().enumerate() {
                if let Tree::Object(members) = element {
                    check(&format!("{path}[{index}]"), members, &inner, problems);
                }
            }
        }
        _ => {}
    }
}

fn twice(path: &str) -> String {
    format!("`{path}` is given twice: give it once")
}

fn null(path: &str, field: &FieldDescriptor) -> String {
    let empty = match field.kind() {
        Kind::String if !field.is_list() => "write \"\" for an empty text, or ",
        _ => "",
    };
    format!("`{path}` is null, which is not sent: {empty}leave the field out")
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TreeVisitor)
    }
}

struct TreeVisitor;

impl<'de> Visitor<'de> for TreeVisitor {
    type Value = Tree;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Tree, E> {
        Ok(Tree::Null)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Tree, E> {
        Ok(Tree::Scalar)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Tree, E> {
        Ok(Tree::Scalar)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Tree, E> {
        Ok(Tree::Scalar)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Tree, E> {
        Ok(Tree::Scalar)
    }

    fn visit_str<E>(self, _: &str) -> Result<Tree, E> {
        Ok(Tree::Scalar)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Tree, A::Error> {
        let mut elements = Vec::new();
        while let Some(element) = list.next_element()? {
            elements.push(element);
        }
        Ok(Tree::Array(elements))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Tree, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(Tree::Object(members))
    }
}

#[cfg(test)]
mod tests {
    use crate::cli::call::request::tests::wrong;

    #[test]
    fn a_field_that_is_given_twice_is_wrong() {
        for (rpc, request, expected) in [
            (
                "GetUserPresencesPurecloud",
                r#"{"userId": "a", "user_id": "b"}"#,
                "`user_id` is the field that is given as `userId`, too",
            ),
            (
                "GetUserPresencesPurecloud",
                r#"{"userId": "a", "userId": "a"}"#,
                "`userId` is given twice",
            ),
            (
                "GetUsersPresencesPurecloudBulk",
                r#"{"id": ["a"], "ids": ["b"]}"#,
                "`ids` is the field that is given as `id`, too",
            ),
            (
                "PatchUserPresence",
                r#"{"body": {}, "body": {}}"#,
                "`body` is given twice",
            ),
            (
                "PutUsersPresencesBulk",
                r#"{"body": [{}, {"presenceDefinition": {"id": "a", "id": "b"}}]}"#,
                "`body[1].presenceDefinition.id` is given twice",
            ),
            (
                "PostPresenceDefinitions",
                r#"{"body": {"languageLabels": {"en": "a", "en": "b"}}}"#,
                "`body.languageLabels.en` is given twice",
            ),
            // With a field that does not exist.
            (
                "GetUserPresencesPurecloud",
                r#"{"userId": "a", "userId": "b", "x": 1}"#,
                "`userId` is given twice",
            ),
        ] {
            let wrong = wrong(rpc, request);
            assert!(wrong.contains(expected), "{request}: {wrong}");
        }
    }

    #[test]
    fn a_null_is_wrong_wherever_it_stands() {
        for (rpc, request, expected) in [
            (
                "PatchUserPresence",
                r#"{"body": {"message": null}}"#,
                "`body.message` is null, which is not sent: write \"\" for an empty text, or \
                 leave the field out",
            ),
            (
                "PatchUserPresence",
                r#"{"body": null}"#,
                "`body` is null, which is not sent: leave the field out",
            ),
            (
                "GetUsersPresencesPurecloudBulk",
                r#"{"id": null}"#,
                "`id` is null, which is not sent: leave the field out",
            ),
            (
                "PutUsersPresencesBulk",
                r#"{"body": [{"message": null}]}"#,
                "`body[0].message` is null",
            ),
        ] {
            let wrong = wrong(rpc, request);
            assert!(wrong.contains(expected), "{request}: {wrong}");
        }
    }
}
