//! The requests of the caller, encoded in advance, and the check of responses.

use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use presence_gateway::operation::{Operation, decode};
use presence_gateway::proto::v1::{
    GetUserPresencesPurecloudRequest, GetUsersPresencesPurecloudBulkRequest,
    GetUsersPresencesPurecloudBulkResponse, StreamUsersPresencesPurecloudBulkRequest,
    StreamUsersPresencesPurecloudBulkResponse, UcUserPresence, UserPresence,
};
use prost::Message;

/// The number of users.
const USERS: usize = 1000;

/// The number of users of one batch of the vendor.
const BATCH: usize = 50;

/// The number of users of a bulk read: two batches of the vendor.
const BULK: usize = 2 * BATCH;

/// The length of a gRPC frame prefix: the compression flag and the message length.
pub(super) const PREFIX: usize = 5;

/// The number of users in one message of a stream: the gateway's limit.
const STREAM_MESSAGE: usize = 5000;

/// The RPC of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rpc {
    Single,
    Bulk,
    Stream,
}

/// A set of requests; each call sends one at random.
#[derive(Debug, Clone)]
pub struct Queries {
    single: Arc<[Query]>,
    bulk: Arc<[Query]>,
    part: f64,
}

/// A request.
#[derive(Debug)]
pub struct Query {
    rpc: Rpc,
    /// The message with its frame prefix; of a stream, all messages.
    pub message: Bytes,
    /// The path and query of the REST request; of a stream, only that of its first batch.
    pub rest: String,
    /// The requested users.
    pub(super) ids: Vec<String>,
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
        Self::of_many(of_each, Query::bulk)
    }

    /// Streams only, of `of_each` users each.
    #[must_use]
    pub fn streams(of_each: usize) -> Self {
        Self::of_many(of_each, Query::stream)
    }

    fn of_many(of_each: usize, query: impl Fn(&[String]) -> Query) -> Self {
        let ids: Vec<String> = (0..USERS.max(of_each)).map(Self::user).collect();
        Self {
            single: Arc::default(),
            bulk: ids.chunks_exact(of_each).map(query).collect(),
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

fn single(message: &[u8]) -> Option<Answer> {
    let presence = UserPresence::decode(message).ok()?;
    Some(Answer::Single(Box::new(presence)))
}

fn bulk(message: &[u8]) -> Option<Answer> {
    let answer = GetUsersPresencesPurecloudBulkResponse::decode(message).ok()?;
    Some(Answer::Bulk(answer.presences))
}

/// Of one message of a stream.
fn batch(message: &[u8]) -> Option<Answer> {
    let answer = StreamUsersPresencesPurecloudBulkResponse::decode(message).ok()?;
    Some(Answer::Bulk(answer.presences))
}

/// The path and query of a bulk read.
fn bulk_rest(ids: &[String]) -> String {
    let ids = ids.join("%2C");
    format!("/api/v2/users/presences/purecloud/bulk?id={ids}")
}

impl Query {
    fn single(id: &str) -> Self {
        let user_id = id.to_owned();
        Self {
            rpc: Rpc::Single,
            message: encode_frame(&GetUserPresencesPurecloudRequest { user_id }),
            rest: format!("/api/v2/users/{id}/presences/purecloud"),
            ids: vec![id.to_owned()],
        }
    }

    fn bulk(ids: &[String]) -> Self {
        let request = GetUsersPresencesPurecloudBulkRequest {
            ids: ids.to_vec(),
            allow_partial_results: false,
        };
        Self {
            rpc: Rpc::Bulk,
            message: encode_frame(&request),
            rest: bulk_rest(ids),
            ids: ids.to_vec(),
        }
    }

    fn stream(ids: &[String]) -> Self {
        let messages = ids.chunks(STREAM_MESSAGE).map(|ids| {
            encode_frame(&StreamUsersPresencesPurecloudBulkRequest {
                ids: ids.to_vec(),
                unordered: false,
            })
        });
        let messages: Vec<Bytes> = messages.collect();
        Self {
            rpc: Rpc::Stream,
            message: messages.concat().into(),
            rest: bulk_rest(&ids[..ids.len().min(BATCH)]),
            ids: ids.to_vec(),
        }
    }

    /// The URI of the RPC; proxies need its host.
    pub(super) fn uri(&self) -> &'static str {
        match self.rpc {
            Rpc::Single => {
                "http://gateway/genesys.presence.v1.PresenceService/GetUserPresencesPurecloud"
            }
            Rpc::Bulk => {
                "http://gateway/genesys.presence.v1.PresenceService/GetUsersPresencesPurecloudBulk"
            }
            Rpc::Stream => {
                "http://gateway/genesys.presence.v1.PresenceStreamService/StreamUsersPresencesPurecloudBulk"
            }
        }
    }

    /// Whether it reads one user.
    pub(super) fn is_single(&self) -> bool {
        self.rpc == Rpc::Single
    }

    /// Whether its response has many messages.
    pub(super) fn is_stream(&self) -> bool {
        self.rpc == Rpc::Stream
    }

    /// Whether a message is the response to this single read.
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
        let spec = match self.rpc {
            Rpc::Single => GetUserPresencesPurecloudRequest::SPEC,
            Rpc::Bulk | Rpc::Stream => GetUsersPresencesPurecloudBulkRequest::SPEC,
        };
        let message = decode(spec, body).ok()?.message;
        match self.rpc {
            Rpc::Single => single(message.as_bytes()),
            Rpc::Bulk | Rpc::Stream => bulk(message.as_bytes()),
        }
    }

    fn parse(&self, message: &[u8]) -> Option<Answer> {
        match self.rpc {
            Rpc::Single => single(message),
            Rpc::Bulk => bulk(message),
            Rpc::Stream => batch(message),
        }
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
