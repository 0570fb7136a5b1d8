//! Texts cut to the size that they have in a header.

/// Cuts a text to `max` bytes as they travel in a header, at a character boundary.
pub(super) fn clip(text: &str, max: usize) -> String {
    if on_the_wire(text) <= max {
        return text.to_owned();
    }
    let mut size = "...".len();
    let kept = text.chars().take_while(|c| {
        size += on_the_wire(c.encode_utf8(&mut [0; 4]));
        size <= max
    });
    kept.collect::<String>() + "..."
}

/// How many bytes a message takes percent-encoded.
pub(super) fn on_the_wire(text: &str) -> usize {
    text.bytes()
        .map(|byte| {
            if byte.is_ascii_graphic() && !b"\"#%<>`?{}".contains(&byte) {
                1
            } else {
                3
            }
        })
        .sum()
}
