//! Where the upstream is.

use std::fmt;
use std::net::IpAddr;

use reqwest::Url;

use super::region::Region;

/// The URL before an operation's path: scheme, host, port, and a path prefix,
/// which has no slash at its end unless it is the root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint(Url);

impl Endpoint {
    /// The API at a URL. Unless `allow_insecure`, plain http is for loopback
    /// only: a token must not cross a network in the clear.
    ///
    /// # Errors
    ///
    /// If the URL is malformed or not allowed.
    pub fn from_url(url: &str, allow_insecure: bool) -> Result<Self, String> {
        let mut parsed = Url::parse(url)
            .ok()
            .filter(|parsed| url.contains("://") || !parsed.cannot_be_a_base())
            .ok_or_else(|| not_a_url(url))?;
        let secure = match parsed.scheme() {
            "https" => true,
            "http" => false,
            _ => return Err("must begin with `https://` or `http://`".to_owned()),
        };
        if !parsed.username().is_empty() || parsed.password().is_some() {
            return Err("must not hold a user or a password".to_owned());
        }
        if parsed.query().is_some() || parsed.fragment().is_some() {
            return Err("must not hold a query or a fragment".to_owned());
        }
        if !secure && !allow_insecure && !is_loopback(&parsed) {
            return Err("is plain http, in which tokens can be read on their way; \
                        use https, or give --allow-insecure-upstream"
                .to_owned());
        }
        let prefix = parsed.path().trim_end_matches('/').to_owned();
        parsed.set_path(&prefix);
        Ok(Self(parsed))
    }

    /// Whether it speaks TLS.
    #[must_use]
    pub fn is_secure(&self) -> bool {
        self.0.scheme() == "https"
    }

    /// Whether it is on this machine.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        is_loopback(&self.0)
    }

    /// The host and the port.
    #[must_use]
    pub fn host_port(&self) -> (&str, u16) {
        let port = self.0.port_or_known_default();
        (
            self.0.host_str().unwrap_or_default(),
            port.unwrap_or_default(),
        )
    }

    /// The host and the port, as they stand in a URL.
    #[must_use]
    pub fn authority(&self) -> String {
        let (host, port) = self.host_port();
        format!("{host}:{port}")
    }

    /// The URL of a path and query that begin with a slash. Both are encoded
    /// already, and hold no `.` or `..` as a segment, so they stay as they are.
    #[must_use]
    pub fn url(&self, path_and_query: &str) -> Url {
        let (path, query) = match path_and_query.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (path_and_query, None),
        };
        let mut url = self.0.clone();
        match self.0.path() {
            "/" => url.set_path(path),
            prefix => url.set_path(&format!("{prefix}{path}")),
        }
        url.set_query(query);
        url
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str().trim_end_matches('/'))
    }
}

/// What is wrong with a text that is no URL, most often because it has no scheme.
fn not_a_url(raw: &str) -> String {
    let secure = Url::parse(&format!("https://{raw}"));
    let Some(parsed) = secure.ok().filter(|_| !raw.contains("://")) else {
        return "is not a URL such as `https://api.example.com/prefix`".to_owned();
    };
    if is_loopback(&parsed) {
        return format!("has no scheme: write `http://{raw}`");
    }
    match parsed.host_str().and_then(Region::find) {
        Some(region) => format!(
            "has no scheme: write `https://{}`, or `--region {}` in its place",
            region.host(),
            region.name
        ),
        None => format!("has no scheme: write `https://{raw}`"),
    }
}

/// Whether a URL's host is this machine.
pub(super) fn is_loopback(url: &Url) -> bool {
    is_loopback_host(url.host_str().unwrap_or_default())
}

/// Whether a host, as it stands in a URL, is this machine.
pub(super) fn is_loopback_host(host: &str) -> bool {
    let address = host
        .trim_start_matches('[')
        .trim_end_matches(']')
        .parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_prefix_precedes_the_path() {
        for (url, expected) in [
            (
                "https://proxy.example/genesys/",
                "https://proxy.example/genesys/api/v2/x?a=b",
            ),
            (
                "HTTPS://Proxy.example",
                "https://proxy.example/api/v2/x?a=b",
            ),
            (
                "http://127.0.0.1:8080",
                "http://127.0.0.1:8080/api/v2/x?a=b",
            ),
        ] {
            assert_eq!(
                Endpoint::from_url(url, false)
                    .unwrap()
                    .url("/api/v2/x?a=b")
                    .as_str(),
                expected
            );
        }
    }

    #[test]
    fn a_path_and_a_query_stay_unchanged() {
        for url in ["https://api.example", "https://proxy.example/a%2Fb/"] {
            let endpoint = Endpoint::from_url(url, false).unwrap();
            for path in [
                "/api/v2/users/%2F%5C%25%00/presences/a.b-c_d~e",
                "/api/v2/users/...?id=a%2C%27%2B%20%3B&x=",
                "/api/v2/users//presences?",
            ] {
                assert_eq!(endpoint.url(path).as_str(), format!("{endpoint}{path}"));
            }
        }
    }

    #[test]
    fn plain_http_is_allowed_only_for_loopback_or_by_flag() {
        for url in [
            "http://127.0.0.1:1",
            "http://127.9.9.9",
            "http://[::1]:1",
            "http://localhost",
        ] {
            assert!(Endpoint::from_url(url, false).is_ok(), "{url}");
        }
        for url in [
            "http://10.0.0.1",
            "http://example.com",
            "http://localhost.example.com",
        ] {
            let wrong = Endpoint::from_url(url, false).unwrap_err();
            assert!(
                wrong.contains("--allow-insecure-upstream"),
                "{url}: {wrong}"
            );
            assert!(Endpoint::from_url(url, true).is_ok(), "{url}");
        }
    }

    #[test]
    fn a_url_without_a_scheme_is_rejected_with_the_right_one() {
        for (raw, expected) in [
            (
                "api.mypurecloud.de",
                "write `https://api.mypurecloud.de`, or `--region eu-central-1` in its place",
            ),
            ("mypurecloud.com", "`--region us-east-1`"),
            (
                "api.example.com/prefix",
                "write `https://api.example.com/prefix`",
            ),
            (
                "api.example.com:8443",
                "write `https://api.example.com:8443`",
            ),
            ("localhost:8080", "write `http://localhost:8080`"),
            ("127.0.0.1:8080", "write `http://127.0.0.1:8080`"),
            ("https://", "is not a URL such as"),
            ("not a url", "is not a URL such as"),
        ] {
            let wrong = Endpoint::from_url(raw, false).unwrap_err();
            assert!(wrong.contains(expected), "{raw}: {wrong}");
        }
    }

    #[test]
    fn a_url_with_credentials_query_or_fragment_is_rejected() {
        for url in [
            "",
            "api.example.com",
            "ftp://example.com",
            "https://",
            "https://user@example.com",
            "https://u:p@example.com",
            "https://example.com/?a",
            "https://example.com/#a",
        ] {
            assert!(Endpoint::from_url(url, true).is_err(), "{url}");
        }
    }
}
