//! The message that is written while JSON is read.

use std::collections::BTreeMap;

use crate::proto::wire;

/// The fields that a model does not have: how many of them an object had, by the name
/// of the model.
pub(crate) type UnknownFields = BTreeMap<&'static str, u64>;

/// The message that is being written.
#[derive(Debug, Default)]
pub(crate) struct Writer {
    pub message: Vec<u8>,
    pub unknown: UnknownFields,
}

impl Writer {
    /// A writer with room for this many bytes.
    pub(crate) fn with_capacity(bytes: usize) -> Self {
        Self {
            message: Vec::with_capacity(bytes),
            ..Self::default()
        }
    }

    pub(super) fn date(&mut self, tag: u32, date: prost_types::Timestamp) {
        let start = wire::begin(tag, &mut self.message);
        for (tag, number) in [(1, date.seconds), (2, date.nanos.into())] {
            if number != 0 {
                wire::put_number(tag, number.cast_unsigned(), &mut self.message);
            }
        }
        wire::end(start, &mut self.message);
    }

    /// Writes an entry of a map; `null` is none.
    pub(super) fn entry(&mut self, tag: u32, key: &str, value: Option<&str>) {
        let Some(value) = value else { return };
        let start = wire::begin(tag, &mut self.message);
        for (tag, text) in [(1, key), (2, value)] {
            if !text.is_empty() {
                wire::put_content(tag, text.as_bytes(), &mut self.message);
            }
        }
        wire::end(start, &mut self.message);
    }

    /// Sorts the fields that were written since `start` by their tags, as encoders do.
    pub(super) fn sort(&mut self, start: usize) {
        let message = self.message.split_off(start);
        let mut fields: Vec<_> = wire::fields(&message).collect();
        fields.sort_by_key(|field| field.tag);
        for field in fields {
            self.message.extend_from_slice(field.whole);
        }
    }
}
