//! The vendor's JSON: parsed leniently, written as the vendor writes it.
//!
//! The messages derive their JSON form (see `build/emit.rs`) and refer to the
//! functions of this module where serde alone is too strict. `null` means absent
//! everywhere, and so does empty text where a number, a boolean or a date is
//! expected. An integer may be text or have a zero fraction, a boolean may be
//! text, and a date has several spellings.

use std::collections::HashMap;
use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserialize, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::{Serialize, Serializer};

/// The `deserialize_with` and `serialize_with` of a date.
pub mod date;
mod lossy;
mod prune;

pub(crate) use lossy::parse_lossy;
pub(crate) use prune::{Mismatch, prune_mismatched};

/// The most models in a list: a thousand times what the vendor answers to one
/// request. An empty model is two bytes of JSON and hundreds in memory.
pub const MAX_ELEMENTS: usize = 50_000;

/// Parses a model; `null` is `None`. Rejects anything but an object: serde alone
/// would fill a model from an array by position.
pub(crate) fn object<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    Object::deserialize(deserializer).map(|Object(model)| model)
}

/// Writes an optional model. serde alone would write it as a `Some`, which hides
/// the path to a value that cannot be written.
#[expect(
    clippy::ref_option,
    reason = "serde calls it with a reference to the field"
)]
pub(crate) fn present<S, T>(model: &Option<T>, serializer: S) -> Result<S::Ok, S::Error>
where
    S: Serializer,
    T: Serialize,
{
    match model {
        Some(model) => model.serialize(serializer),
        None => serializer.serialize_none(),
    }
}

/// Parses a list of models; `null` is an empty list, and `null` elements are dropped.
pub(crate) fn list<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
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
            while let Some(Object(element)) = elements.next_element()? {
                if list.len() == MAX_ELEMENTS {
                    let most = format!("an array of at most {MAX_ELEMENTS} objects");
                    return Err(de::Error::invalid_length(MAX_ELEMENTS + 1, &most.as_str()));
                }
                list.extend(element);
            }
            Ok(list)
        }
    }

    deserializer.deserialize_any(List(PhantomData))
}

/// Parses a list of texts; `null` is an empty list, and `null` elements are dropped.
pub(crate) fn texts<'de, D>(deserializer: D) -> Result<Vec<String>, D::Error>
where
    D: Deserializer<'de>,
{
    let list = Option::<Vec<Option<String>>>::deserialize(deserializer)?;
    Ok(list.unwrap_or_default().into_iter().flatten().collect())
}

/// Parses a map of texts; `null` is an empty map, and `null` values are dropped.
pub(crate) fn map<'de, D>(deserializer: D) -> Result<HashMap<String, String>, D::Error>
where
    D: Deserializer<'de>,
{
    let map = Option::<HashMap<String, Option<String>>>::deserialize(deserializer)?;
    Ok(map
        .unwrap_or_default()
        .into_iter()
        .filter_map(|(key, value)| Some((key, value?)))
        .collect())
}

/// Parses a boolean, also from the text `"true"` or `"false"`.
pub(crate) fn boolean<'de, D>(deserializer: D) -> Result<Option<bool>, D::Error>
where
    D: Deserializer<'de>,
{
    struct Boolean;

    impl Visitor<'_> for Boolean {
        type Value = Option<bool>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a boolean")
        }

        fn visit_unit<E>(self) -> Result<Self::Value, E> {
            Ok(None)
        }

        fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
            Ok(Some(value))
        }

        fn visit_str<E: de::Error>(self, value: &str) -> Result<Self::Value, E> {
            match value {
                "" => Ok(None),
                "true" => Ok(Some(true)),
                "false" => Ok(Some(false)),
                _ => Err(E::invalid_type(de::Unexpected::Str(value), &self)),
            }
        }
    }

    deserializer.deserialize_any(Boolean)
}

/// Parses a 64-bit integer, also from `"12"` or `12.0`.
pub(crate) fn integer<'de, D>(deserializer: D) -> Result<Option<i64>, D::Error>
where
    D: Deserializer<'de>,
{
    struct Integer;

    impl<'de> Visitor<'de> for Integer {
        type Value = Option<i64>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a whole number of 64 bits")
        }

        fn visit_unit<E>(self) -> Result<Self::Value, E> {
            Ok(None)
        }

        fn visit_i64<E>(self, value: i64) -> Result<Self::Value, E> {
            Ok(Some(value))
        }

        fn visit_u64<E: de::Error>(self, value: u64) -> Result<Self::Value, E> {
            let whole = i64::try_from(value);
            whole
                .map(Some)
                .map_err(|_| E::invalid_value(de::Unexpected::Unsigned(value), &self))
        }

        #[expect(clippy::cast_possible_truncation, reason = "checked by the way back")]
        #[expect(clippy::cast_precision_loss, reason = "the bound is a power of two")]
        fn visit_f64<E: de::Error>(self, value: f64) -> Result<Self::Value, E> {
            if value.fract() == 0.0 && value.abs() < i64::MAX as f64 {
                return Ok(Some(value as i64));
            }
            Err(E::invalid_value(de::Unexpected::Float(value), &self))
        }

        fn visit_str<E: de::Error>(self, value: &str) -> Result<Self::Value, E> {
            if value.is_empty() {
                return Ok(None);
            }
            let whole = value.parse();
            whole
                .map(Some)
                .map_err(|_| E::invalid_value(de::Unexpected::Str(value), &self))
        }
    }

    deserializer.deserialize_any(Integer)
}

/// A model or `null`.
struct Object<T>(Option<T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Model<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Model<T> {
            type Value = Object<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_unit<E>(self) -> Result<Object<T>, E> {
                Ok(Object(None))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Object<T>, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(|model| Object(Some(model)))
            }
        }

        deserializer.deserialize_any(Model(PhantomData))
    }
}

/// Presents the value of a deserializer as an object with a single field.
///
/// A bare array becomes the only field of its response this way, without a tree
/// of values in between.
pub(crate) struct SingleField<D> {
    name: &'static str,
    value: Option<D>,
}

impl<D> SingleField<D> {
    pub(crate) fn new(name: &'static str, value: D) -> Self {
        Self {
            name,
            value: Some(value),
        }
    }
}

impl<'de, D: Deserializer<'de>> MapAccess<'de> for SingleField<D> {
    type Error = D::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, D::Error> {
        match self.value {
            Some(_) => seed
                .deserialize(de::value::StrDeserializer::new(self.name))
                .map(Some),
            None => Ok(None),
        }
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, D::Error> {
        match self.value.take() {
            Some(value) => seed.deserialize(value),
            None => Err(de::Error::custom("a value before its key")),
        }
    }
}
