//! The request: JSON to a message, and what is wrong with JSON that is none.

mod ambiguous;
mod fields;
mod syntax;
mod values;

use std::io::{self, IsTerminal, Read, Write};

use prost_reflect::{DynamicMessage, MethodDescriptor};
use serde_json::{Deserializer, Value};

use super::examples::example;
use super::id_reader::STANDARD_INPUT;

/// The most bytes that are read from the standard input: JSON takes several times the
/// room of the largest message that a gateway accepts.
const MAX_JSON: u64 = 64 << 20;

/// Reads the request from the words of the command line, or from the standard input.
pub(super) fn read(words: &[String], method: &MethodDescriptor) -> Result<DynamicMessage, String> {
    match words {
        [] => parse("{}", method),
        [word] if word == STANDARD_INPUT => parse(&standard_input()?, method),
        [word] => parse(word, method),
        [_, second, ..] => Err(format!(
            "the request is one argument, but there are {}; the second is `{second}`. The shell \
             splits a request that is not in single quotes: write {}",
            words.len(),
            quoted(method)
        )),
    }
}

fn standard_input() -> Result<String, String> {
    if io::stdin().is_terminal() {
        let note = "presence-gateway call: reads the request from the terminal until Ctrl-D";
        let _ = writeln!(io::stderr(), "{note}");
    }
    let mut text = Vec::new();
    let read = io::stdin().take(MAX_JSON + 1).read_to_end(&mut text);
    read.map_err(|error| format!("the request cannot be read from the standard input: {error}"))?;
    if text.len() as u64 > MAX_JSON {
        let mib = MAX_JSON >> 20;
        return Err(format!(
            "the standard input has more than {mib} MiB, which no request has"
        ));
    }
    String::from_utf8(text).map_err(|_| {
        "the request on the standard input is not UTF-8; JSON has to be (PowerShell writes \
         UTF-16 by default)"
            .to_owned()
    })
}

/// Parses a request.
fn parse(text: &str, method: &MethodDescriptor) -> Result<DynamicMessage, String> {
    // Some editors begin a file with a byte order mark.
    let text = text.trim_start_matches('\u{feff}');
    let ambiguous = ambiguous::problems(text, &method.input());
    let mut json = Deserializer::from_str(text);
    let parsed = DynamicMessage::deserialize(method.input(), &mut json)
        .and_then(|message| json.end().map(|()| message));
    match parsed {
        Ok(message) if ambiguous.is_empty() => Ok(message),
        Ok(_) => Err(fields::report(ambiguous, method)),
        Err(error) => Err(match serde_json::from_str::<Value>(text) {
            Err(syntax) => syntax::explain(text, &syntax, method),
            Ok(value) => fields::explain(&value, ambiguous, method).unwrap_or_else(|| {
                format!("the request is not a {}: {error}", method.input().name())
            }),
        }),
    }
}

/// A request of the RPC as an example, quoted for a shell.
pub(super) fn quoted(method: &MethodDescriptor) -> String {
    format!("'{}'", example(method.name()).unwrap_or("{…}"))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::cli::call::rpc_name::find;

    /// What is wrong with a request.
    pub(super) fn wrong(rpc: &str, request: &str) -> String {
        let parsed = parse(request, &find(rpc).unwrap());
        parsed
            .err()
            .unwrap_or_else(|| panic!("{rpc} accepts {request}"))
    }

    #[test]
    fn a_request_in_pieces_is_reported_with_its_quotes() {
        let rpc = find("GetUserPresencesPurecloud").unwrap();
        let words = ["{userId:", "x}"].map(str::to_owned);
        let wrong = read(&words, &rpc).unwrap_err();
        assert!(wrong.contains("there are 2; the second is `x}`"), "{wrong}");
        assert!(wrong.contains("write '{\"userId\": "), "{wrong}");
        assert!(read(&[], &rpc).is_ok());
    }
}
