//! What is asked, encoded beforehand, and whether an answer is one to it.

use bytes::{BufMut, Bytes, BytesMut};
use presence_gateway::proto::v1::{
    GetUserPresencesPurecloudRequest, GetUsersPresencesPurecloudBulkRequest,
    GetUsersPresencesPurecloudBulkResponse, UserPresence,
};
use prost::Message;

/// How many users are asked for.
const USERS: usize = 1000;

/// How many users a bulk read asks for: two of the vendor's batches.
const BULK: usize = 100;

/// The bytes before a message: whether it is compressed, and its length.
pub(super) const PREFIX: usize = 5;

const SINGLE: &str = "/genesys.presence.v1.PresenceService/GetUserPresencesPurecloud";
const MANY: &str = "/genesys.presence.v1.PresenceService/GetUsersPresencesPurecloudBulk";

/// Some requests, of which each call makes one.
#[derive(Debug)]
pub struct Questions {
    single: Vec<Question>,
    bulk: Vec<Question>,
    part: f64,
}

/// A request.
#[derive(Debug)]
pub(super) struct Question {
    /// The path of its RPC.
    pub path: &'static str,
    /// The message with its prefix.
    pub message: Bytes,
    /// The users that it asks for.
    ids: Vec<String>,
}

impl Questions {
    /// Requests of which this part are bulk reads.
    #[must_use]
    pub fn new(part: f64) -> Self {
        let ids = (0..USERS).map(|user| format!("00000000-0000-4000-8000-{user:012}"));
        let ids: Vec<String> = ids.collect();
        Self {
            single: ids.iter().map(|id| Question::single(id)).collect(),
            bulk: ids.chunks(BULK).map(Question::bulk).collect(),
            part,
        }
    }

    /// Any of them.
    pub(super) fn next(&self) -> &Question {
        let of = if fastrand::f64() < self.part {
            &self.bulk
        } else {
            &self.single
        };
        &of[fastrand::usize(..of.len())]
    }
}

impl Question {
    fn single(id: &str) -> Self {
        let user_id = id.to_owned();
        Self {
            path: SINGLE,
            message: framed(&GetUserPresencesPurecloudRequest { user_id }),
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
            ids,
        }
    }

    /// Whether a message answers this, and nothing else.
    pub(super) fn is_answered_by(&self, message: &[u8]) -> bool {
        let Some(message) = unframed(message) else {
            return false;
        };
        if self.path == SINGLE {
            let answer = UserPresence::decode(message);
            let uri = answer.ok().and_then(|answer| answer.self_uri);
            return uri.is_some_and(|uri| uri.contains(&self.ids[0]));
        }
        let Ok(answer) = GetUsersPresencesPurecloudBulkResponse::decode(message) else {
            return false;
        };
        let users = answer
            .presences
            .iter()
            .map(|presence| presence.user_id.as_deref());
        users.eq(self.ids.iter().map(|id| Some(id.as_str())))
    }
}

fn framed(message: &impl Message) -> Bytes {
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
