//! The requests of the caller, encoded in advance, and the check of responses.

use bytes::{BufMut, Bytes, BytesMut};
use presence_gateway::operation::{Operation, decode};
use presence_gateway::proto::v1::{
    GetUserPresencesPurecloudRequest, GetUsersPresencesPurecloudBulkRequest,
    GetUsersPresencesPurecloudBulkResponse, UcUserPresence, UserPresence,
};
use prost::Message;

/// The number of users.
const USERS: usize = 1000;

/// The number of users of a bulk read: two batches of the vendor.
const BULK: usize = 100;

/// The length of a gRPC frame prefix: the compression flag and the message length.
const PREFIX: usize = 5;

const SINGLE_PATH: &str =
    "http://gateway/genesys.presence.v1.PresenceService/GetUserPresencesPurecloud";
const BULK_PATH: &str =
    "http://gateway/genesys.presence.v1.PresenceService/GetUsersPresencesPurecloudBulk";

/// A set of requests; each call sends one at random.
#[derive(Debug)]
pub struct Queries {
    single: Vec<Query>,
    bulk: Vec<Query>,
    part: f64,
}

/// A request.
#[derive(Debug)]
pub struct Query {
    /// The URI of the RPC; proxies need its host.
    pub path: &'static str,
    /// The message with its frame prefix.
    pub message: Bytes,
    /// The path and query of the REST request.
    pub rest: String,
    /// The requested users.
    ids: Vec<String>,
}

impl Queries {
    /// Requests of which the fraction `part` are bulk reads.
    #[must_use]
    pub fn new(part: f64) -> Self {
        let ids: Vec<String> = (0..USERS).map(Self::user).collect();
        Self {
            single: ids.iter().map(|id| Query::single(id)).collect(),
            bulk: ids.chunks(BULK).map(Query::bulk).collect(),
            part,
        }
    }

    /// Bulk reads only, of `of_each` users each.
    #[must_use]
    pub fn bulk(of_each: usize) -> Self {
        let ids: Vec<String> = (0..USERS.max(of_each)).map(Self::user).collect();
        Self {
            single: Vec::new(),
            bulk: ids.chunks_exact(of_each).map(Query::bulk).collect(),
            part: 1.0,
        }
    }

    /// The id of a user.
    pub(super) fn user(number: usize) -> String {
        format!("00000000-0000-4000-8000-{number:012}")
    }

    /// The single read of the first user.
    #[cfg(test)]
    pub(super) fn first(&self) -> &Query {
        &self.single[0]
    }

    /// One of them at random.
    pub fn next(&self) -> &Query {
        let of = if self.part > 0.0 && fastrand::f64() < self.part {
            &self.bulk
        } else {
            &self.single
        };
        &of[fastrand::usize(..of.len())]
    }
}

/// The content of a response, from a message or from JSON.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// Of one user.
    Single(Box<UserPresence>),
    /// Of many.
    Bulk(Vec<UcUserPresence>),
}

impl Answer {
    fn single(presence: UserPresence) -> Self {
        Self::Single(Box::new(presence))
    }
}

impl Query {
    fn single(id: &str) -> Self {
        let user_id = id.to_owned();
        Self {
            path: SINGLE_PATH,
            message: encode_frame(&GetUserPresencesPurecloudRequest { user_id }),
            rest: format!("/api/v2/users/{id}/presences/purecloud"),
            ids: vec![id.to_owned()],
        }
    }

    fn bulk(ids: &[String]) -> Self {
        let ids = ids.to_vec();
        let request = GetUsersPresencesPurecloudBulkRequest {
            ids: ids.clone(),
            allow_partial_results: false,
        };
        Self {
            path: BULK_PATH,
            message: encode_frame(&request),
            rest: format!(
                "/api/v2/users/presences/purecloud/bulk?id={}",
                ids.join("%2C")
            ),
            ids,
        }
    }

    /// Whether a message is the response to this query.
    pub(super) fn is_answered_by(&self, message: &[u8]) -> bool {
        self.parse_message(message)
            .is_some_and(|answer| self.covers_all_ids(&answer))
    }

    /// Decodes a framed response message.
    #[must_use]
    pub fn parse_message(&self, message: &[u8]) -> Option<Answer> {
        self.parse(decode_frame(message)?)
    }

    /// Decodes the vendor's JSON.
    #[must_use]
    pub fn parse_json(&self, body: &[u8]) -> Option<Answer> {
        let spec = if self.path == SINGLE_PATH {
            GetUserPresencesPurecloudRequest::SPEC
        } else {
            GetUsersPresencesPurecloudBulkRequest::SPEC
        };
        self.parse(decode(spec, body).ok()?.message.as_bytes())
    }

    fn parse(&self, message: &[u8]) -> Option<Answer> {
        if self.path == SINGLE_PATH {
            return UserPresence::decode(message).ok().map(Answer::single);
        }
        let answer = GetUsersPresencesPurecloudBulkResponse::decode(message);
        answer.ok().map(|answer| Answer::Bulk(answer.presences))
    }

    /// Whether an answer has the requested users, in their order.
    #[must_use]
    pub fn covers_all_ids(&self, answer: &Answer) -> bool {
        match answer {
            Answer::Single(presence) => {
                let uri = presence.self_uri.as_ref();
                uri.is_some_and(|uri| uri.contains(&self.ids[0]))
            }
            Answer::Bulk(presences) => {
                let users = presences.iter().map(|presence| presence.user_id.as_deref());
                users.eq(self.ids.iter().map(|id| Some(id.as_str())))
            }
        }
    }
}

/// Encodes a message with its frame prefix.
/// A message with its frame prefix.
pub fn encode_frame(message: &impl Message) -> Bytes {
    let length = message.encoded_len();
    let mut encode_frame = BytesMut::with_capacity(PREFIX + length);
    encode_frame.put_u8(0);
    encode_frame.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
    encode_frame.extend_from_slice(&message.encode_to_vec());
    encode_frame.freeze()
}

/// The only message of a response body.
fn decode_frame(body: &[u8]) -> Option<&[u8]> {
    let (prefix, message) = body.split_at_checked(PREFIX)?;
    let length = u32::try_from(message.len()).ok()?;
    (prefix[0] == 0 && prefix[1..] == length.to_be_bytes()).then_some(message)
}
