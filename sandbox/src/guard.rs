//! Which browsers may use the control endpoints. They need no token, and a browser
//! sends requests to this machine for any web page that it shows.

use http::{Method, header};

use super::request::ReceivedRequest;
use super::settings::AllowedHosts;

/// Rejects a request that a browser sends for a page of somebody else.
///
/// - A page of another origin can send what needs no preflight, for example a POST.
///   Browsers name the page's origin in the header `Origin`; programs send none.
/// - A page whose own host name is made to point to this machine (DNS rebinding) is
///   of the same origin. So the host must be an allowed one, on any address.
pub(super) fn check(request: &ReceivedRequest, allowed: &AllowedHosts) -> Result<(), String> {
    let host = request.host().unwrap_or_default();
    if !host.is_empty() && !allowed.admit(host) {
        return Err(format!(
            "The host `{host}` is not allowed: a web page may have had its name changed to \
             reach the sandbox. Use `localhost`, an IP address or a name without a dot, or \
             start the sandbox with --allowed-hosts (PRESENCE_GATEWAY_SANDBOX_ALLOWED_HOSTS).\n"
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
