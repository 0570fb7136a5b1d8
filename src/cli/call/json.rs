//! Messages as JSON.

use prost_reflect::{DynamicMessage, SerializeOptions};
use serde::ser::Error as _;

/// Converts a message as the vendor's API spells it: 64-bit integers are
/// numbers, and no strings.
pub(super) fn to_json(message: &DynamicMessage, is_pretty: bool) -> serde_json::Result<String> {
    let mut json = Vec::new();
    let options = SerializeOptions::new().stringify_64_bit_integers(false);
    if is_pretty {
        message.serialize_with_options(&mut serde_json::Serializer::pretty(&mut json), &options)?;
    } else {
        message.serialize_with_options(&mut serde_json::Serializer::new(&mut json), &options)?;
    }
    String::from_utf8(json).map_err(serde_json::Error::custom)
}
