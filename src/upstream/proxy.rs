//! The proxy that requests go through, and what it refuses.
//!
//! reqwest opens the tunnels (`CONNECT`, RFC 9110, section 9.3.6), and takes 200
//! alone for a success. Its error tells neither the proxy nor the status of
//! another answer, so a proxy that refuses a tunnel is asked a second time, for
//! its status alone.

use std::error::Error as _;
use std::fmt;
use std::pin::pin;

use bytes::Bytes;
use futures_util::future::{Either, select};
use http::{HeaderValue, Request, StatusCode, Uri, header};
use http_body_util::Empty;
use hyper::client::conn::http1;
use hyper_util::client::proxy::matcher::Matcher;
use hyper_util::rt::TokioIo;
use reqwest::Url;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::client::USER_AGENT;
use super::connect::TUNNEL_TIMEOUT;
use crate::error::Error;
use crate::error::chain::causes;

/// The beginning of the text of hyper-util's errors for a tunnel, whose type
/// is private (0.1.21).
const TUNNEL_ERROR: &str = "tunnel error: ";

/// A proxy.
#[derive(Clone)]
pub(super) struct Proxy {
    /// The host and the port.
    pub host_port: String,
    authorization: Option<HeaderValue>,
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Proxy").field(&self.host_port).finish()
    }
}

impl Proxy {
    /// The proxy at a URL, which may hold a user and a password.
    pub(super) fn new(url: &Url) -> Self {
        let matcher = Matcher::builder().all(url.as_str()).build();
        let proxy = matcher.intercept(&Uri::from_static("http://upstream"));
        let host = url.host_str().unwrap_or_default();
        let port = url.port_or_known_default().unwrap_or_default();
        Self {
            host_port: format!("{host}:{port}"),
            authorization: proxy.and_then(|proxy| proxy.basic_auth().cloned()),
        }
    }

    /// The error for a request that it refused with this status: `what` is the
    /// request, or a tunnel for it.
    pub(super) fn refusal(&self, what: &str, status: StatusCode) -> Error {
        let proxy = &self.host_port;
        let why = format!("the proxy {proxy} refused the {what} with {status}");
        // Another time, it would lack the same password or right. Other
        // statuses are about the upstream, or about time.
        let passes = matches!(status.as_u16(), 408 | 425 | 429);
        if status.is_redirection() || status.is_client_error() && !passes {
            Error::ProxyRefused(why)
        } else {
            Error::Unreachable(why)
        }
    }

    /// Returns the reason of a connection that failed because this proxy
    /// opened no tunnel to `target`, a host and a port.
    pub(super) async fn diagnose(&self, error: &reqwest::Error, target: &str) -> Option<Error> {
        let proxy = &self.host_port;
        match tunnel_error(error)?.as_str() {
            "proxy authorization required" => {
                let status = StatusCode::PROXY_AUTHENTICATION_REQUIRED;
                return Some(self.refusal("tunnel", status));
            }
            "unexpected end of file" => {
                let why = format!("the proxy {proxy} {CLOSED}");
                return Some(Error::Unreachable(why));
            }
            "unsuccessful" => {}
            why => {
                let why = format!("the proxy {proxy} opened no tunnel: {why}");
                return Some(Error::Unreachable(why));
            }
        }
        let asked = async {
            let stream = TcpStream::connect(proxy).await;
            let stream = stream.map_err(|error| format!("accepts no connection: {error}"))?;
            connect(stream, target, self.authorization.as_ref()).await
        };
        Some(match timeout(TUNNEL_TIMEOUT, asked).await {
            Ok(Ok(status)) if status.is_success() => {
                let why = "which opens no tunnel unless it is 200 OK";
                Error::Unreachable(format!(
                    "the proxy {proxy} answered CONNECT with {status}, {why}"
                ))
            }
            Ok(Ok(status)) => self.refusal("tunnel", status),
            Ok(Err(why)) => Error::Unreachable(format!("the proxy {proxy} {why}")),
            Err(_) => {
                let why = format!("did not answer CONNECT within {TUNNEL_TIMEOUT:?}");
                Error::Unreachable(format!("the proxy {proxy} {why}"))
            }
        })
    }
}

/// Returns what hyper-util says of a tunnel that was not opened.
fn tunnel_error(error: &reqwest::Error) -> Option<String> {
    let mut cause = error.source();
    while let Some(error) = cause {
        // The connection to the proxy failed, and its own text says why.
        let is_below = error.source().is_some();
        let text = error.to_string();
        if let Some(why) = text.strip_prefix(TUNNEL_ERROR).filter(|_| !is_below) {
            return Some(why.to_owned());
        }
        cause = error.source();
    }
    None
}

/// What a proxy did that ends the connection in its answer.
const CLOSED: &str = "closed the connection before its answer to CONNECT was whole";

/// Asks for a tunnel on a connection, and returns the status of the answer.
async fn connect<S>(
    stream: S,
    target: &str,
    authorization: Option<&HeaderValue>,
) -> Result<StatusCode, String>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let request = Request::connect(target)
        .header(header::HOST, target)
        .header(header::USER_AGENT, USER_AGENT);
    let request = match authorization {
        Some(value) => request.header(header::PROXY_AUTHORIZATION, value),
        None => request,
    };
    let request = request.body(Empty::<Bytes>::new());
    let request = request.map_err(|error| error.to_string())?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(broken)?;
    let answer = pin!(sender.send_request(request));
    let answer = match select(answer, pin!(connection)).await {
        Either::Left((answer, _)) => answer,
        // The connection ended, and has handed its last answer over.
        Either::Right((_, answer)) => answer.await,
    };
    Ok(answer.map_err(broken)?.status())
}

#[expect(clippy::needless_pass_by_value, reason = "it is what `map_err` gives")]
fn broken(error: hyper::Error) -> String {
    if error.is_parse_too_large() {
        "answered CONNECT with too large a head".to_owned()
    } else if error.is_parse() {
        "answered CONNECT with no HTTP/1.1".to_owned()
    } else if error.is_incomplete_message() {
        CLOSED.to_owned()
    } else {
        causes(format!("broke the connection: {error}"), &error)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    #[tokio::test]
    async fn a_head_without_an_end_is_not_read_without_an_end() {
        const LARGE: usize = 1024 * 1024;
        let (near, mut far) = duplex(2 * LARGE);
        let proxy = async {
            far.read_buf(&mut Vec::new()).await.unwrap();
            let head = format!("HTTP/1.1 200 OK\r\nx: {}", "x".repeat(LARGE));
            far.write_all(head.as_bytes()).await.unwrap();
        };
        let (refused, ()) = tokio::join!(connect(near, "upstream.example:443", None), proxy);
        let why = "answered CONNECT with too large a head";
        assert_eq!(refused, Err(why.to_owned()));
    }

    #[test]
    fn a_refusal_is_final_where_it_is_for_lack_of_a_right() {
        let url = Url::parse("http://user:secret@proxy.example").unwrap();
        let proxy = Proxy::new(&url);
        assert_eq!(proxy.host_port, "proxy.example:80");
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
            let is = matches!(refusal, Error::ProxyRefused(_));
            assert_eq!(is, is_final, "{refusal:?}");
        }
    }
}
