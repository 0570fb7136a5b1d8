//! The vendor's JSON: parsed leniently, written as the vendor writes it.
//!
//! The messages derive their JSON form (see `build/emit.rs`) and refer to the
//! functions of this module where serde alone is too strict. `null` means absent
//! everywhere, and so does empty text where a number, a boolean or a date is
//! expected. An integer may be text or have a zero fraction, a boolean may be
//! text, and a date has several spellings.
//!
//! Decision: docs/decisions/0002-json-by-serde.md.

use std::collections::HashMap;
use std::fmt;
use std::iter;
use std::marker::PhantomData;

use serde::de::value::{MapAccessDeserializer, MapDeserializer};
use serde::de::{
    self, Deserialize, DeserializeSeed, Deserializer, IntoDeserializer, MapAccess, SeqAccess,
    Unexpected, Visitor,
};
use serde::{Serialize, Serializer};

/// The `deserialize_with` and `serialize_with` of a date.
pub mod date;
mod lossy;
mod prune;

pub(crate) use lossy::parse_lossy;
pub(crate) use prune::prune_mismatched;

/// The most models in a list: a thousand times what the vendor returns for one
/// request. An empty model has two bytes of JSON, and hundreds in memory.
const MAX_RESPONSE_ELEMENTS: usize = 50_000;

/// Parses a model; `null` is `None`. Rejects anything but an object: serde alone
/// would fill a model from an array by position.
pub(crate) fn object<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    deserializer.deserialize_any(Object(PhantomData))
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

/// Parses a list of models; `null` is an empty list, and `null` elements are dropped.
pub(crate) fn list<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Vec<T>, D::Error> {
    struct List<T>(PhantomData<T>);

    impl<'de, T: Deserialize<'de>> Visitor<'de> for List<T> {
        type Value = Vec<T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an array")
        }

        fn visit_unit<E>(self) -> Result<Vec<T>, E> {
            Ok(Vec::new())
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Vec<T>, A::Error> {
            let mut list = Vec::new();
            while let Some(element) = elements.next_element_seed(Object(PhantomData))? {
                if list.len() == MAX_RESPONSE_ELEMENTS {
                    let most = format!("an array of at most {MAX_RESPONSE_ELEMENTS} objects");
                    return Err(de::Error::invalid_length(
                        MAX_RESPONSE_ELEMENTS + 1,
                        &most.as_str(),
                    ));
                }
                list.extend(element);
            }
            Ok(list)
        }
    }

    deserializer.deserialize_any(List(PhantomData))
}

/// Parses a list of texts; `null` is an empty list, and `null` elements are dropped.
pub(crate) fn texts<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let list = Option::<Vec<Option<String>>>::deserialize(deserializer)?;
    Ok(list.unwrap_or_default().into_iter().flatten().collect())
}

/// Parses a map of texts; `null` is an empty map, and `null` values are dropped.
pub(crate) fn map<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<HashMap<String, String>, D::Error> {
    let map = Option::<HashMap<String, Option<String>>>::deserialize(deserializer)?;
    Ok(map
        .unwrap_or_default()
        .into_iter()
        .filter_map(|(key, value)| Some((key, value?)))
        .collect())
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

/// A model or `null`.
struct Object<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> DeserializeSeed<'de> for Object<T> {
    type Value = Option<T>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Option<T>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for Object<T> {
    type Value = Option<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_unit<E>(self) -> Result<Option<T>, E> {
        Ok(None)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Option<T>, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(Some)
    }
}

/// Presents the value of a deserializer as an object with a single field.
///
/// This decodes a bare array as the only field of its response, without a tree of
/// values in between.
pub(crate) fn single_field<'de, D: Deserializer<'de>>(
    name: &'static str,
    value: D,
) -> impl Deserializer<'de, Error = D::Error> {
    struct FieldValue<D>(D);

    impl<'de, D: Deserializer<'de>> IntoDeserializer<'de, D::Error> for FieldValue<D> {
        type Deserializer = D;

        fn into_deserializer(self) -> D {
            self.0
        }
    }

    MapDeserializer::new(iter::once((name, FieldValue(value))))
}
