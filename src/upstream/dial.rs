//! Opens the TCP connections that reqwest does not open: for a WebSocket, and to
//! negotiate the HTTP version.

use std::error::Error as StdError;

use data_encoding::BASE64;
use http::{HeaderMap, HeaderValue, Uri, header};
use hyper_util::client::legacy::connect::proxy::Tunnel;
use percent_encoding::percent_decode_str;
use tokio::net::TcpStream;
use tower::ServiceExt;

use super::proxy::Proxy;
use crate::error::chain::causes;
use crate::tls::dial::tcp;
use crate::user_agent::USER_AGENT;

/// Connects to the host and port of `destination`, through the proxy if there is one.
///
/// # Errors
///
/// If there is no connection; the error names the proxy.
pub(super) async fn dial(proxy: Option<&Proxy>, destination: Uri) -> Result<TcpStream, String> {
    match proxy {
        None => direct(destination).await,
        Some(proxy) => tunnel(proxy, destination).await,
    }
}

async fn direct(destination: Uri) -> Result<TcpStream, String> {
    let dialed = tcp().oneshot(destination).await;
    let dialed = dialed.map_err(|error| failed(&error))?;
    Ok(dialed.into_inner())
}

/// Opens a tunnel through the proxy, also for a WebSocket without TLS: few
/// proxies forward an upgrade.
async fn tunnel(proxy: &Proxy, destination: Uri) -> Result<TcpStream, String> {
    let url = proxy.url();
    let uri: Uri = format!("http://{proxy}")
        .parse()
        .map_err(|_| "the proxy is malformed")?;
    let agent = (header::USER_AGENT, HeaderValue::from_static(USER_AGENT));
    let mut connector = Tunnel::new(uri, tcp()).with_headers(HeaderMap::from_iter([agent]));
    if !url.username().is_empty() || url.password().is_some() {
        let decoded = |text: &str| percent_decode_str(text).collect::<Vec<u8>>();
        let (user, password) = (url.username(), url.password().unwrap_or_default());
        let credentials = [decoded(user), decoded(password)].join(&b':');
        let credentials = format!("Basic {}", BASE64.encode(&credentials));
        let mut value = HeaderValue::from_str(&credentials)
            .map_err(|_| "the password of the proxy is malformed")?;
        value.set_sensitive(true);
        connector = connector.with_auth(value);
    }
    let opened = connector.oneshot(destination).await;
    let opened = opened.map_err(|error| format!("the proxy {proxy}: {}", failed(&error)))?;
    Ok(opened.into_inner())
}

fn failed(error: &dyn StdError) -> String {
    causes(error.to_string(), error)
}
