//! The HTTP proxy towards the upstream, and the errors of its tunnels.
//!
//! reqwest opens the tunnels (`CONNECT`, RFC 9110, section 9.3.6), and accepts
//! only the status 200. Its error contains neither the proxy nor another status.
//! To learn the status, the gateway sends a second CONNECT to a proxy that has
//! refused a tunnel.

#![expect(
    clippy::disallowed_types,
    reason = "a part of the one module that calls the upstream"
)]

use std::fmt;
use std::time::Duration;

use http::header::CONNECTION;
use http::{Method, StatusCode};
use reqwest::{Client, Url};

use super::endpoint;
use crate::error::Error;
use crate::error::chain::http_causes;

/// The beginning of the text of hyper-util's errors for a tunnel, whose type
/// is private (0.1.21).
const TUNNEL_ERROR: &str = "tunnel error: ";

/// A proxy. Its URL may hold a password; as text it is its host and port.
#[derive(Clone)]
pub struct Proxy(Url);

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = self.0.host_str().unwrap_or_default();
        let port = self.0.port_or_known_default().unwrap_or_default();
        write!(f, "{host}:{port}")
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Proxy {
    /// Parses the URL of a proxy.
    ///
    /// # Errors
    ///
    /// As the end of a sentence that begins with the URL.
    pub fn parse(raw: &str) -> Result<Self, String> {
        let url = Url::parse(raw).map_err(|error| {
            format!("is not a URL such as `http://proxy.example:3128` ({error})")
        })?;
        let has_no_path =
            matches!(url.path(), "" | "/") && url.query().is_none() && !url.cannot_be_a_base();
        match url.scheme() {
            "http" if has_no_path && url.fragment().is_none() => Ok(Self(url)),
            "http" => Err("must be a host and a port alone".to_owned()),
            _ => Err("must begin with `http://`: tokens are safe in TLS through it".to_owned()),
        }
    }

    /// Whether it is on this machine.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        endpoint::is_loopback(&self.0)
    }

    pub(super) fn url(&self) -> Url {
        self.0.clone()
    }

    /// The error for a request that it refused with this status: `what` is the
    /// request, or a tunnel for it.
    pub(super) fn refusal(&self, what: &str, status: StatusCode) -> Error {
        let why = format!("the proxy {self} refused the {what} with {status}");
        // A retry would lack the same password or right. Other statuses concern
        // the upstream, or pass with time.
        let passes = matches!(status.as_u16(), 408 | 425 | 429);
        if status.is_redirection() || status.is_client_error() && !passes {
            Error::ProxyRefused(why)
        } else {
            Error::Unreachable(why)
        }
    }

    /// Returns the reason of a connection that failed with these causes because this
    /// proxy opened no tunnel to `target`, a host and a port. The proxy has `timeout`
    /// to say why.
    pub(super) async fn diagnose(
        &self,
        causes: &str,
        client: &Client,
        target: &str,
        timeout: Duration,
    ) -> Option<Error> {
        match causes.split_once(TUNNEL_ERROR)?.1 {
            "proxy authorization required" => {
                let status = StatusCode::PROXY_AUTHENTICATION_REQUIRED;
                return Some(self.refusal("tunnel", status));
            }
            "unsuccessful" => {}
            why => {
                let why = format!("the proxy {self} opened no tunnel: {why}");
                return Some(Error::Unreachable(why));
            }
        }
        // For plain http, reqwest sends any method to the proxy as a request.
        let connect = client
            .request(Method::CONNECT, format!("http://{target}"))
            .header(CONNECTION, "close")
            .timeout(timeout);
        Some(
            match connect.send().await.map(|response| response.status()) {
                Ok(StatusCode::OK) => Error::Unreachable(format!(
                    "the proxy {self} answered CONNECT with 200 OK only after a refusal or an \
                     interim response (1xx), which opens no tunnel"
                )),
                Ok(status) if status.is_success() => Error::Unreachable(format!(
                    "the proxy {self} answered CONNECT with {status}, \
                 which opens no tunnel unless it is 200 OK"
                )),
                Ok(status) => self.refusal("tunnel", status),
                Err(error) => {
                    let why = http_causes(error);
                    Error::Unreachable(format!("the proxy {self} did not answer CONNECT: {why}"))
                }
            },
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_final_unless_a_retry_can_succeed() {
        let proxy = Proxy::parse("http://user:secret@proxy.example").unwrap();
        assert_eq!(
            format!("{proxy} {proxy:?}"),
            "proxy.example:80 proxy.example:80"
        );
        for (code, is_final) in [
            (302, true),
            (400, true),
            (403, true),
            (407, true),
            (408, false),
            (429, false),
            (500, false),
            (502, false),
            (504, false),
        ] {
            let status = StatusCode::from_u16(code).unwrap();
            let refusal = proxy.refusal("tunnel", status);
            let is_proxy_refused = matches!(refusal, Error::ProxyRefused(_));
            assert_eq!(is_proxy_refused, is_final, "{refusal:?}");
        }
    }
}
