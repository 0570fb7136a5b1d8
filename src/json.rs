//! The vendor's JSON: parsed leniently, written as the vendor writes it.
//!
//! `build/json.rs` writes a table of each message that the vendor sends; an answer is read
//! straight into the bytes of the message. Messages to the vendor derive how they are
//! written.
//!
//! `null` means absent everywhere, and so does empty text where a number, a boolean or a
//! date is expected. An integer may be text or have a zero fraction, a boolean may be
//! text, and a date has several spellings.
//!
//! Decisions: docs/decisions/0002-json-by-serde.md and
//! docs/decisions/0027-json-to-protobuf-in-one-pass.md.

use std::fmt;

use prost::Message;
use serde::de::{self, Deserializer, Unexpected, Visitor};
use serde::{Serialize, Serializer};

/// The `deserialize_with` and `serialize_with` of a date.
pub mod date;
mod lossy;
mod model;
mod prune;
mod transcode;
mod writer;

pub(crate) use lossy::parse_lossy;
pub use model::{FieldKind, Model, ModelField, models};
pub(crate) use prune::prune_mismatched;
pub(crate) use transcode::{field, object};
pub(crate) use writer::{UnknownFields, Writer};

/// Reads an object as the message of a model; `null` is `None`.
pub(crate) fn message<'de, D: Deserializer<'de>, T: Message + Default>(
    model: &'static Model,
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    let mut writer = Writer::default();
    if !object(model, deserializer, &mut writer)? {
        return Ok(None);
    }
    T::decode(writer.message.as_slice())
        .map(Some)
        .map_err(de::Error::custom)
}

/// Writes an optional model. Without this, serde writes a `Some`, in which
/// `serde_path_to_error` loses the path to a value that cannot be written.
#[expect(
    clippy::ref_option,
    reason = "serde calls it with a reference to the field"
)]
pub(crate) fn present<S: Serializer, T: Serialize>(
    model: &Option<T>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match model {
        Some(model) => model.serialize(serializer),
        None => serializer.serialize_none(),
    }
}

/// Parses a boolean, also from the text `"true"` or `"false"`.
pub(crate) fn boolean<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<bool>, D::Error> {
    scalar(deserializer, "a boolean", |found| match found {
        Unexpected::Bool(value) => Some(value),
        Unexpected::Str(text) => text.parse().ok(),
        _ => None,
    })
}

/// Parses a 64-bit integer, also from `"12"` or `12.0`.
#[expect(clippy::cast_possible_truncation, reason = "the bounds are checked")]
#[expect(clippy::cast_precision_loss, reason = "the bound is a power of two")]
pub(crate) fn integer<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    scalar(
        deserializer,
        "a whole number of 64 bits",
        |found| match found {
            Unexpected::Signed(value) => Some(value),
            Unexpected::Unsigned(value) => value.try_into().ok(),
            Unexpected::Float(value) => {
                (value.fract() == 0.0 && value.abs() < i64::MAX as f64).then_some(value as i64)
            }
            Unexpected::Str(text) => text.parse().ok(),
            _ => None,
        },
    )
}

/// Parses a scalar with `parse`; `null` and empty text are `None`.
fn scalar<'de, D: Deserializer<'de>, T>(
    deserializer: D,
    expected: &'static str,
    parse: fn(Unexpected<'_>) -> Option<T>,
) -> Result<Option<T>, D::Error> {
    struct Scalar<T>(&'static str, fn(Unexpected<'_>) -> Option<T>);

    impl<T> Scalar<T> {
        fn parse<E: de::Error>(self, found: Unexpected<'_>) -> Result<Option<T>, E> {
            let value = (self.1)(found);
            value
                .map(Some)
                .ok_or_else(|| E::invalid_type(found, &self.0))
        }
    }

    impl<T> Visitor<'_> for Scalar<T> {
        type Value = Option<T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.0)
        }

        fn visit_unit<E>(self) -> Result<Self::Value, E> {
            Ok(None)
        }

        fn visit_bool<E: de::Error>(self, value: bool) -> Result<Self::Value, E> {
            self.parse(Unexpected::Bool(value))
        }

        fn visit_i64<E: de::Error>(self, value: i64) -> Result<Self::Value, E> {
            self.parse(Unexpected::Signed(value))
        }

        fn visit_u64<E: de::Error>(self, value: u64) -> Result<Self::Value, E> {
            self.parse(Unexpected::Unsigned(value))
        }

        fn visit_f64<E: de::Error>(self, value: f64) -> Result<Self::Value, E> {
            self.parse(Unexpected::Float(value))
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
            if text.is_empty() {
                return Ok(None);
            }
            self.parse(Unexpected::Str(text))
        }
    }

    deserializer.deserialize_any(Scalar(expected, parse))
}
