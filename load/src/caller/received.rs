//! The response of a call while it arrives.

use bytes::{Buf, Bytes, BytesMut};
use presence_gateway::proto::v1::StreamProgress;
use prost::Message;

use super::query::{PREFIX, Query};

/// What has arrived of a response. That of many users is checked message by message:
/// all of a stream would be hundreds of megabytes.
#[derive(Debug)]
pub(super) struct Received<'a> {
    query: &'a Query,
    /// What is not checked yet.
    rest: BytesMut,
    /// Of many users: the number of messages, and of users whose presence came.
    messages: usize,
    users: usize,
    /// Of many users: whether each presence was of the next user.
    is_in_order: bool,
    /// Of a stream: the counts of the last message.
    progress: StreamProgress,
}

/// Presences of many users, as far as they are checked. To decode the rest would cost
/// the caller so much that it, and not the gateway, decides how long a stream or a
/// large bulk read takes.
#[derive(Clone, PartialEq, Message)]
struct Batch {
    #[prost(message, repeated, tag = "1")]
    presences: Vec<Presence>,
    #[prost(message, optional, tag = "4")]
    progress: Option<StreamProgress>,
}

/// The user of a presence.
#[derive(Clone, PartialEq, Message)]
struct Presence {
    #[prost(bytes = "bytes", optional, tag = "3")]
    user_id: Option<Bytes>,
}

impl<'a> Received<'a> {
    /// Nothing yet of the response to a query.
    pub(super) fn of(query: &'a Query) -> Self {
        Self {
            query,
            rest: BytesMut::new(),
            messages: 0,
            users: 0,
            is_in_order: true,
            progress: StreamProgress::default(),
        }
    }

    /// Takes the next part of the body.
    pub(super) fn push(&mut self, data: &[u8]) {
        self.rest.extend_from_slice(data);
        if !self.query.is_single() {
            while let Some(message) = next_message(&mut self.rest) {
                self.take(message);
            }
        }
    }

    /// Takes a message with presences.
    fn take(&mut self, mut message: Bytes) {
        self.messages += 1;
        let is_compressed = message[0] != 0;
        message.advance(PREFIX);
        let Some(batch) = Batch::decode(message).ok().filter(|_| !is_compressed) else {
            self.is_in_order = false;
            return;
        };
        for presence in batch.presences {
            let expected = self.query.ids.get(self.users);
            let user = presence.user_id.as_deref();
            self.is_in_order &= user.is_some() && user == expected.map(String::as_bytes);
            self.users += 1;
        }
        self.progress = batch.progress.unwrap_or_default();
    }

    /// Whether it is the whole response to the query.
    pub(super) fn is_complete(&self) -> bool {
        if self.query.is_single() {
            return self.query.is_answered_by(&self.rest);
        }
        let ids = self.query.ids.len();
        let is_counted = if self.query.is_stream() {
            [self.progress.received, self.progress.done]
                .into_iter()
                .all(|count| usize::try_from(count) == Ok(ids))
        } else {
            self.messages == 1
        };
        self.rest.is_empty() && self.is_in_order && self.users == ids && is_counted
    }
}

/// The first message of a body with its prefix, once it is there.
fn next_message(body: &mut BytesMut) -> Option<Bytes> {
    let mut length = body.get(1..PREFIX)?;
    let end = PREFIX + usize::try_from(length.get_u32()).ok()?;
    (body.len() >= end).then(|| body.split_to(end).freeze())
}

#[cfg(test)]
mod tests {
    use presence_gateway::proto::v1::{
        GetUsersPresencesPurecloudBulkResponse, StreamUsersPresencesPurecloudBulkResponse,
        UcUserPresence,
    };

    use super::*;
    use crate::caller::query::{Queries, encode_frame};

