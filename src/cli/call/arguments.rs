//! Arguments that `call` does not have, but that a caller may expect: those of
//! other tools, and the fields of a request.

use std::ffi::OsString;

use clap::Error;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::rpc_name;
use crate::nearest::{is_near, plain};

/// Flags of grpcurl, buf and curl, and what `call` has instead.
const ELSEWHERE: [(&[&str], &str); 14] = [
    (
        &["-d", "--data", "--data-raw", "--body", "--request"],
        "the request follows the RPC without a flag: presence-gateway call RPC '{…}'",
    ),
    (
        &[
            "-H",
            "--header",
            "--rpc-header",
            "--metadata",
            "--auth",
            "--bearer",
        ],
        "the token is given by --token TOKEN or PRESENCE_GATEWAY_TOKEN, the region by --region \
         REGION; other headers are not sent",
    ),
    (
        &["-plaintext", "--plaintext", "--http2-prior-knowledge"],
        "leave it out: an address without `https://` is called without TLS",
    ),
    (
        &["--tls", "--ssl", "--use-tls"],
        "begin the address with `https://`, or give --tls-ca FILE",
    ),
    (
        &["-k", "--insecure", "-insecure", "--skip-verify"],
        "certificates are always verified: trust that of the gateway by --tls-ca FILE; without \
         TLS, no flag is needed",
    ),
    (
        &["--cacert", "-cacert", "--ca"],
        "the flag is --tls-ca FILE",
    ),
    (&["--cert", "-cert"], "the flag is --tls-cert FILE"),
    (&["--key", "-key"], "the flag is --tls-key FILE"),
    (
        &["--authority", "-authority", "--servername", "-servername"],
        "the name in the certificate is given by --tls-server-name NAME",
    ),
    (
        &[
            "--timeout",
            "--max-time",
            "-max-time",
            "--connect-timeout",
            "-m",
        ],
        "the flag is --deadline DURATION, for example `--deadline 5s`",
    ),
    (
        &[
            "--host",
            "--port",
            "-p",
            "--url",
            "--server",
            "--endpoint",
            "--listen",
        ],
        "the gateway is given by --address HOST:PORT",
    ),
    (
        &["-v", "-vv", "--verbose", "-verbose", "--debug", "--trace"],
        "leave it out: an error shows all that is known about it",
    ),
    (
        &["-o", "--output", "--pretty", "--format", "-emit-defaults"],
        "leave it out: the response is JSON, which is indented on a terminal; --json prints it in \
         one line",
    ),
    (
        &["--sandbox", "--upstream-url"],
        "it is one of the gateway: start that by `presence-gateway serve --sandbox`, and call it \
         from another terminal",
    ),
];

/// Explains an error of the parser, if there is more to say about it than the
/// parser does.
#[must_use]
pub fn explain(error: &Error, arguments: &[OsString]) -> Option<String> {
    let name = text(error, ContextKind::InvalidArg);
    let what = match error.kind() {
        ErrorKind::UnknownArgument => unknown(error, name?, arguments)?,
        ErrorKind::ArgumentConflict => conflict(name?, arguments)?,
        ErrorKind::InvalidValue if has_no_value(error) => match name?.split(' ').next()? {
            flag @ ("--token" | "--address" | "--region") => {
                format!("{flag} has no value; is the variable set that it comes from?")
            }
            flag => format!("{flag} has no value; it follows the flag"),
        },
        _ => return None,
    };
    Some(format!(
        "presence-gateway call: {what}\n  --help lists the flags\n"
    ))
}

fn has_no_value(error: &Error) -> bool {
    let value = text(error, ContextKind::InvalidValue);
    value.is_none_or(str::is_empty)
}

/// About a list of RPCs that names one.
fn conflict(name: &str, arguments: &[OsString]) -> Option<String> {
    if !name.starts_with("--list") {
        return None;
    }
    let mut words = arguments.iter().skip(2).filter_map(|word| word.to_str());
    let rpc = words.find_map(|word| rpc_name::find(word).ok())?;
    Some(format!(
        "--list lists all RPCs, and takes none; `presence-gateway call {} --describe` describes \
         this one",
        rpc.name()
    ))
}

/// About a flag that does not exist.
fn unknown(error: &Error, name: &str, arguments: &[OsString]) -> Option<String> {
    let arguments: Vec<_> = arguments.iter().filter_map(|word| word.to_str()).collect();
    // The parser names only `-p` of `-plaintext`.
    let mut given = arguments
        .iter()
        .map(|word| word.split('=').next().unwrap_or(word));
    let given = given.find(|word| *word == name || (word.starts_with(name) && name.len() == 2))?;
    let mut elsewhere = ELSEWHERE.iter();
    if let Some((_, instead)) = elsewhere.find(|(flags, _)| flags.contains(&given)) {
        return Some(format!("there is no flag `{given}`; {instead}"));
    }
    if let Some(field) = field(given, &arguments) {
        return Some(format!("there is no flag `{given}`; {field}"));
    }
    // The parser finds a flag similar that has few letters in common.
    let similar = text(error, ContextKind::SuggestedArg);
    let similar = similar.filter(|similar| is_near(given, similar));
    let tip = similar.map(|similar| format!("; did you mean `{similar}`?"));
    Some(format!(
        "there is no flag `{given}`{}",
        tip.unwrap_or_default()
    ))
}

/// What to write in place of a flag that is a field of the request, or its beginning.
fn field(given: &str, arguments: &[&str]) -> Option<String> {
    let mut words = arguments.iter().skip(2);
    let rpc = words.find_map(|word| rpc_name::find(word).ok())?;
    let fields: Vec<_> = rpc.input().fields().collect();
    let named = |is_it: &dyn Fn(&str) -> bool| {
        let mut fields = fields.iter();
        fields.find(|field| is_it(&plain(field.json_name())))
    };
    let given = plain(given);
    let field = named(&|name| name == given)
        .or_else(|| named(&|name| given.len() > 2 && name.starts_with(&given)))?;
    Some(format!(
        "the fields stand in the request: presence-gateway call {} '{{\"{}\": …}}'",
        rpc.name(),
        field.json_name()
    ))
}

fn text(error: &Error, kind: ContextKind) -> Option<&str> {
    match error.get(kind)? {
        ContextValue::String(text) => Some(text),
        _ => None,
    }
}
