//! A presence as it goes to the caller, and the responses that have many of them.

use std::borrow::Cow;
use std::str;

use bytes::Bytes;
use percent_encoding::percent_decode_str;
use prost::Message;

use super::id_key::IdKey;
use crate::operation;
use crate::proto::v1::{
    BulkReadFailure, StreamProgress, StreamUsersPresenceBulkResponse, UcUserPresence,
};
use crate::proto::{EncodedMessage, wire};

/// The tags of `UcUserPresence` that identify the user.
const USER_ID: u32 = 3;
const SELF_URI: u32 = 9;

/// The tag of the presences in the responses of bulk reads and streams.
const PRESENCES: u32 = 1;

/// An encoded `UcUserPresence`. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct EncodedPresence(Bytes);

/// The response to a bulk read, or a message of a stream: their fields have the same
/// tags.
#[derive(Debug, Default)]
pub(crate) struct BulkReadResponse {
    pub presences: Vec<EncodedPresence>,
    pub missing_ids: Vec<String>,
    pub failures: Vec<BulkReadFailure>,
    /// Only streams have it.
    pub progress: Option<StreamProgress>,
}

impl EncodedPresence {
    /// The presences of a response to a bulk read.
    pub(super) fn all(response: &EncodedMessage) -> Vec<Self> {
        let bytes = response.as_bytes();
        let presences = wire::fields(bytes).filter(|field| field.tag == PRESENCES);
        presences
            .map(|presence| Self(bytes.slice_ref(presence.content)))
            .collect()
    }

    /// The id of the user: from `userId`, else from `selfUri`.
    pub(super) fn user_id(&self) -> Option<Cow<'_, str>> {
        let id = self.text(USER_ID).filter(|id| !id.is_empty());
        id.map(Cow::Borrowed).or_else(|| {
            let id = operation::user_in_self_uri(self.text(SELF_URI)?)?;
            percent_decode_str(id).decode_utf8().ok()
        })
    }

    /// The key of the user.
    pub(super) fn user_key(&self) -> Option<IdKey> {
        self.user_id().map(|id| IdKey::of(&id))
    }

    /// The message.
    pub(super) fn decode(&self) -> UcUserPresence {
        UcUserPresence::decode(self.0.clone()).unwrap_or_default()
    }

    fn text(&self, tag: u32) -> Option<&str> {
        let field = wire::fields(&self.0).find(|field| field.tag == tag)?;
        str::from_utf8(field.content).ok()
    }
}

impl BulkReadResponse {
    /// Adds the results of another one.
    pub(super) fn append(&mut self, other: Self) {
        self.presences.extend(other.presences);
        self.missing_ids.extend(other.missing_ids);
        self.failures.extend(other.failures);
    }

    /// The message that the caller gets.
    pub(crate) fn encode(self) -> EncodedMessage {
        let rest = StreamUsersPresenceBulkResponse {
            presences: Vec::new(),
            missing_ids: self.missing_ids,
            failures: self.failures,
            progress: self.progress,
        };
        let presences = self.presences.iter();
        // A tag and a length have at most six bytes.
        let size: usize = presences.map(|presence| presence.0.len() + 6).sum();
        let mut message = Vec::with_capacity(size + rest.encoded_len());
        for presence in self.presences {
            wire::put_content(PRESENCES, &presence.0, &mut message);
        }
        // Cannot fail: a vector grows.
        let _ = rest.encode(&mut message);
        EncodedMessage::new(message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto;

    fn tag(message: &str, field: &str) -> u32 {
        let message = proto::message(&format!("genesys.presence.v1.{message}"));
        let field = message.get_field_by_name(field);
        field.map_or(0, |field| field.number())
    }

    #[test]
    fn the_tags_are_those_of_the_proto() {
        assert_eq!(tag("UcUserPresence", "user_id"), USER_ID);
        assert_eq!(tag("UcUserPresence", "self_uri"), SELF_URI);
        for message in [
            "GetUsersPresenceBulkResponse",
            "GetUsersPresencesPurecloudBulkResponse",
            "StreamUsersPresenceBulkResponse",
            "StreamUsersPresencesPurecloudBulkResponse",
        ] {
            let fields = ["presences", "missing_ids", "failures"];
            let tags = fields.map(|field| tag(message, field));
            assert_eq!(tags, [PRESENCES, 2, 3], "{message}");
        }
        let progress = tag("StreamUsersPresenceBulkResponse", "progress");
        assert_eq!(
            tag("StreamUsersPresencesPurecloudBulkResponse", "progress"),
            progress
        );
    }

    #[test]
    fn a_user_is_identified_by_the_id_or_else_by_the_uri() {
        let id = |user_id: Option<&str>, self_uri: Option<&str>| {
            let presence = UcUserPresence {
                user_id: user_id.map(str::to_owned),
                self_uri: self_uri.map(str::to_owned),
                ..UcUserPresence::default()
            };
            let presence = EncodedPresence(presence.encode_to_vec().into());
            presence.user_id().map(Cow::into_owned)
        };
        let uri = Some("/api/v2/users/a%20b/presences");
        assert_eq!(id(Some("u"), uri).as_deref(), Some("u"));
        assert_eq!(id(Some(""), uri).as_deref(), Some("a b"));
        assert_eq!(id(None, uri).as_deref(), Some("a b"));
        assert_eq!(id(None, Some("/api/v2/users/")), None);
        assert_eq!(id(None, None), None);
    }
}
