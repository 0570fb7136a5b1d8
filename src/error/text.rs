//! Texts measured and cut by the size that they take in a header.

/// Cuts a text to `max` percent-encoded bytes, at a character boundary.
pub(super) fn truncate(text: &str, max: usize) -> String {
    if encoded_len(text) <= max {
        return text.to_owned();
    }
    let mut size = "...".len();
    let kept = text.chars().take_while(|c| {
        size += encoded_len(c.encode_utf8(&mut [0; 4]));
        size <= max
    });
    kept.collect::<String>() + "..."
}

/// The length of a text in bytes once it is percent-encoded.
pub(super) fn encoded_len(text: &str) -> usize {
    let is_plain = |byte: &u8| byte.is_ascii_graphic() && !b"\"#%<>`?{}".contains(byte);
    3 * text.len() - 2 * text.bytes().filter(is_plain).count()
}