    /// The messages of a stream with presences of these users, 50 in each.
    fn messages(users: &[usize]) -> Vec<u8> {
        let mut done = 0;
        let messages = users.chunks(50).map(|users| {
            done += i64::try_from(users.len()).unwrap();
            let presence = |&user| UcUserPresence {
                id: Some("an id of the presence".to_owned()),
                user_id: Some(Queries::user(user)),
                ..UcUserPresence::default()
            };
            encode_frame(&StreamUsersPresencesPurecloudBulkResponse {
                presences: users.iter().map(presence).collect(),
                progress: Some(StreamProgress {
                    received: 120,
                    done,
                    ..StreamProgress::default()
                }),
                ..StreamUsersPresencesPurecloudBulkResponse::default()
            })
        });
        messages.collect::<Vec<_>>().concat()
    }

    /// Whether a body that arrives in parts of `size` is the response to a stream or
    /// a bulk read of the first 120 users.
    fn is_complete(queries: &Queries, body: &[u8], size: usize) -> bool {
        // The first of them; the others have later users.
        let query = std::iter::repeat_with(|| queries.next())
            .find(|query| query.ids[0] == Queries::user(0))
            .unwrap();
        let mut received = Received::of(query);
        for data in body.chunks(size) {
            received.push(data);
        }
        received.is_complete()
    }

    #[test]
    fn a_stream_is_complete_with_every_user_in_order_however_it_is_cut() {
        let body = messages(&(0..120).collect::<Vec<_>>());
        for size in [1, 7, 4096, body.len()] {
            assert!(
                is_complete(&Queries::streams(120), &body, size),
                "in parts of {size}"
            );
        }
    }

    #[test]
    fn a_stream_with_another_user_or_an_incomplete_one_is_wrong() {
        let all: Vec<usize> = (0..120).collect();
        let mut swapped = all.clone();
        swapped.swap(3, 4);
        let body = messages(&all);
        for (what, body) in [
            ("another order", messages(&swapped)),
            ("a missing user", messages(&all[..119])),
            ("a repeated user", messages(&[&all[..119], &[0]].concat())),
            ("a cut message", body[..body.len() - 1].to_vec()),
            ("nothing", Vec::new()),
        ] {
            assert!(!is_complete(&Queries::streams(120), &body, 4096), "{what}");
        }
    }

    /// The response to a bulk read with presences of these users.
    fn bulk(users: &[usize]) -> Vec<u8> {
        let presence = |&user| UcUserPresence {
            user_id: Some(Queries::user(user)),
            ..UcUserPresence::default()
        };
        let response = GetUsersPresencesPurecloudBulkResponse {
            presences: users.iter().map(presence).collect(),
            ..GetUsersPresencesPurecloudBulkResponse::default()
        };
        encode_frame(&response).to_vec()
    }

    #[test]
    fn a_bulk_read_is_complete_with_one_message_of_every_user_in_order() {
        let body = bulk(&(0..120).collect::<Vec<_>>());
        for size in [1, 4096, body.len()] {
            assert!(
                is_complete(&Queries::bulk(120), &body, size),
                "in parts of {size}"
            );
        }
    }

    #[test]
    fn a_bulk_read_with_another_user_or_an_incomplete_one_is_wrong() {
        let all: Vec<usize> = (0..120).collect();
        let mut swapped = all.clone();
        swapped.swap(3, 4);
        let body = bulk(&all);
        let mut compressed = body.clone();
        compressed[0] = 1;
        for (what, body) in [
            ("another order", bulk(&swapped)),
            ("a missing user", bulk(&all[..119])),
            ("a repeated user", bulk(&[&all[..119], &[0]].concat())),
            ("a user too many", bulk(&[&all[..], &[120]].concat())),
            (
                "two messages",
                [bulk(&all[..60]), bulk(&all[60..])].concat(),
            ),
            ("a compressed message", compressed),
            ("a cut message", body[..body.len() - 1].to_vec()),
            ("nothing", Vec::new()),
        ] {
            assert!(!is_complete(&Queries::bulk(120), &body, 4096), "{what}");
        }
    }
}
