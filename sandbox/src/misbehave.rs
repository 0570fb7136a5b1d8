//! How an answer goes wrong when it is asked to.

mod deliver;
mod grammar;
mod path;
mod reshape;
pub(super) mod rules;
pub(super) mod words;

use std::time::Duration;

use serde_json::json;

pub(super) use deliver::Cut;

use super::refusal::{Refusal, too_many_requests};
use super::reply::Reply;

/// What is to go wrong with one answer; by default nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Plan {
    /// The behaviours as they were asked for.
    text: String,
    /// Whether a write is applied before it goes wrong.
    after: bool,
    delay: Duration,
    status: Option<u16>,
    code: Option<String>,
    retry_after: Option<u64>,
    changes: Vec<Change>,
    end: Option<End>,
}

/// A change to the JSON of the right answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    Shuffle,
    Drop(usize),
    Duplicate,
    Stranger,
    NullList,
    NullItems,
    UnknownField,
    WrongShape,
}

/// What is sent in place of the right bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Cut,
    CutBody,
    Never,
    /// A byte at a time, with this between.
    Drip(Duration),
    Garbage,
    Html,
    HalfJson,
    Empty,
    Redirect,
    Huge,
}

impl Plan {
    /// The behaviours as they were asked for; empty where none were.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// How long the answer is held back.
    pub(super) fn delay(&self) -> Duration {
        self.delay
    }

    /// Whether the request is carried out before anything goes wrong.
    pub(super) fn applies_first(&self) -> bool {
        self.after
    }

    /// Whether the right answer is needed, although nobody asked for the write to be applied.
    ///
    /// A read changes nothing, so that its right answer can be had for nothing.
    pub(super) fn needs_answer(&self, is_read: bool) -> bool {
        let made_up = self.status.is_some_and(|status| status >= 400)
            || self.changes.contains(&Change::WrongShape)
            || self.end.is_some_and(|end| !matches!(end, End::Drip(_)));
        is_read || !made_up
    }

    /// The answer with its status and its JSON made wrong.
    pub(super) fn reshape(&self, mut reply: Reply, correlation: &str) -> Reply {
        if let Some(status) = self.status {
            reply = match (status, self.retry_after) {
                (429, Some(seconds)) => self
                    .coded(too_many_requests(seconds))
                    .into_reply(correlation),
                (400.., _) => self
                    .coded(Refusal::of_status(status))
                    .into_reply(correlation),
                (..400, _) => reply.with_status(status),
            };
        }
        if let (Some(seconds), false) = (self.retry_after, self.status == Some(429)) {
            reply.headers.push(("retry-after", seconds.to_string()));
        }
        if let Some(body) = reply.body.take() {
            reply.body = Some(
                self.changes
                    .iter()
                    .fold(body, |body, change| change.apply(body)),
            );
        }
        if self.end == Some(End::Redirect) {
            reply
                .headers
                .push(("location", "https://redirected.invalid/api/v2".to_owned()));
            if !(300..400).contains(&reply.status) {
                reply.status = 302;
            }
        }
        reply
    }

    /// The status that the caller will see, if any.
    pub(super) fn visible_status(&self, reply: &Reply) -> Option<u16> {
        (!matches!(self.end, Some(End::Cut | End::Never))).then_some(reply.status)
    }

    fn coded(&self, refusal: Refusal) -> Refusal {
        match &self.code {
            Some(code) => refusal.code(code),
            None => refusal,
        }
    }
}

/// An answer to a write that is not carried out, for a fault that needs some answer to spoil.
pub(super) fn stand_in() -> Reply {
    Reply::ok(json!({"selfUri": "/sandbox", "name": "This write was not carried out."}))
}
