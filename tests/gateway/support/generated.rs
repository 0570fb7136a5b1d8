//! Files with parts that are generated from the protos.

use std::path::Path;
use std::{env, fs};

/// The command that regenerates the parts.
pub const COMMAND: &str = "just generate";

/// Returns the text of a file. With `UPDATE=1`, regenerates its parts first.
pub fn read(file: &str, generate: fn(&str) -> String) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    let text = fs::read_to_string(&path).unwrap();
    if env::var_os("UPDATE").is_none_or(|update| update != "1") {
        return text;
    }
    let generated = generate(&text);
    if generated != text {
        fs::write(&path, &generated).unwrap();
    }
    generated
}

/// Asserts that the generated parts of a text are current.
pub fn assert_current(file: &str, text: &str, generate: fn(&str) -> String) {
    let generated = generate(text);
    let stale = text.lines().zip(generated.lines()).find(|(a, b)| a != b);
    assert!(
        text == generated,
        "{file} is stale; run `{COMMAND}`. First difference, stale and current: {stale:#?}"
    );
}
