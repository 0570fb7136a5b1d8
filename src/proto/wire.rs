//! The wire format of protobuf, as far as the vendor's models need it:
//! <https://protobuf.dev/programming-guides/encoding/>.
//!
//! prost writes messages; this writes and reads the fields of one whose message does
//! not exist.

/// The type of a number that takes as many bytes as it needs.
const VARINT: u32 = 0;

/// The type of a text, a message, or an entry of a map.
const LENGTH_DELIMITED: u32 = 2;

/// A field of an encoded message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct EncodedField<'a> {
    /// The number in the proto.
    pub tag: u32,
    /// A text or a message; empty for a number.
    pub content: &'a [u8],
    /// The field as it stands in the message.
    pub whole: &'a [u8],
}

/// The fields of a message, in the order in which they were written. Ends at what no
/// model has.
pub(crate) fn fields(message: &[u8]) -> impl Iterator<Item = EncodedField<'_>> {
    let mut rest = message;
    std::iter::from_fn(move || {
        let start = rest;
        let key = take_varint(&mut rest)?;
        let content = match u32::try_from(key & 7) {
            Ok(VARINT) => {
                take_varint(&mut rest)?;
                &[]
            }
            Ok(LENGTH_DELIMITED) => {
                let length = usize::try_from(take_varint(&mut rest)?).ok()?;
                let (content, after) = rest.split_at_checked(length)?;
                rest = after;
                content
            }
            _ => return None,
        };
        Some(EncodedField {
            tag: u32::try_from(key >> 3).ok()?,
            content,
            whole: &start[..start.len() - rest.len()],
        })
    })
}

fn take_varint(bytes: &mut &[u8]) -> Option<u64> {
    let (mut value, mut shift) = (0, 0);
    loop {
        let (&digits, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(digits & 0x7f).checked_shl(shift)?;
        if digits < 0x80 {
            return Some(value);
        }
        shift += 7;
    }
}

/// Appends a number.
pub(crate) fn put_number(tag: u32, value: u64, message: &mut Vec<u8>) {
    put_key(tag, VARINT, message);
    put_varint(value, message);
}

/// Appends a text or an encoded message.
pub(crate) fn put_content(tag: u32, content: &[u8], message: &mut Vec<u8>) {
    put_key(tag, LENGTH_DELIMITED, message);
    put_varint(content.len() as u64, message);
    message.extend_from_slice(content);
}

/// Begins a field whose content is appended next. Returns what [`end`] needs.
pub(crate) fn begin(tag: u32, message: &mut Vec<u8>) -> usize {
    put_key(tag, LENGTH_DELIMITED, message);
    message.push(0);
    message.len()
}

/// Ends a field whose content was appended: writes its length in front of it.
pub(crate) fn end(start: usize, message: &mut Vec<u8>) {
    let length = message.len() - start;
    // There is room for one byte. Most lengths need one or two.
    let more = (length as u64).max(1).ilog2() as usize / 7;
    if more > 0 {
        message.resize(start + length + more, 0);
        message.copy_within(start..start + length, start + more);
    }
    let mut rest = length as u64;
    for (index, byte) in message[start - 1..start + more].iter_mut().enumerate() {
        *byte = low_digit(rest) | if index < more { 0x80 } else { 0 };
        rest >>= 7;
    }
}

fn put_key(tag: u32, wire_type: u32, message: &mut Vec<u8>) {
    put_varint(u64::from(tag << 3 | wire_type), message);
}

fn put_varint(mut value: u64, message: &mut Vec<u8>) {
    while value >= 0x80 {
        message.push(low_digit(value) | 0x80);
        value >>= 7;
    }
    message.push(low_digit(value));
}

/// The lowest digit of a number in base 128.
fn low_digit(value: u64) -> u8 {
    value.to_le_bytes()[0] & 0x7f
}

#[cfg(test)]
mod tests {
    use prost::Message;
    use prost_types::{FieldMask, Timestamp};

    use super::*;

    #[test]
    fn a_field_of_any_length_is_written_as_prost_writes_it() {
        for length in [0, 1, 127, 128, 16_383, 16_384, 2_097_151, 2_097_152] {
            let paths = vec!["x".repeat(length), "y".to_owned()];
            let mut written = Vec::new();
            let start = begin(1, &mut written);
            written.extend_from_slice(paths[0].as_bytes());
            end(start, &mut written);
            put_content(1, paths[1].as_bytes(), &mut written);
            let message = FieldMask { paths };
            assert!(written == message.encode_to_vec(), "{length} bytes");
            let lengths = fields(&written).map(|field| (field.tag, field.content.len()));
            assert!(lengths.eq([(1, length), (1, 1)]), "{length} bytes");
        }
    }

    #[test]
    fn a_number_is_written_as_prost_writes_it() {
        for seconds in [1, 127, 128, i64::MAX, -1, i64::MIN] {
            let mut written = Vec::new();
            put_number(1, seconds.cast_unsigned(), &mut written);
            put_number(2, 5, &mut written);
            let message = Timestamp { seconds, nanos: 5 };
            assert_eq!(written, message.encode_to_vec(), "{seconds}");
            let tags = fields(&written).map(|field| field.tag);
            assert!(tags.eq([1, 2]), "{seconds}");
            let whole: Vec<u8> = fields(&written)
                .flat_map(|field| field.whole.to_vec())
                .collect();
            assert_eq!(whole, written);
        }
    }

    #[test]
    fn what_is_cut_off_is_no_field() {
        for message in [
            &b"\x0a"[..],
            b"\x0a\x02x",
            b"\x08",
            b"\x08\x80",
            b"\x0b",
            b"\xff",
        ] {
            assert_eq!(fields(message).count(), 0, "{message:x?}");
        }
    }
}
