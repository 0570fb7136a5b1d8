//! A call that failed: its status, for people and for programs.

mod advice;
mod details;

use std::fmt::Write;

use prost::Message;
use prost_reflect::{DynamicMessage, MethodDescriptor};
use prost_types::Any;
use tonic::{Code, Status};
use tonic_types::pb;

use super::json::{escaped, is_unprintable, to_json};
use crate::error::{self, PUSHBACK};
use crate::proto;

/// Why a call failed, and what to do about it where the status does not say it.
#[derive(Debug)]
pub(super) struct Failure {
    pub status: Status,
    pub hint: Option<String>,
}

impl From<Status> for Failure {
    fn from(status: Status) -> Self {
        Self { status, hint: None }
    }
}

impl Failure {
    /// A failure that the client found itself.
    pub(super) fn new(code: Code, message: String, hint: impl Into<String>) -> Self {
        let (status, hint) = (Status::new(code, message), Some(hint.into()));
        Self { status, hint }
    }

    /// The text for people, or the JSON for programs.
    pub(super) fn print(&self, method: &MethodDescriptor, is_json: bool) -> String {
        if is_json {
            self.json()
        } else {
            self.text(method)
        }
    }

    /// The text for people: code and message, each detail, and what to do.
    fn text(&self, method: &MethodDescriptor) -> String {
        let status = &self.status;
        let code = error::code_name(status.code());
        let mut text = format!("{code}: {}\n", status.message());
        let details = self.details();
        for detail in &details {
            text += &details::text(detail, &method.input());
        }
        if let Some(pushback) = status.metadata().get(PUSHBACK) {
            let pushback = pushback.to_str().unwrap_or("?");
            // `write!` to a `String` cannot fail.
            let _ = writeln!(text, "  {PUSHBACK}: {pushback}");
        }
        let advice = || advice::advice(status.code(), &details, method);
        if let Some(hint) = self.hint.clone().or_else(advice) {
            let _ = writeln!(text, "  hint: {}", hint.replace('\n', "\n  "));
        }
        printable(&text)
    }

    /// A `google.rpc.Status` as JSON, on one line.
    pub(super) fn json(&self) -> String {
        let status = &self.status;
        let message = match &self.hint {
            Some(hint) => format!("{}; {hint}", status.message()),
            None => status.message().to_owned(),
        };
        let details = self.details();
        let details = details.iter().filter_map(|detail| {
            let detail = DynamicMessage::decode(any()?, detail.encode_to_vec().as_slice());
            // A detail of an unknown type has no JSON.
            let json = to_json(&detail.ok()?, false).ok()?;
            serde_json::from_str::<serde_json::Value>(&json).ok()
        });
        let details: Vec<_> = details.collect();
        let code = status.code() as i32;
        let mut status = serde_json::json!({"code": code, "message": message});
        if !details.is_empty() {
            status["details"] = details.into();
        }
        escaped(&status.to_string()) + "\n"
    }

    fn details(&self) -> Vec<Any> {
        let status = pb::Status::decode(self.status.details());
        status.unwrap_or_default().details
    }
}

fn any() -> Option<prost_reflect::MessageDescriptor> {
    proto::pool().get_message_by_name("google.protobuf.Any")
}

/// A text without what would control the terminal, or hide or turn round parts of the
/// text: it may come from upstream.
pub(super) fn printable(text: &str) -> String {
    text.replace(
        |letter| letter != '\n' && is_unprintable(letter),
        "\u{fffd}",
    )
}
