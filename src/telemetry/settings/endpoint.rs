//! The variables of a collector: `OTEL_EXPORTER_OTLP_…`, each of which has a
//! form for one signal that stands above the general one.

use std::time::Duration;

use http::{HeaderName, HeaderValue};
use percent_encoding::percent_decode_str;
use reqwest::Url;
use rustls::ClientConfig;

use super::choice::{COMPRESSION, Choice, PROTOCOL};
use super::variables::Variables;
use super::{Destination, Protocol, milliseconds};
use crate::tls::pem::{self, Identity};
use crate::tls::{self, Trust};

/// How long one export may take where nothing says.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A variable that is set.
struct Setting {
    name: String,
    raw: String,
    is_general: bool,
}

/// The variables of one signal.
struct Signal<'a, 'b> {
    name: &'static str,
    variables: &'a mut Variables<'b>,
}

impl Signal<'_, '_> {
    fn find(&mut self, what: &str) -> Option<Setting> {
        let own = format!("OTEL_EXPORTER_OTLP_{}_{what}", self.name);
        let general = format!("OTEL_EXPORTER_OTLP_{what}");
        [(own, false), (general, true)]
            .into_iter()
            .find_map(|(name, is_general)| {
                let raw = self.variables.text(&name)?;
                Some(Setting {
                    name,
                    raw,
                    is_general,
                })
            })
    }

    fn read<T>(&mut self, what: &str, parse: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
        let Setting { name, raw, .. } = self.find(what)?;
        let read = parse(&raw);
        read.map_err(|wrong| self.problem(&name, &format!("`{raw}` {wrong}")))
            .ok()
    }

    fn choose<T: Copy>(&mut self, what: &str, choice: &Choice<T>) -> Option<T> {
        let Setting { name, raw, .. } = self.find(what)?;
        self.variables.look_up(&name, &raw, choice)
    }

    fn problem(&mut self, name: &str, what: &str) {
        // One of the general ones is read for each signal, and told once.
        self.variables.problem_once(format!("{name}: {what}"));
    }
}

/// The collector for a signal, if there is one.
pub(super) fn read(
    variables: &mut Variables<'_>,
    signal: &'static str,
    path: &str,
) -> Option<Destination> {
    let mut signal = Signal {
        name: signal,
        variables,
    };
    let protocol = signal.choose("PROTOCOL", &PROTOCOL);
    let protocol = protocol.unwrap_or(Protocol::Http);
    let timeout = signal.read("TIMEOUT", milliseconds).unwrap_or(TIMEOUT);
    let compress = signal.choose("COMPRESSION", &COMPRESSION).unwrap_or(false);
    if let Some(Setting { name, raw, .. }) = signal.find("HEADERS")
        && let Err(wrong) = headers(&raw)
    {
        // Their values are secrets, and stay out of what is told.
        signal.problem(&name, &wrong);
    }
    // The exporters read these by themselves, and take nothing for no headers.
    let own = format!("OTEL_EXPORTER_OTLP_{}_HEADERS", signal.name);
    let has_general = signal.find("HEADERS").is_some_and(|it| it.is_general);
    if has_general && Variables::is_empty(&own) {
        let wrong = "it is set to nothing, and would hide OTEL_EXPORTER_OTLP_HEADERS; unset it";
        signal.problem(&own, wrong);
    }
    let authorities = signal.read("CERTIFICATE", |path| {
        let authorities = pem::certificates(&pem::file(path)?)?;
        // So that what is none is told here.
        tls::roots(authorities.clone()).map(|_| authorities)
    });
    let identity = identity(&mut signal);
    let Setting {
        name,
        raw,
        is_general,
    } = signal.find("ENDPOINT")?;
    let url = match url(&raw, protocol, is_general.then_some(path)) {
        Ok(url) => url,
        Err(wrong) => {
            // What stands before an `@` may be a password.
            let shown = if raw.contains('@') { "…" } else { &raw };
            signal.problem(&name, &format!("`{shown}` {wrong}"));
            return None;
        }
    };
    let trust = authorities.map_or(Trust::System, Trust::Only);
    let tls = if url.scheme() == "https" {
        match secure(trust, identity, protocol) {
            Ok(tls) => Some(tls),
            Err(wrong) => {
                let remedy = "give its authority as OTEL_EXPORTER_OTLP_CERTIFICATE";
                signal.problem(
                    &name,
                    &format!("`{raw}` cannot be reached: {wrong}; {remedy}"),
                );
                return None;
            }
        }
    } else {
        None
    };
    Some(Destination {
        setting: name,
        protocol,
        url: url.to_string(),
        timeout,
        compress,
        tls,
    })
}

