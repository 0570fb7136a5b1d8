//! The comments of the protos, of which `call --describe` and docs/api.md are made.

use prost_reflect::{FileDescriptor, MethodDescriptor};

/// The paragraphs of the comment at a path of a proto file, each as one line, without
/// what is meant for the linter.
#[must_use]
pub fn paragraphs(file: &FileDescriptor, path: &[i32]) -> Vec<String> {
    let file = file.file_descriptor_proto();
    let locations = file.source_code_info.iter().flat_map(|info| &info.location);
    let found = locations.into_iter().find(|location| location.path == path);
    let comment = found.and_then(|location| location.leading_comments.as_deref());
    let paragraphs = comment.unwrap_or_default().split("\n\n");
    let words = |text: &str| {
        let lines = text.lines();
        let lines = lines.filter(|line| !line.trim_start().starts_with("buf:lint:"));
        let words: Vec<_> = lines.flat_map(str::split_whitespace).collect();
        words.join(" ")
    };
    paragraphs.map(words).collect()
}

/// The parts of an RPC's comment.
#[derive(Debug)]
pub struct RpcComment {
    /// What the RPC does. The first paragraph is a summary.
    pub text: Vec<String>,
    /// The name of the vendor's operation.
    pub operation: String,
    /// The permissions that the vendor requires, as text.
    pub permissions: String,
    /// What the response is; `None` for a stream.
    pub result: Option<String>,
}

impl RpcComment {
    /// Reads the comment of an RPC. Its last paragraph has the facts.
    #[must_use]
    pub fn new(rpc: &MethodDescriptor) -> Self {
        let mut text = paragraphs(&rpc.parent_file(), rpc.path());
        let facts = text.pop().unwrap_or_default();
        let operation = facts.split('`').nth(1).unwrap_or_default();
        let (_, rest) = facts.split_once("Permissions: ").unwrap_or_default();
        let (permissions, result) = match rest.split_once(" Returns ") {
            Some((permissions, result)) => (permissions, Some(result.to_owned())),
            None => (rest, None),
        };
        Self {
            text,
            operation: operation.to_owned(),
            permissions: only_permission(permissions).to_owned(),
            result,
        }
    }
}

/// The text about permissions, without "any of" or "all of" before a single one.
fn only_permission(text: &str) -> &str {
    if text.matches('`').count() > 2 {
        return text;
    }
    let rest = text.strip_prefix("any of ");
    rest.or_else(|| text.strip_prefix("all of "))
        .unwrap_or(text)
}
