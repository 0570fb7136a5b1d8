//! Fault injection.

mod deliver;
mod grammar;
pub(super) mod notification;
mod path;
mod problem;
mod reshape;
pub(super) mod rules;
pub(super) mod words;

use std::time::Duration;

use serde_json::json;

pub(super) use deliver::Cut;
pub(super) use reshape::STRANGER;

use super::api_error::{ApiError, too_many_requests};
use super::reply::Reply;

/// The faults of one response; none by default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Plan {
    /// The faults as they were written.
    text: String,
    /// Whether a write is applied before the fault.
    after: bool,
    delay: Duration,
    status: Option<u16>,
    code: Option<String>,
    retry_after: Option<u64>,
    changes: Vec<Change>,
    end: Option<End>,
}

/// A change to the JSON of the right response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    Shuffle,
    Drop(usize),
    Duplicate,
    Stranger,
    NullList,
    NullItems,
    UnknownField,
    WrongShape,
}

/// What is sent instead of the right bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Cut,
    CutBody,
    Never,
    /// One byte at a time, with this pause.
    Drip(Duration),
    Garbage,
    Html,
    HalfJson,
    Empty,
    Redirect,
    Huge,
}

impl Plan {
    /// The faults as they were written; empty if there are none.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// The delay of the response.
    pub(super) fn delay(&self) -> Duration {
        self.delay
    }

    /// Whether the request runs before the fault.
    pub(super) fn applies_first(&self) -> bool {
        self.after
    }

    /// Whether the fault needs the right response.
    ///
    /// A read has no side effects, so its right response is always available.
    pub(super) fn needs_answer(&self, is_read: bool) -> bool {
        let made_up = self.status.is_some_and(|status| status >= 400)
            || self.changes.contains(&Change::WrongShape)
            || self.end.is_some_and(|end| !matches!(end, End::Drip(_)));
        is_read || !made_up
    }

    /// The response with its injected status and JSON.
    pub(super) fn reshape(&self, mut reply: Reply, correlation: &str) -> Reply {
        if let Some(status) = self.status {
            reply = match (status, self.retry_after) {
                (429, Some(seconds)) => self
                    .coded(too_many_requests(seconds))
                    .into_reply(correlation),
                (400.., _) => self
                    .coded(ApiError::from_status(status))
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

    /// The status that the caller sees, if any.
    pub(super) fn visible_status(&self, reply: &Reply) -> Option<u16> {
        (!matches!(self.end, Some(End::Cut | End::Never))).then_some(reply.status)
    }

    fn coded(&self, api_error: ApiError) -> ApiError {
        match &self.code {
            Some(code) => api_error.code(code),
            None => api_error,
        }
    }
}

/// A stand-in response for a write that does not run.
pub(super) fn stand_in() -> Reply {
    Reply::ok(json!({"selfUri": "/sandbox", "name": "This write was not carried out."}))
}