fn secure(
    trust: Trust,
    identity: Option<Identity>,
    protocol: Protocol,
) -> Result<ClientConfig, String> {
    let inside: &[u8] = match protocol {
        Protocol::Grpc => b"h2",
        Protocol::Http => b"http/1.1",
    };
    tls::client(trust, identity, inside)
}

/// The certificate that is shown to the collector, and its key.
fn identity(signal: &mut Signal<'_, '_>) -> Option<Identity> {
    match (signal.find("CLIENT_CERTIFICATE"), signal.find("CLIENT_KEY")) {
        (None, None) => None,
        (Some(cert), Some(key)) => {
            let chain = pem::file(&cert.raw).and_then(|pem| pem::certificates(&pem));
            let chain = chain
                .map_err(|wrong| signal.problem(&cert.name, &format!("`{}` {wrong}", cert.raw)))
                .ok()?;
            let identity = pem::file(&key.raw)
                .and_then(|pem| pem::key(&pem))
                .and_then(|key| Identity::new(chain, key));
            identity
                .map_err(|wrong| signal.problem(&key.name, &format!("`{}` {wrong}", key.raw)))
                .ok()
        }
        (Some(one), None) => {
            let other = one.name.replace("CLIENT_CERTIFICATE", "CLIENT_KEY");
            signal.problem(&one.name, &format!("`{}` needs {other} too", one.raw));
            None
        }
        (None, Some(one)) => {
            let other = one.name.replace("CLIENT_KEY", "CLIENT_CERTIFICATE");
            signal.problem(&one.name, &format!("`{}` needs {other} too", one.raw));
            None
        }
    }
}

/// Reads the URL of a collector; `path` is where a signal goes below a
/// general one.
fn url(raw: &str, protocol: Protocol, path: Option<&str>) -> Result<Url, String> {
    let example = match protocol {
        Protocol::Grpc => "http://collector:4317",
        Protocol::Http => "http://collector:4318",
    };
    let mut url =
        Url::parse(raw).map_err(|error| format!("is not a URL such as `{example}` ({error})"))?;
    if !matches!(url.scheme(), "http" | "https") || url.cannot_be_a_base() {
        return Err(format!(
            "must begin with `http://` or `https://`, as in `{example}`"
        ));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(
            "must not hold a user or a password: give them as OTEL_EXPORTER_OTLP_HEADERS"
                .to_owned(),
        );
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("must not hold a query or a fragment".to_owned());
    }
    match (protocol, path) {
        (Protocol::Grpc, _) if url.path() != "/" => Err(format!(
            "must be a host and a port alone, as in `{example}`: the protocol is `grpc`, which \
             has no paths"
        )),
        (Protocol::Http, Some(path)) => {
            let below = format!("{}/{path}", url.path().trim_end_matches('/'));
            url.set_path(&below);
            Ok(url)
        }
        _ => Ok(url),
    }
}

/// Checks a list of headers, `name=value,name=value`, whose values are
/// percent-encoded. The exporters read it themselves, and pass over what is
/// malformed.
fn headers(raw: &str) -> Result<(), String> {
    for (index, entry) in raw.split(',').map(str::trim).enumerate() {
        let wrong = |what: &str| {
            let number = index + 1;
            Err(format!(
                "its entry {number} {what}; write it as `name=value,name=value`, with other \
                 characters than letters and digits percent-encoded in the values"
            ))
        };
        if entry.is_empty() {
            continue;
        }
        let Some((name, value)) = entry.split_once('=') else {
            return wrong("has no `=`");
        };
        if HeaderName::try_from(name.trim()).is_err() {
            return wrong("has a name that is no name of a header");
        }
        let value = percent_decode_str(value.trim()).decode_utf8();
        let is_value = value.is_ok_and(|value| {
            HeaderValue::from_str(&value).is_ok_and(|value| value.to_str().is_ok())
        });
        if !is_value {
            return wrong("has a value that no header can hold");
        }
    }
    Ok(())
}
