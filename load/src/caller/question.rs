//! What is asked, encoded beforehand, and whether an answer is one to it.

use bytes::{BufMut, Bytes, BytesMut};
use presence_gateway::proto::v1::{
    GetUserPresencesPurecloudRequest, GetUsersPresencesPurecloudBulkRequest,
    GetUsersPresencesPurecloudBulkResponse, UcUserPresence, UserPresence,
};
use prost::Message;

/// How many users are asked for.
const USERS: usize = 1000;

/// How many users a bulk read asks for: two of the vendor's batches.
const BULK: usize = 100;

/// The bytes before a message: whether it is compressed, and its length.
const PREFIX: usize = 5;

const SINGLE: &str = "http://gateway/genesys.presence.v1.PresenceService/GetUserPresencesPurecloud";
const MANY: &str =
    "http://gateway/genesys.presence.v1.PresenceService/GetUsersPresencesPurecloudBulk";

/// Some requests, of which each call makes one.
#[derive(Debug)]
pub struct Questions {
    single: Vec<Question>,
    bulk: Vec<Question>,
    part: f64,
}

/// A request.
#[derive(Debug)]
pub struct Question {
    /// The URI of its RPC, in which proxies look for a host.
    pub path: &'static str,
    /// The message with its prefix.
    pub message: Bytes,
    /// The path and the query of the vendor's.
    pub rest: String,
    /// The users that it asks for.
    ids: Vec<String>,
}

impl Questions {
    /// Requests of which this part are bulk reads.
    #[must_use]
    pub fn new(part: f64) -> Self {
        let ids: Vec<String> = (0..USERS).map(Self::user).collect();
        Self {
            single: ids.iter().map(|id| Question::single(id)).collect(),
            bulk: ids.chunks(BULK).map(Question::bulk).collect(),
            part,
        }
    }

    /// Bulk reads alone, of so many users each.
    #[must_use]
    pub fn bulk(of_each: usize) -> Self {
        let ids: Vec<String> = (0..USERS.max(of_each)).map(Self::user).collect();
        Self {
            single: Vec::new(),
            bulk: ids.chunks_exact(of_each).map(Question::bulk).collect(),
            part: 1.0,
        }
    }

    /// The id of a user.
    pub(super) fn user(number: usize) -> String {
        format!("00000000-0000-4000-8000-{number:012}")
    }

    /// The single read of the first user.
    #[cfg(test)]
    pub(super) fn first(&self) -> &Question {
        &self.single[0]
    }

    /// Any of them.
    pub fn next(&self) -> &Question {
        let of = if self.part > 0.0 && fastrand::f64() < self.part {
            &self.bulk
        } else {
            &self.single
        };
        &of[fastrand::usize(..of.len())]
    }
}

/// What an answer says, whatever it came as.
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

impl Question {
    fn single(id: &str) -> Self {
        let user_id = id.to_owned();
        Self {
            path: SINGLE,
            message: framed(&GetUserPresencesPurecloudRequest { user_id }),
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
            path: MANY,
            message: framed(&request),
            rest: format!(
                "/api/v2/users/presences/purecloud/bulk?id={}",
                ids.join("%2C")
            ),
            ids,
        }
    }

    /// Whether a message answers this, and nothing else.
    pub(super) fn is_answered_by(&self, message: &[u8]) -> bool {
        self.of_message(message)
            .is_some_and(|answer| self.is_of_all(&answer))
    }

    /// What a message with its prefix says.
    #[must_use]
    pub fn of_message(&self, message: &[u8]) -> Option<Answer> {
        let message = unframed(message)?;
        if self.path == SINGLE {
            return UserPresence::decode(message).ok().map(Answer::single);
        }
        let answer = GetUsersPresencesPurecloudBulkResponse::decode(message);
        answer.ok().map(|answer| Answer::Bulk(answer.presences))
    }

    /// What the vendor's JSON says.
    #[must_use]
    pub fn of_json(&self, body: &[u8]) -> Option<Answer> {
        if self.path == SINGLE {
            return serde_json::from_slice(body).ok().map(Answer::single);
        }
        serde_json::from_slice(body).ok().map(Answer::Bulk)
    }

    /// Whether an answer is of the users that were asked for, in their order.
    #[must_use]
    pub fn is_of_all(&self, answer: &Answer) -> bool {
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

/// A message with its prefix.
pub(super) fn framed(message: &impl Message) -> Bytes {
    let length = message.encoded_len();
    let mut framed = BytesMut::with_capacity(PREFIX + length);
    framed.put_u8(0);
    framed.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
    framed.extend_from_slice(&message.encode_to_vec());
    framed.freeze()
}

/// The one message of an answer.
fn unframed(body: &[u8]) -> Option<&[u8]> {
    let (prefix, message) = body.split_at_checked(PREFIX)?;
    let length = u32::try_from(message.len()).ok()?;
    (prefix[0] == 0 && prefix[1..] == length.to_be_bytes()).then_some(message)
}
