//! Messages as JSON.

use std::fmt::Write;

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
    let json = String::from_utf8(json).map_err(serde_json::Error::custom)?;
    Ok(escaped(&json))
}

/// JSON of the same meaning, without what a terminal would not show as it is.
pub(super) fn escaped(json: &str) -> String {
    let mut escaped = String::with_capacity(json.len());
    for letter in json.chars() {
        // What separates the tokens of JSON is shown; in a text it is escaped already.
        if letter != '\n' && is_unprintable(letter) {
            for unit in letter.encode_utf16(&mut [0; 2]) {
                // `write!` to a `String` cannot fail.
                let _ = write!(escaped, "\\u{unit:04x}");
            }
        } else {
            escaped.push(letter);
        }
    }
    escaped
}

/// Whether a letter controls the terminal or the direction of the text, or is not
/// visible. The joiners U+200C and U+200D are part of words and of emoji.
pub(super) fn is_unprintable(letter: char) -> bool {
    letter.is_control()
        || matches!(letter,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::call::failure::printable;

    #[test]
    fn letters_that_hide_or_turn_round_a_text_are_not_printed() {
        let text = "a\u{202e}b\u{9b}31m\u{200b}\u{e0041}\nc\u{200d}ü";
        let shown = "a\u{fffd}b\u{fffd}31m\u{fffd}\u{fffd}\nc\u{200d}ü";
        assert_eq!(printable(text), shown);
        let json = serde_json::Value::from(text).to_string();
        let shown = escaped(&json);
        assert!(!shown.chars().any(is_unprintable), "{shown}");
        assert!(
            shown.contains("\\u202e") && shown.contains("\\udb40\\udc41"),
            "{shown}"
        );
        assert_eq!(serde_json::from_str::<String>(&shown).unwrap(), text);
    }
}
