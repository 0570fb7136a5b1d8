//! JSON to protobuf in one pass: what is read is written at once, with no message and
//! no text of its own in between.
//!
//! An interpreter of the models ([`Model`]) on top of serde, so that it reads bytes of
//! JSON as well as a tree of values.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{
    self, Deserialize, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor,
};

use super::model::{FieldKind, Model, ModelField};
use super::writer::Writer;
use super::{boolean, date, integer};
use crate::proto::wire;

/// The most models in a list: a thousand times what the vendor returns for one
/// request. An empty model has two bytes of JSON.
pub(super) const MAX_RESPONSE_ELEMENTS: usize = 50_000;

/// Writes the fields of an object. Returns false for `null`, and rejects anything else:
/// serde alone would fill a model from an array by position.
pub(crate) fn object<'de, D: Deserializer<'de>>(
    model: &'static Model,
    deserializer: D,
    writer: &mut Writer,
) -> Result<bool, D::Error> {
    let tag = None;
    deserializer.deserialize_any(Object { model, tag, writer })
}

/// Writes a field.
pub(crate) fn field<'de, D: Deserializer<'de>>(
    field: &'static ModelField,
    deserializer: D,
    writer: &mut Writer,
) -> Result<(), D::Error> {
    let tag = field.tag;
    match field.kind {
        FieldKind::Text => deserializer.deserialize_any(Text { tag, writer }),
        FieldKind::Integer => {
            if let Some(value) = integer(deserializer)? {
                wire::put_number(tag, value.cast_unsigned(), &mut writer.message);
            }
            Ok(())
        }
        FieldKind::Boolean => {
            if let Some(value) = boolean(deserializer)? {
                wire::put_number(tag, value.into(), &mut writer.message);
            }
            Ok(())
        }
        FieldKind::Date => {
            if let Some(date) = date::deserialize(deserializer)? {
                writer.date(tag, date);
            }
            Ok(())
        }
        FieldKind::Texts => deserializer.deserialize_any(Texts { tag, writer }),
        FieldKind::TextMap => {
            let entries = Option::<BTreeMap<String, Option<String>>>::deserialize(deserializer)?;
            for (key, value) in entries.unwrap_or_default() {
                writer.entry(tag, &key, value.as_deref());
            }
            Ok(())
        }
        FieldKind::Object(model) => {
            let tag = Some(tag);
            let object = Object { model, tag, writer };
            deserializer.deserialize_any(object).map(|_| ())
        }
        FieldKind::Objects(model) => deserializer.deserialize_any(Objects { model, tag, writer }),
    }
}

/// A field of an object.
struct Field<'w> {
    field: &'static ModelField,
    writer: &'w mut Writer,
}

impl<'de> DeserializeSeed<'de> for Field<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        field(self.field, deserializer, self.writer)
    }
}

/// The name of a field: its index in the model, if the model has it.
struct Name {
    model: &'static Model,
    /// Where it is if the vendor writes the fields in the order of the proto.
    likely: usize,
}

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_identifier(self)
    }
}

impl Visitor<'_> for Name {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a field")
    }

    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        let fields = self.model.fields;
        let mut order = (self.likely..fields.len()).chain(0..self.likely);
        Ok(order.find(|&index| fields[index].json == name))
    }
}

/// An object or `null`; as the content of the message, or as a field of it.
struct Object<'w> {
    model: &'static Model,
    tag: Option<u32>,
    writer: &'w mut Writer,
}

impl<'de> DeserializeSeed<'de> for Object<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Object<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_unit<E>(self) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<bool, A::Error> {
        let Self { model, tag, writer } = self;
        let begun = tag.map(|tag| wire::begin(tag, &mut writer.message));
        let start = writer.message.len();
        let (mut likely, mut seen, mut is_sorted) = (0, 0_u64, true);
        while let Some(index) = object.next_key_seed(Name { model, likely })? {
            let Some(index) = index else {
                object.next_value::<IgnoredAny>()?;
                *writer.unknown.entry(model.name).or_default() += 1;
                continue;
            };
            let field = &model.fields[index];
            if seen & 1 << index != 0 {
                return Err(de::Error::duplicate_field(field.json));
            }
            seen |= 1 << index;
            is_sorted &= index >= likely;
            likely = index + 1;
            object.next_value_seed(Field { field, writer })?;
        }
        if !is_sorted {
            writer.sort(start);
        }
        if let Some(begun) = begun {
            wire::end(begun, &mut writer.message);
        }
        Ok(true)
    }
}

/// A list of models; `null` is an empty list, and `null` elements are dropped.
struct Objects<'w> {
    model: &'static Model,
    tag: u32,
    writer: &'w mut Writer,
}

impl<'de> Visitor<'de> for Objects<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
        let Self { model, tag, writer } = self;
        let tag = Some(tag);
        let mut count = 0;
        while elements
            .next_element_seed(Object { model, tag, writer })?
            .is_some()
        {
            count += 1;
            if count > MAX_RESPONSE_ELEMENTS {
                let most = format!("an array of at most {MAX_RESPONSE_ELEMENTS} objects");
                return Err(de::Error::invalid_length(count, &most.as_str()));
            }
        }
        Ok(())
    }
}

/// A text; `null` is none.
struct Text<'w> {
    tag: u32,
    writer: &'w mut Writer,
}

impl<'de> DeserializeSeed<'de> for Text<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Visitor<'_> for Text<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        wire::put_content(self.tag, text.as_bytes(), &mut self.writer.message);
        Ok(())
    }
}

/// A list of texts; `null` is an empty list, and `null` elements are dropped.
struct Texts<'w> {
    tag: u32,
    writer: &'w mut Writer,
}

impl<'de> Visitor<'de> for Texts<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a sequence")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
        let Self { tag, writer } = self;
        while elements.next_element_seed(Text { tag, writer })?.is_some() {}
        Ok(())
    }
}

#[cfg(test)]
mod tests;
