//! Which browsers may use the control endpoints. They need no token, and a browser
//! sends requests to this machine for any web page that it shows.

use std::net::IpAddr;

use http::{Method, header};

use super::request::ReceivedRequest;

/// Rejects a request that a browser sends for a page of somebody else.
///
/// - A page of another origin can send what needs no preflight, for example a POST.
///   Browsers name the page's origin in the header `Origin`; programs send none.
/// - A page whose own host name is made to point to this machine (DNS rebinding) is
///   of the same origin. So on loopback the host must be an address or `localhost`, or
///   a name without a dot, which is nobody's on the internet.
pub(super) fn check(request: &ReceivedRequest) -> Result<(), String> {
    let host = request.host().unwrap_or_default();
    let local = request.local.map(|local| local.ip().to_canonical());
    let is_loopback = local.is_some_and(|local| local.is_loopback());
    if is_loopback && !host.is_empty() && !is_local(host) {
        return Err(format!(
            "The host `{host}` is no name of this machine: a web page may have had it changed to \
             reach the sandbox. Use `localhost`, or an IP address.\n"
        ));
    }
    let changes = ![Method::GET, Method::HEAD].contains(&request.method);
    match request.header(&header::ORIGIN) {
        Some(origin) if changes && !is_origin_of(origin, host) => Err(format!(
            "A web page of another origin, `{origin}`, cannot change the sandbox. Programs send \
             no header `Origin`.\n"
        )),
        _ => Ok(()),
    }
}

/// Whether a host, with or without a port, is one that no name server of somebody else
/// can direct to this machine.
fn is_local(host: &str) -> bool {
    let without_port = match host.strip_prefix('[') {
        Some(v6) => v6.split(']').next(),
        None => host.split(':').next(),
    };
    let name = without_port.unwrap_or_default().to_ascii_lowercase();
    let is_address = name.parse::<IpAddr>().is_ok();
    is_address || !name.contains('.') || name.ends_with(".localhost")
}

/// Whether an origin is the page that this host serves, with TLS in front or without.
fn is_origin_of(origin: &str, host: &str) -> bool {
    origin
        .split_once("://")
        .is_some_and(|(_, authority)| authority.eq_ignore_ascii_case(host))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_local_if_no_name_server_can_change_it() {
        for (host, local) in [
            ("localhost", true),
            ("LocalHost:8080", true),
            ("sandbox.localhost:8080", true),
            ("127.0.0.1:8080", true),
            ("192.168.1.5", true),
            ("[::1]:8080", true),
            ("evil.example:8080", false),
            ("127.0.0.1.evil.example", false),
            ("localhost.evil.example:8080", false),
            ("sandbox:8080", true),
            ("notlocalhost.example", false),
        ] {
            assert_eq!(is_local(host), local, "{host}");
        }
    }

    #[test]
    fn an_origin_is_that_of_the_page_if_host_and_port_are_the_same() {
        for (origin, same) in [
            ("http://127.0.0.1:8080", true),
            ("https://127.0.0.1:8080", true),
            ("http://127.0.0.1:3000", false),
            ("http://127.0.0.1", false),
            ("http://evil.example", false),
            ("null", false),
        ] {
            assert_eq!(is_origin_of(origin, "127.0.0.1:8080"), same, "{origin}");
        }
    }
}
