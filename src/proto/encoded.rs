//! A message that is encoded already.

use bytes::Bytes;
use prost::Message;

/// A message as callers get it: encoded, and without its type.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EncodedMessage(Bytes);

impl EncodedMessage {
    /// Takes the encoding of a message.
    #[must_use]
    pub fn new(bytes: impl Into<Bytes>) -> Self {
        Self(bytes.into())
    }

    /// Encodes a message.
    #[must_use]
    pub fn of(message: &impl Message) -> Self {
        Self::new(message.encode_to_vec())
    }

    /// The encoding.
    #[must_use]
    pub fn as_bytes(&self) -> &Bytes {
        &self.0
    }

    /// The message, empty if this is the encoding of another type.
    #[must_use]
    pub fn decode<T: Message + Default>(&self) -> T {
        T::decode(self.0.clone()).unwrap_or_default()
    }
}
