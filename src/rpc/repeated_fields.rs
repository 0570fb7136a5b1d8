//! Counts the elements of a request's repeated fields before it is decoded.

use std::collections::HashMap;

use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};
use prost_reflect::{Kind, MessageDescriptor};

/// How deep a message is searched. Models contain other models, but none
/// contains itself.
const MAX_DEPTH: usize = 8;

/// The repeated fields of one message and of the messages in it.
#[derive(Debug)]
pub(crate) struct RepeatedFields {
    shape: MessageShape,
    /// The paths of the fields, in the order of their indexes.
    paths: Vec<String>,
}

/// The fields of a message that are counted or searched, by their numbers.
#[derive(Debug, Default)]
struct MessageShape(HashMap<u32, Field>);

/// A field that is counted, searched, or both.
#[derive(Debug)]
struct Field {
    /// The index of its count, where the field is repeated.
    index: Option<usize>,
    /// The shape of its value; empty where that has no repeated fields.
    value: MessageShape,
}

impl RepeatedFields {
    pub(super) fn new(message: &MessageDescriptor) -> Self {
        let mut paths = Vec::new();
        Self {
            shape: MessageShape::new(message, "", &mut paths, MAX_DEPTH),
            paths,
        }
    }

    /// Finds the repeated field of an encoded message with the most elements;
    /// returns its path and their number.
    ///
    /// A malformed message is counted up to its first error: decoding rejects it.
    pub(crate) fn largest(&self, message: &[u8]) -> Option<(&str, usize)> {
        if self.paths.is_empty() {
            return None;
        }
        let mut counts = vec![0; self.paths.len()];
        let _ = self.shape.count(message, &mut counts);
        let largest = (0..counts.len()).max_by_key(|&index| counts[index])?;
        Some((&self.paths[largest], counts[largest]))
    }
}

impl MessageShape {
    fn new(message: &MessageDescriptor, at: &str, paths: &mut Vec<String>, depth: usize) -> Self {
        let mut fields = HashMap::new();
        for field in message.fields() {
            let path = format!("{at}{}", field.name());
            let index = (field.is_list() || field.is_map()).then(|| {
                paths.push(path.clone());
                paths.len() - 1
            });
            let value = match field.kind() {
                Kind::Message(message) if !field.is_map() && depth > 0 => {
                    Self::new(&message, &format!("{path}."), paths, depth - 1)
                }
                _ => Self::default(),
            };
            if index.is_some() || !value.0.is_empty() {
                fields.insert(field.number(), Field { index, value });
            }
        }
        Self(fields)
    }

    fn count(&self, mut message: &[u8], counts: &mut [usize]) -> Option<()> {
        while !message.is_empty() {
            let (number, wire) = decode_key(&mut message).ok()?;
            let Some(field) = self.0.get(&number) else {
                skip_field(wire, number, &mut message, DecodeContext::default()).ok()?;
                continue;
            };
            if wire != WireType::LengthDelimited {
                return None;
            }
            let length = usize::try_from(decode_varint(&mut message).ok()?).ok()?;
            let (value, rest) = message.split_at_checked(length)?;
            if let Some(index) = field.index {
                counts[index] += 1;
            }
            if !field.value.0.is_empty() {
                field.value.count(value, counts)?;
            }
            message = rest;
        }
        Some(())
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

    use crate::rpc::Rpc;

    fn repeated(rpc: &str) -> &'static RepeatedFields {
        let path = format!("/genesys.presence.v1.PresenceService/{rpc}");
        &Rpc::find(&path).unwrap().repeated
    }

    #[test]
    fn lists_and_maps_are_counted_in_nested_messages_too() {
        let ids = GetUsersPresencesPurecloudBulkRequest {
            ids: vec![String::new(); 7],
            allow_partial_results: true,
        };
        let reads = repeated("GetUsersPresencesPurecloudBulk");
        assert_eq!(reads.largest(&ids.encode_to_vec()), Some(("ids", 7)));

        let updates = PutUsersPresencesBulkRequest {
            body: vec![MutableUserPresence::default(); 3],
            ..Default::default()
        };
        let writes = repeated("PutUsersPresencesBulk");
        assert_eq!(writes.largest(&updates.encode_to_vec()), Some(("body", 3)));

        let labels = (0..5).map(|n| (n.to_string(), String::new())).collect();
        let definition = PostPresenceDefinitionsRequest {
            body: Some(OrganizationPresenceDefinition {
                language_labels: labels,
                name: Some("n".into()),
                ..Default::default()
            }),
        };
        assert_eq!(
            repeated("PostPresenceDefinitions").largest(&definition.encode_to_vec()),
            Some(("body.language_labels", 5))
        );
    }

    #[test]
    fn a_malformed_message_is_counted_up_to_the_error() {
        let reads = repeated("GetUsersPresencesPurecloudBulk");
        assert_eq!(
            reads.largest(&[0x0a, 0, 0x0a, 0, 0x0a, 9]),
            Some(("ids", 2))
        );
        assert_eq!(reads.largest(&[0xff; 30]), Some(("ids", 0)));
        assert_eq!(reads.largest(&[]), Some(("ids", 0)));
        // An unknown field, then a known one.
        assert_eq!(reads.largest(&[0x7a, 1, 0, 0x0a, 0]), Some(("ids", 1)));
    }

    #[test]
    fn a_request_without_repeated_fields_is_not_scanned() {
        assert_eq!(repeated("GetUserPresence").largest(&[0x0a, 0]), None);
    }
}
