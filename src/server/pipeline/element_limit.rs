//! How many elements the lists of a message have, counted before it is decoded.
//!
//! An element without a field has two bytes in a message and hundreds in
//! memory: a message of 4 MiB could become a gigabyte.

use std::collections::HashMap;
use std::sync::LazyLock;

use prost::encoding::{WireType, decode_key, decode_varint, skip_field};
use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor};

use crate::proto;

/// How deep a message is looked into. Models are within models, but none
/// within itself.
const MAX_DEPTH: usize = 8;

/// The lists of one RPC's request.
#[derive(Debug)]
pub(in crate::server) struct RepeatedFields {
    /// The full name of the request message.
    pub(in crate::server) request: String,
    shape: MessageShape,
    /// The paths of the lists, in the order of their numbers.
    paths: Vec<String>,
}

/// What is known of a message: its fields by their numbers.
#[derive(Debug, Default)]
struct MessageShape(HashMap<u32, Field>);

/// A field that is counted, or looked into.
#[derive(Debug)]
struct Field {
    list: Option<usize>,
    within: Option<MessageShape>,
}

impl RepeatedFields {
    /// The lists of the request of the RPC at this path, if there is one.
    pub(in crate::server) fn of(path: &str) -> Option<&'static Self> {
        static ALL: LazyLock<HashMap<String, RepeatedFields>> = LazyLock::new(|| {
            let services = proto::pool().services();
            let rpcs = services.flat_map(|service| service.methods().collect::<Vec<_>>());
            rpcs.map(|rpc| {
                let path = format!("/{}/{}", rpc.parent_service().full_name(), rpc.name());
                (path, RepeatedFields::within(&rpc.input()))
            })
            .collect()
        });
        ALL.get(path)
    }

    fn within(request: &MessageDescriptor) -> Self {
        let mut paths = Vec::new();
        Self {
            request: request.full_name().to_owned(),
            shape: MessageShape::of(request, "", &mut paths, MAX_DEPTH),
            paths,
        }
    }

    /// The list of the message that has the most elements, and how many.
    ///
    /// What is no message is counted as far as it is one: it is refused when
    /// it is decoded.
    pub(in crate::server) fn longest(&self, message: &[u8]) -> Option<(&str, usize)> {
        if self.paths.is_empty() {
            return None;
        }
        let mut counts = vec![0; self.paths.len()];
        let _ = self.shape.count(message, &mut counts);
        let longest = (0..counts.len()).max_by_key(|&list| counts[list])?;
        Some((&self.paths[longest], counts[longest]))
    }
}

impl MessageShape {
    fn of(message: &MessageDescriptor, at: &str, paths: &mut Vec<String>, depth: usize) -> Self {
        let parts = message.fields().filter_map(|field| {
            let part = Field::of(&field, at, paths, depth);
            Some((field.number(), part?))
        });
        Self(parts.collect())
    }

    fn count(&self, mut message: &[u8], counts: &mut [usize]) -> Option<()> {
        while !message.is_empty() {
            let (number, wire) = decode_key(&mut message).ok()?;
            let Some(part) = self.0.get(&number) else {
                let context = prost::encoding::DecodeContext::default();
                skip_field(wire, number, &mut message, context).ok()?;
                continue;
            };
            if wire != WireType::LengthDelimited {
                return None;
            }
            let length = usize::try_from(decode_varint(&mut message).ok()?).ok()?;
            let (value, rest) = message.split_at_checked(length)?;
            if let Some(list) = part.list {
                counts[list] += 1;
            }
            if let Some(within) = &part.within {
                within.count(value, counts)?;
            }
            message = rest;
        }
        Some(())
    }
}

impl Field {
    fn of(
        field: &FieldDescriptor,
        at: &str,
        paths: &mut Vec<String>,
        depth: usize,
    ) -> Option<Self> {
        let path = format!("{at}{}", field.name());
        let list = (field.is_list() || field.is_map()).then(|| {
            paths.push(path.clone());
            paths.len() - 1
        });
        let within = match field.kind() {
            Kind::Message(message) if !field.is_map() && depth > 0 => {
                let within = MessageShape::of(&message, &format!("{path}."), paths, depth - 1);
                (!within.0.is_empty()).then_some(within)
            }
            _ => None,
        };
        (list.is_some() || within.is_some()).then_some(Self { list, within })
    }
}

#[cfg(test)]
mod tests {
    use prost::Message;

    use super::*;
    use crate::proto::v1::{
        GetUsersPresencesPurecloudBulkRequest, MutableUserPresence, OrganizationPresenceDefinition,
        PostPresenceDefinitionsRequest, PutUsersPresencesBulkRequest,
    };

    fn lists(rpc: &str) -> &'static RepeatedFields {
        RepeatedFields::of(&format!("/genesys.presence.v1.PresenceService/{rpc}")).unwrap()
    }

    #[test]
    fn lists_maps_and_what_is_within_are_counted() {
        let ids = GetUsersPresencesPurecloudBulkRequest {
            ids: vec![String::new(); 7],
            allow_partial_results: true,
        };
        let reads = lists("GetUsersPresencesPurecloudBulk");
        assert_eq!(reads.longest(&ids.encode_to_vec()), Some(("ids", 7)));

        let updates = PutUsersPresencesBulkRequest {
            body: vec![MutableUserPresence::default(); 3],
            ..Default::default()
        };
        let writes = lists("PutUsersPresencesBulk");
        assert_eq!(writes.longest(&updates.encode_to_vec()), Some(("body", 3)));

        let labels = (0..5).map(|n| (n.to_string(), String::new())).collect();
        let definition = PostPresenceDefinitionsRequest {
            body: Some(OrganizationPresenceDefinition {
                language_labels: labels,
                name: Some("n".into()),
                ..Default::default()
            }),
        };
        assert_eq!(
            lists("PostPresenceDefinitions").longest(&definition.encode_to_vec()),
            Some(("body.language_labels", 5))
        );
    }

    #[test]
    fn what_is_no_message_is_counted_as_far_as_it_is_one() {
        let reads = lists("GetUsersPresencesPurecloudBulk");
        assert_eq!(
            reads.longest(&[0x0a, 0, 0x0a, 0, 0x0a, 9]),
            Some(("ids", 2))
        );
        assert_eq!(reads.longest(&[0xff; 30]), Some(("ids", 0)));
        assert_eq!(reads.longest(&[]), Some(("ids", 0)));
        // A field that is not known, and then one that is.
        assert_eq!(reads.longest(&[0x7a, 1, 0, 0x0a, 0]), Some(("ids", 1)));
    }

    #[test]
    fn a_request_without_lists_is_not_looked_through() {
        assert_eq!(lists("GetUserPresence").longest(&[0x0a, 0]), None);
    }
}
