//! `OTEL_EXPORTER_OTLP_…`, the variables of a collector. Each has a form for
//! one signal, which takes precedence over the general form.
//!
//! The SDK does not support all of them, above all not those of TLS
//! (<https://github.com/open-telemetry/opentelemetry-rust/issues/984>,
//! <https://github.com/open-telemetry/opentelemetry-rust/pull/2465>).

use std::env;
use std::time::Duration;

use http::{HeaderName, HeaderValue};
use percent_encoding::percent_decode_str;
use reqwest::Url;

use super::choice::{COMPRESSION, PROTOCOL};
use super::{Env, is_set, parse_milliseconds};
use crate::telemetry::{Destination, Protocol};
use crate::tls;
use crate::tls::pem::{self, Identity};

/// The timeout of an export where no variable sets it.
const TIMEOUT: Duration = Duration::from_secs(10);

const HEADERS: &str = "OTEL_EXPORTER_OTLP_HEADERS";

/// The name of the variable that applies to a signal.
fn variable(signal: &str, suffix: &str) -> String {
    let specific = format!("OTEL_EXPORTER_OTLP_{signal}_{suffix}");
    if is_set(&specific) {
        specific
    } else {
        format!("OTEL_EXPORTER_OTLP_{suffix}")
    }
}

/// The collector of a signal, `TRACES` or `METRICS`, if there is one.
pub(super) fn parse(env: &mut Env<'_>, signal: &str) -> Option<Destination> {
    let protocol = env.choose(&variable(signal, "PROTOCOL"), &PROTOCOL);
    let protocol = protocol.unwrap_or(Protocol::Http);
    let timeout = env.parse(&variable(signal, "TIMEOUT"), parse_milliseconds);
    let compress = env.choose(&variable(signal, "COMPRESSION"), &COMPRESSION);
    check_headers(env, signal);
    let authorities = env.parse(&variable(signal, "CERTIFICATE"), pem::authorities);
    let identity = identity(env, signal);
    let setting = variable(signal, "ENDPOINT");
    let raw = env.text(&setting)?;
    let raw = raw.trim();
    // The text before an `@` may be a password.
    let shown = if raw.contains('@') { "…" } else { raw };
    let path = (setting == "OTEL_EXPORTER_OTLP_ENDPOINT")
        .then(|| format!("v1/{}", signal.to_ascii_lowercase()));
    let url = parse_url(raw, protocol, path)
        .map_err(|wrong| env.errors.add(format!("{setting}: `{shown}` {wrong}")))
        .ok()?;
    let alpn: &[u8] = match protocol {
        Protocol::Grpc => b"h2",
        Protocol::Http => b"http/1.1",
    };
    let tls = (url.scheme() == "https").then(|| tls::client(authorities, identity, alpn));
    let tls = tls
        .transpose()
        .map_err(|wrong| {
            env.errors.add(format!(
                "{setting}: `{raw}` cannot be reached: {wrong}; give its CA as \
                 OTEL_EXPORTER_OTLP_CERTIFICATE"
            ));
        })
        .ok()?;
    Some(Destination {
        setting,
        protocol,
        url: url.to_string(),
        timeout: timeout.unwrap_or(TIMEOUT),
        compress: compress.unwrap_or(false),
        tls,
    })
}

/// The certificate that the exporter presents, and its key.
fn identity(env: &mut Env<'_>, signal: &str) -> Option<Identity> {
    let names = ["CLIENT_CERTIFICATE", "CLIENT_KEY"].map(|suffix| variable(signal, suffix));
    let [cert, key] = names.each_ref().map(|name| env.text(name));
    let (cert, key) = (cert.as_deref(), key.as_deref());
    let identity = Identity::from_files(
        (&names[0], cert.map(str::trim)),
        (&names[1], key.map(str::trim)),
    );
    env.errors.take_all(identity)?
}

/// Checks the headers, which the exporters parse themselves. Errors do not
/// show the values: they are secrets.
fn check_headers(env: &mut Env<'_>, signal: &str) {
    let name = variable(signal, "HEADERS");
    if let Some(raw) = env.text(&name)
        && let Err(wrong) = parse_headers(&raw)
    {
        env.errors.add(format!("{name}: {wrong}"));
    }
    // The exporters take an empty variable for no headers.
    let specific = format!("OTEL_EXPORTER_OTLP_{signal}_HEADERS");
    if is_set(HEADERS) && env::var_os(&specific).is_some_and(|text| text.is_empty()) {
        env.errors.add(format!(
            "{specific}: it is set to nothing, and would hide {HEADERS}; unset it"
        ));
    }
}

/// Parses the URL of a collector and appends `path`, that of a signal below a
/// general endpoint.
fn parse_url(raw: &str, protocol: Protocol, path: Option<String>) -> Result<Url, String> {
    let (is_grpc, example) = match protocol {
        Protocol::Grpc => (true, "http://collector:4317"),
        Protocol::Http => (false, "http://collector:4318"),
    };
    let mut url =
        Url::parse(raw).map_err(|error| format!("is not a URL like `{example}` ({error})"))?;
    if !matches!(url.scheme(), "http" | "https") || url.cannot_be_a_base() {
        Err(format!(
            "must begin with `http://` or `https://`, as in `{example}`"
        ))
    } else if !url.username().is_empty() || url.password().is_some() {
        Err(format!(
            "must not hold a user or a password: give them as {HEADERS}"
        ))
    } else if url.query().is_some() || url.fragment().is_some() {
        Err("must not hold a query or a fragment".to_owned())
    } else if is_grpc && url.path() != "/" {
        Err(format!(
            "must be a host and a port alone, as in `{example}`: the protocol is `grpc`, which \
             has no paths"
        ))
    } else {
        if let Some(path) = path.filter(|_| !is_grpc) {
            let path = format!("{}/{path}", url.path().trim_end_matches('/'));
            url.set_path(&path);
        }
        Ok(url)
    }
}

/// Parses `name=value,name=value` with percent-encoded values.
fn parse_headers(raw: &str) -> Result<(), String> {
    for (index, entry) in raw.split(',').map(str::trim).enumerate() {
        let wrong = match entry.split_once('=') {
            _ if entry.is_empty() => continue,
            None => "has no `=`",
            Some((name, _)) if HeaderName::try_from(name.trim()).is_err() => {
                "has a name that is not the name of a header"
            }
            Some((_, value)) if !is_header_value(value) => {
                "has a value that is not valid in a header"
            }
            Some(_) => continue,
        };
        let number = index + 1;
        return Err(format!(
            "its entry {number} {wrong}; write it as `name=value,name=value`, with other \
             characters than letters and digits percent-encoded in the values"
        ));
    }
    Ok(())
}

fn is_header_value(encoded: &str) -> bool {
    let value = percent_decode_str(encoded.trim()).decode_utf8().ok();
    let value = value.and_then(|text| HeaderValue::from_str(&text).ok());
    value.is_some_and(|value| value.to_str().is_ok())
}
