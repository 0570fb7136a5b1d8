//! Where the upstream is.

use std::fmt;
use std::net::IpAddr;

use http::Uri;
use http::uri::InvalidUri;
use reqwest::Url;

/// The URL before an operation's path: scheme, host, port, and a path prefix
/// if need be, without a slash at its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint(String);

/// The vendor's regions and their API hosts, from the region tables of its SDKs.
pub const REGIONS: [(&str, &str); 18] = [
    ("us-east-1", "api.mypurecloud.com"),
    ("us-east-2", "api.use2.us-gov-pure.cloud"),
    ("us-west-2", "api.usw2.pure.cloud"),
    ("ca-central-1", "api.cac1.pure.cloud"),
    ("mx-central-1", "api.mxc1.pure.cloud"),
    ("sa-east-1", "api.sae1.pure.cloud"),
    ("eu-west-1", "api.mypurecloud.ie"),
    ("eu-west-2", "api.euw2.pure.cloud"),
    ("eu-central-1", "api.mypurecloud.de"),
    ("eu-central-2", "api.euc2.pure.cloud"),
    ("eusc-de-east-1", "api.edee1.eusc-pure.cloud"),
    ("me-central-1", "api.mec1.pure.cloud"),
    ("ap-south-1", "api.aps1.pure.cloud"),
    ("ap-southeast-1", "api.apse1.pure.cloud"),
    ("ap-southeast-2", "api.mypurecloud.com.au"),
    ("ap-northeast-1", "api.mypurecloud.jp"),
    ("ap-northeast-2", "api.apne2.pure.cloud"),
    ("ap-northeast-3", "api.apne3.pure.cloud"),
];

impl Endpoint {
    /// The API of one of the vendor's regions.
    ///
    /// # Errors
    ///
    /// Says which regions there are.
    pub fn of_region(name: &str) -> Result<Self, String> {
        let region = REGIONS.iter().find(|(region, _)| *region == name);
        region
            .map(|(_, host)| Self(format!("https://{host}")))
            .ok_or_else(|| {
                let names: Vec<&str> = REGIONS.iter().map(|(region, _)| *region).collect();
                format!("is no region; there are {}", names.join(", "))
            })
    }

    /// The API at a URL. Unless `allow_insecure`, plain http is for loopback
    /// alone: a token must not cross a network in the clear.
    ///
    /// # Errors
    ///
    /// Says what is wrong with the URL.
    pub fn of_url(url: &str, allow_insecure: bool) -> Result<Self, String> {
        let parsed = Url::parse(url).map_err(|error| {
            format!("is not a URL such as `https://api.example.com/prefix` ({error})")
        })?;
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
        Ok(Self(parsed.as_str().trim_end_matches('/').to_owned()))
    }

    /// Whether TLS is spoken there.
    #[must_use]
    pub fn is_secure(&self) -> bool {
        self.0.starts_with("https:")
    }

    /// The host and the port.
    #[must_use]
    pub fn place(&self) -> (String, u16) {
        let url = Url::parse(&self.0).ok();
        let host = url.as_ref().and_then(|url| url.host_str());
        let port = url.as_ref().and_then(Url::port_or_known_default);
        (
            host.unwrap_or_default().to_owned(),
            port.unwrap_or_default(),
        )
    }

    /// The URL of a path and query that begin with a slash.
    ///
    /// # Errors
    ///
    /// If it is longer than a URL can be.
    pub fn url(&self, path_and_query: &str) -> Result<Uri, InvalidUri> {
        format!("{}{path_and_query}", self.0).try_into()
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
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
    fn a_region_has_its_host() {
        assert_eq!(
            Endpoint::of_region("eu-central-1").unwrap().to_string(),
            "https://api.mypurecloud.de"
        );
        let wrong = Endpoint::of_region("eu_central_1").unwrap_err();
        assert!(wrong.contains("eu-central-1"), "{wrong}");
    }

    #[test]
    fn a_path_prefix_stands_before_the_path() {
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
                Endpoint::of_url(url, false)
                    .unwrap()
                    .url("/api/v2/x?a=b")
                    .unwrap(),
                expected
            );
        }
    }

    #[test]
    fn plain_http_is_for_loopback_unless_it_is_allowed() {
        for url in [
            "http://127.0.0.1:1",
            "http://127.9.9.9",
            "http://[::1]:1",
            "http://localhost",
        ] {
            assert!(Endpoint::of_url(url, false).is_ok(), "{url}");
        }
        for url in [
            "http://10.0.0.1",
            "http://example.com",
            "http://localhost.example.com",
        ] {
            let wrong = Endpoint::of_url(url, false).unwrap_err();
            assert!(
                wrong.contains("--allow-insecure-upstream"),
                "{url}: {wrong}"
            );
            assert!(Endpoint::of_url(url, true).is_ok(), "{url}");
        }
    }

    #[test]
    fn a_url_that_is_more_than_a_place_is_refused() {
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
            assert!(Endpoint::of_url(url, true).is_err(), "{url}");
        }
    }
}
