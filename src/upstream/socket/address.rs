//! The address of a WebSocket, as the vendor returns it, and whether it may be used.

use std::fmt;

use http::Uri;

use crate::upstream::endpoint::{Endpoint, is_loopback_host};

/// The longest address. The vendor's have some hundred bytes.
const MAX_LENGTH: usize = 4096;

/// An address that may be used: in the region of the upstream, and as safe as that.
#[derive(Clone, PartialEq, Eq)]
pub struct SocketAddress {
    uri: Uri,
    host: String,
    port: u16,
    is_secure: bool,
}

// Whoever knows the path can receive.
impl fmt::Debug for SocketAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for SocketAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

impl SocketAddress {
    /// Checks an address that the API at `endpoint` has returned.
    ///
    /// # Errors
    ///
    /// Why it is not used, as a sentence.
    pub fn parse(text: &str, endpoint: &Endpoint) -> Result<Self, String> {
        let malformed = || "the vendor's address of the WebSocket is malformed".to_owned();
        if text.len() > MAX_LENGTH {
            return Err(malformed());
        }
        let uri: Uri = text.parse().map_err(|_| malformed())?;
        let is_secure = match uri.scheme_str() {
            Some("wss") => true,
            Some("ws") => false,
            _ => {
                return Err(
                    "the vendor's address of the WebSocket begins with neither `wss` nor `ws`"
                        .to_owned(),
                );
            }
        };
        let authority = uri.authority().ok_or_else(malformed)?;
        if authority.as_str().contains('@') {
            return Err(malformed());
        }
        let host = authority.host().to_ascii_lowercase();
        let port = authority
            .port_u16()
            .unwrap_or(if is_secure { 443 } else { 80 });
        let upstream = endpoint.host_port().0.to_ascii_lowercase();
        if !is_same_region(&host, &upstream) {
            return Err(format!(
                "the vendor's WebSocket is at {host}, which is not in the region of {upstream}"
            ));
        }
        // An upstream in plaintext is on this machine, or allowed by a flag.
        if !is_secure && endpoint.is_secure() && !is_loopback_host(&host) {
            return Err(format!("the vendor's WebSocket at {host} has no TLS"));
        }
        Ok(Self {
            uri,
            host,
            port,
            is_secure,
        })
    }

    pub(super) fn uri(&self) -> &Uri {
        &self.uri
    }

    /// The host, without the brackets of an IPv6 address.
    pub(super) fn name(&self) -> &str {
        self.host.trim_start_matches('[').trim_end_matches(']')
    }

    pub(super) fn is_secure(&self) -> bool {
        self.is_secure
    }

    /// The same host and port for a connector.
    pub(super) fn destination(&self) -> Result<Uri, String> {
        let destination = format!("http://{}:{}", self.host, self.port).parse();
        destination.map_err(|_| "the vendor's address of the WebSocket is malformed".to_owned())
    }
}

/// Whether two hosts are of one region: the same one, two of this machine, or two below
/// one domain, as `streaming.mypurecloud.ie` and `api.mypurecloud.ie` are.
fn is_same_region(host: &str, upstream: &str) -> bool {
    if host == upstream || is_loopback_host(host) && is_loopback_host(upstream) {
        return true;
    }
    let is_name = |host: &str| host.ends_with(|last: char| last.is_ascii_alphabetic());
    let domain = upstream.split_once('.').map(|(_, domain)| domain);
    let domain = domain.filter(|domain| domain.contains('.') && is_name(domain));
    domain.is_some_and(|domain| {
        let below = host.strip_suffix(domain);
        below.is_some_and(|below| below.len() > 1 && below.ends_with('.'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::region::REGIONS;

    fn parse(text: &str, upstream: &str) -> Result<String, String> {
        let endpoint = Endpoint::from_url(upstream, true).unwrap();
        SocketAddress::parse(text, &endpoint).map(|address| address.to_string())
    }

    #[test]
    fn a_socket_is_opened_only_in_the_region_of_the_upstream() {
        for region in REGIONS {
            let upstream = format!("https://{}", region.host());
            let domain = region.host().replacen("api.", "", 1);
            let uri = format!("wss://streaming.{domain}/channels/streaming-4-a");
            assert_eq!(
                parse(&uri, &upstream),
                Ok(format!("streaming.{domain}:443"))
            );
            for other in [
                "wss://streaming.example.com/channels/a".to_owned(),
                format!("wss://evil{domain}/channels/a"),
                format!("wss://.{domain}/channels/a"),
                format!("wss://streaming.{domain}.evil.example/channels/a"),
                format!("wss://{domain}@evil.example/channels/a"),
                "wss://127.0.0.1/channels/a".to_owned(),
            ] {
                assert!(parse(&other, &upstream).is_err(), "{other} for {upstream}");
            }
        }
        // The domain of one region ends with that of no other one.
        let australia = "wss://streaming.mypurecloud.com.au/a";
        assert!(parse(australia, "https://api.mypurecloud.com").is_err());
        assert!(
            parse(
                "wss://streaming.usw2.pure.cloud/a",
                "https://api.euw2.pure.cloud"
            )
            .is_err()
        );
    }

    #[test]
    fn a_socket_without_tls_is_for_an_upstream_without_tls_or_this_machine() {
        for (uri, upstream, is_used) in [
            ("ws://127.0.0.1:8080/a", "http://127.0.0.1:8080", true),
            ("ws://localhost:8080/a", "http://127.0.0.1:8080", true),
            ("ws://[::1]:8080/a", "http://127.0.0.1:8080", true),
            ("ws://127.0.0.1:8080/a", "https://127.0.0.1:8443", true),
            ("ws://vendor.test/a", "http://vendor.test", true),
            ("ws://10.0.0.2/a", "http://10.0.0.1", false),
            (
                "ws://streaming.mypurecloud.ie/a",
                "https://api.mypurecloud.ie",
                false,
            ),
            ("ws://evil.example/a", "http://127.0.0.1:8080", false),
            (
                "https://streaming.mypurecloud.ie/a",
                "https://api.mypurecloud.ie",
                false,
            ),
            (
                "streaming.mypurecloud.ie",
                "https://api.mypurecloud.ie",
                false,
            ),
            ("", "https://api.mypurecloud.ie", false),
        ] {
            assert_eq!(
                parse(uri, upstream).is_ok(),
                is_used,
                "{uri} for {upstream}"
            );
        }
    }

    #[test]
    fn the_path_of_a_socket_is_not_shown() {
        let endpoint = Endpoint::from_url("https://api.mypurecloud.ie", false).unwrap();
        let address =
            SocketAddress::parse("wss://streaming.mypurecloud.ie/channels/secret", &endpoint);
        let shown = format!("{0} {0:?}", address.unwrap());
        assert!(!shown.contains("secret"), "{shown}");
    }
}
