//! The errors of the mapping: an invalid request, an unreadable answer.

use super::Spec;

/// A request message that cannot be encoded as a REST request, with each of its
/// invalid fields.
#[derive(Debug)]
pub struct InvalidRequest(pub Vec<Violation>);

/// An answer that cannot be decoded into the response message.
#[derive(Debug)]
pub struct UnreadableAnswer {
    /// The operation.
    pub spec: &'static Spec,
    /// What is wrong with the answer, without its data; completes a sentence.
    pub what: String,
}

/// A field of a request and what is wrong with it.
#[derive(Debug, Clone)]
pub struct Violation {
    /// The path of the field in the request message: `body.presence_definition.id`.
    pub field: String,
    /// What is wrong; completes a sentence that starts with the field.
    pub description: String,
}

impl Violation {
    /// A violation of `field`.
    pub fn new(field: impl Into<String>, description: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            description: description.into(),
        }
    }
}
