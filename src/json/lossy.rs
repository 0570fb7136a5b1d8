//! Parses JSON with invalid Unicode.

use serde_json::Value;

/// Parses a body into a tree, and replaces invalid Unicode: a text that the vendor
/// cut in the middle of a character must not cost the rest.
pub(crate) fn parse_lossy(body: &[u8]) -> Result<Value, String> {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    serde_json::from_slice(body)
        .or_else(|_| serde_json::from_str(&without_lone_surrogates(&String::from_utf8_lossy(body))))
        .map_err(|error: serde_json::Error| {
            format!("line {}, column {}", error.line(), error.column())
        })
}

/// Replaces unpaired escapes `\uD800` to `\uDFFF` by U+FFFD.
fn without_lone_surrogates(json: &str) -> String {
    let mut replaced = String::with_capacity(json.len());
    let mut rest = json;
    while let Some(at) = rest.find('\\') {
        let (before, escape) = rest.split_at(at);
        replaced.push_str(before);
        let length = match (
            surrogate(escape),
            surrogate(escape.get(6..).unwrap_or_default()),
        ) {
            (Some(0xD800..=0xDBFF), Some(0xDC00..=0xDFFF)) => 12,
            (Some(_), _) => {
                replaced.push_str("\\ufffd");
                rest = &escape[6..];
                continue;
            }
            // An escape of one character, which may be a backslash.
            (None, _) => 1 + escape[1..].chars().next().map_or(0, char::len_utf8),
        };
        replaced.push_str(&escape[..length]);
        rest = &escape[length..];
    }
    replaced + rest
}

/// The surrogate at the start of a text, as a `\uXXXX` escape.
fn surrogate(text: &str) -> Option<u16> {
    let digits = text.strip_prefix("\\u")?.get(..4)?;
    u16::from_str_radix(digits, 16)
        .ok()
        .filter(|unit| (0xD800..=0xDFFF).contains(unit))
}
