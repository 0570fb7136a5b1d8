//! Where the ids of a request come from: the RPCs that list them.

use prost_reflect::{Kind, MessageDescriptor};

/// The RPC that lists the resources of a model.
pub(super) fn lister(model: &str) -> Option<&'static str> {
    match model {
        "PresenceDefinition" => Some("GetPresenceDefinitions"),
        _ => None,
    }
}

/// The RPC that lists the resources which a path variable names.
fn lister_of_variable(name: &str) -> Option<&'static str> {
    match name {
        "definition_id" => Some("GetPresenceDefinitions"),
        "presence_id" => Some("GetOrganizationPresences"),
        "source_id" => Some("GetPresenceSources"),
        _ => None,
    }
}

/// The RPCs that list the ids in a request, each with the field that has such an
/// id, as it is named in JSON.
pub(super) fn listers(request: &MessageDescriptor) -> Vec<(String, &'static str)> {
    let mut found = Vec::new();
    for field in request.fields() {
        if let Some(rpc) = lister_of_variable(field.name()) {
            found.push((field.json_name().to_owned(), rpc));
        }
        let Kind::Message(body) = field.kind() else {
            continue;
        };
        for inner in body.fields() {
            let Kind::Message(model) = inner.kind() else {
                continue;
            };
            let of_it = |(_, rpc): &(String, &str)| Some(*rpc) == lister(model.name());
            // The future definition is one of the same list.
            if let Some(rpc) = lister(model.name())
                && !found.iter().any(of_it)
            {
                found.push((format!("{}.id", inner.json_name()), rpc));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto;

    #[test]
    fn the_ids_of_a_request_are_listed_by_rpcs_that_exist() {
        let names: Vec<_> = proto::methods().map(|rpc| rpc.name().to_owned()).collect();
        let mut count = 0;
        for rpc in proto::methods() {
            for (field, lister) in listers(&rpc.input()) {
                assert!(names.iter().any(|name| name == lister), "{lister}");
                assert_ne!(field, "", "{}", rpc.name());
                count += 1;
            }
        }
        assert!(count > 10, "{count}");
        let of = |rpc: &str| {
            let rpc = proto::methods().find(|it| it.name() == rpc).unwrap();
            listers(&rpc.input())
        };
        let definition = ("presenceDefinition.id".to_owned(), "GetPresenceDefinitions");
        assert_eq!(of("PatchUserPresencesPurecloud"), [definition]);
        assert_eq!(of("GetSystempresences"), []);
    }
}
