//! The models of the vendor's API: constants that the build reads from the protos.

use std::fmt;

/// A message that the vendor writes as a JSON object.
pub struct Model {
    /// The name in the proto: `UserPresence`.
    pub name: &'static str,
    /// The fields that the vendor has, in the order of their tags.
    pub fields: &'static [ModelField],
}

/// A field of a model.
#[derive(Debug)]
pub struct ModelField {
    /// The name in JSON: `userId`.
    pub json: &'static str,
    /// The number in the proto.
    pub tag: u32,
    /// The type.
    pub kind: FieldKind,
}

/// The type of a field.
#[derive(Debug)]
pub enum FieldKind {
    /// `optional string`.
    Text,
    /// `optional int64`.
    Integer,
    /// `optional bool`.
    Boolean,
    /// `google.protobuf.Timestamp`; an ISO 8601 date in JSON.
    Date,
    /// `repeated string`.
    Texts,
    /// `map<string, string>`.
    TextMap,
    /// A message.
    Object(&'static Model),
    /// `repeated` of a message.
    Objects(&'static Model),
}

/// Shows the name alone: models may contain each other.
impl fmt::Debug for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// The model of each message, which `build/json.rs` writes.
pub mod models {
    use super::{FieldKind, Model, ModelField, models};

    include!(concat!(env!("OUT_DIR"), "/models.rs"));
}
