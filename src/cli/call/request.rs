//! The request: JSON to a message, and what is wrong with JSON that is none.

mod fields;
mod syntax;
mod values;

use std::io::{self, IsTerminal, Write};

use prost_reflect::{DynamicMessage, MethodDescriptor};
use serde_json::{Deserializer, Value};

use super::examples::example;
use super::id_reader::STANDARD_INPUT;

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
    io::read_to_string(io::stdin()).map_err(|error| match error.kind() {
        io::ErrorKind::InvalidData => {
            "the request on the standard input is not UTF-8; JSON has to be (PowerShell writes \
             UTF-16 by default)"
                .to_owned()
        }
        _ => format!("the request cannot be read from the standard input: {error}"),
    })
}

/// Parses a request.
fn parse(text: &str, method: &MethodDescriptor) -> Result<DynamicMessage, String> {
    // Some editors begin a file with a byte order mark.
    let text = text.trim_start_matches('\u{feff}');
    let mut json = Deserializer::from_str(text);
    DynamicMessage::deserialize(method.input(), &mut json)
        .and_then(|message| json.end().map(|()| message))
        .map_err(|error| match serde_json::from_str::<Value>(text) {
            Err(syntax) => syntax::explain(text, &syntax, method),
            Ok(value) => fields::explain(&value, method).unwrap_or_else(|| {
                format!("the request is not a {}: {error}", method.input().name())
            }),
        })
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
