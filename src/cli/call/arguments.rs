//! Arguments that `call` does not have, but that a caller may expect: those of
//! other tools, and the fields of a request.

use std::ffi::OsString;

use clap::Error;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::rpc_name;
use crate::nearest::plain;

/// Flags of grpcurl, buf and curl, and what `call` has instead.
const ELSEWHERE: [(&[&str], &str); 11] = [
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
];

/// Explains an error of the parser, if there is more to say about it than the
/// parser does.
#[must_use]
pub fn explain(error: &Error, arguments: &[OsString]) -> Option<String> {
    let name = text(error, ContextKind::InvalidArg);
    let what = match error.kind() {
        ErrorKind::UnknownArgument => unknown(name?, arguments)?,
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

/// About a flag that does not exist.
fn unknown(name: &str, arguments: &[OsString]) -> Option<String> {
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
    let rpc = arguments
        .iter()
        .find_map(|word| rpc_name::find(word).ok())?;
    let fields: Vec<_> = rpc.input().fields().collect();
    let field = fields
        .iter()
        .find(|field| plain(field.json_name()) == plain(given))?;
    Some(format!(
        "there is no flag `{given}`; the fields stand in the request: presence-gateway call {} \
         '{{\"{}\": …}}'",
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
