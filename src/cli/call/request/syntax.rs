//! A request that is no JSON: where it goes wrong, and what would be right.

use std::path::Path;

use prost_reflect::MethodDescriptor;
use serde_json::Error;

use super::quoted;

/// How much of the wrong line is shown on each side of the error, in characters.
const CONTEXT: usize = 40;

/// Explains a syntax error.
pub(super) fn explain(text: &str, error: &Error, method: &MethodDescriptor) -> String {
    if text.trim().is_empty() {
        return format!(
            "the request is empty; write {}, or '{{}}' for one without fields",
            quoted(method)
        );
    }
    if let Some(file) = file(text) {
        return file;
    }
    // The message of serde_json ends with the position.
    let message = error.to_string();
    let message = message
        .rsplit_once(" at line ")
        .map_or(message.as_str(), |(message, _)| message);
    let said = message.replace("EOF", "unexpected end");
    let (line, column) = (error.line(), error.column());
    let mut place = format!("line {line}, column {column}");
    if let Some(excerpt) = excerpt(text, line, column) {
        place = format!("{place}:\n  {excerpt}");
    }
    let hint = hint(text, message).unwrap_or("a request is an object in braces");
    format!(
        "the request is not JSON: {said}, at {place}\n  {hint}; for example {}",
        quoted(method)
    )
}

/// What to do with the name of a file in place of the request.
fn file(text: &str) -> Option<String> {
    let name = text.trim();
    let name = name.strip_prefix('@').unwrap_or(name);
    if name.starts_with(['{', '[', '"']) || name.contains('\n') {
        return None;
    }
    if Path::new(name).is_file() {
        return Some(format!(
            "`{text}` is a file, not the request: `- < {name}` reads the request from it"
        ));
    }
    let is_json = Path::new(name)
        .extension()
        .is_some_and(|extension| extension == "json");
    is_json.then(|| {
        format!(
            "`{text}` is not the request, and there is no file `{name}`; `- < FILE` reads the \
             request from a file"
        )
    })
}

/// The wrong line, or a part of it, with a caret below the column.
fn excerpt(text: &str, line: usize, column: usize) -> Option<String> {
    let line = text.lines().nth(line.checked_sub(1)?)?;
    // The column counts bytes from 1; 0 is the end of the line before.
    let before = line.get(..column.saturating_sub(1))?.chars().count();
    let start = before.saturating_sub(CONTEXT);
    let shown: String = line.chars().skip(start).take(2 * CONTEXT).collect();
    let shown = shown.replace(char::is_control, " ");
    Some(format!("{shown}\n  {}^", " ".repeat(before - start)))
}

/// What the mistake is, if it is a usual one.
fn hint(text: &str, message: &str) -> Option<&'static str> {
    let start: String = text.split_whitespace().collect();
    if text.contains(['\u{201c}', '\u{201d}', '\u{2018}', '\u{2019}']) {
        return Some("it has typographic quotes; JSON has straight ones (\")");
    }
    if start.starts_with("{'") {
        return Some(
            "JSON has double quotes; put the whole request in single quotes, so that the shell \
             keeps them",
        );
    }
    if start.starts_with("{\\\"") {
        return Some("a double quote needs no backslash, if the whole request is in single quotes");
    }
    let bare = start.strip_prefix('{').and_then(|rest| rest.chars().next());
    if bare.is_some_and(|letter| letter.is_alphabetic() || letter == '_') {
        return Some(
            "names and texts have double quotes, which the shell takes away; put the whole \
             request in single quotes",
        );
    }
    if ["True", "False", "None"]
        .iter()
        .any(|word| text.contains(word))
    {
        return Some("JSON writes `true`, `false` and `null`");
    }
    if !start.starts_with(['{', '[', '"']) && start.contains('=') {
        return Some("fields are not written as NAME=VALUE");
    }
    match message {
        "trailing comma" => Some("no comma stands before a closing bracket"),
        "trailing characters" => Some("something follows the end of the request"),
        message if message.starts_with("EOF") => {
            Some("it ends too early: a closing quote or bracket is missing")
        }
        "expected value" if start.starts_with('{') => {
            Some("a text needs double quotes here; put the whole request in single quotes")
        }
        message if message.starts_with("expected `,`") => {
            Some("a comma is missing, or a quote before it")
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use crate::cli::call::request::tests::wrong;

    #[test]
    fn a_syntax_error_has_its_place_and_a_hint() {
        let cases = [
            ("{userId: x}", "line 1, column 2", "the shell takes away"),
            (
                "{'userId': 'x'}",
                "line 1, column 2",
                "JSON has double quotes",
            ),
            (r#"{\"userId\": \"x\"}"#, "line 1, column 2", "no backslash"),
            (
                "{\"userId\": \"x\",}",
                "line 1, column 16",
                "no comma stands before",
            ),
            (
                "{\"userId\": x}",
                "line 1, column 12",
                "needs double quotes here",
            ),
            ("{\"userId\": \"x\"", "line 1, column 14", "ends too early"),
            (
                "{\"userId\":\n \"x\"}}",
                "line 2, column 6",
                "follows the end",
            ),
            (
                "{\u{201c}userId\u{201d}: 1}",
                "line 1, column 2",
                "typographic quotes",
            ),
            ("userId=x", "line 1, column 1", "NAME=VALUE"),
            (
                "{\"userId\": None}",
                "line 1, column 12",
                "JSON writes `true`",
            ),
            ("hello", "line 1, column 1", "an object in braces"),
        ];
        for (text, place, hint) in cases {
            let wrong = wrong("GetUserPresencesPurecloud", text);
            assert!(
                wrong.contains(place) && wrong.contains(hint),
                "{text}: {wrong}"
            );
            assert!(
                wrong.contains("for example '{\"userId\": \"0"),
                "{text}: {wrong}"
            );
        }
    }

    #[test]
    fn the_wrong_place_is_marked() {
        let long = format!("{{\"userId\": \"{}\" x}}", "é".repeat(100));
        let wrong = wrong("GetUserPresencesPurecloud", &long);
        let mut lines = wrong.lines().skip(1);
        let (shown, mark) = (lines.next().unwrap(), lines.next().unwrap());
        assert_eq!(
            shown.chars().nth(mark.chars().count() - 1),
            Some('x'),
            "{wrong}"
        );
    }

    #[test]
    fn an_empty_request_and_a_file_are_no_syntax_errors() {
        let wrong = |text| wrong("GetUserPresencesPurecloud", text);
        assert!(wrong(" ").contains("the request is empty"));
        assert!(wrong("Cargo.toml").contains("`- < Cargo.toml` reads the request"));
        assert!(wrong("@Cargo.toml").contains("`- < Cargo.toml` reads the request"));
        assert!(wrong("gone.json").contains("there is no file `gone.json`"));
    }
}
