//! Opens a WebSocket: through the proxy if there is one, with the TLS of the requests.

use http::{HeaderValue, header};
use rustls::pki_types::ServerName;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_tungstenite::client_async_with_config;
use tokio_tungstenite::tungstenite::Error as SocketError;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use super::{Socket, SocketAddress, Transport, config, end};
use crate::upstream::client::{CONNECT_TIMEOUT, RotatingClient};
use crate::upstream::dial::dial;
use crate::user_agent::USER_AGENT;

/// Why a socket cannot be opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ConnectError {
    /// The reason, as a sentence.
    pub why: String,
    /// What it is about.
    pub kind: ConnectErrorKind,
}

/// What the failure to open a socket is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ConnectErrorKind {
    /// The connection: another attempt may succeed.
    Connection,
    /// The address, which the vendor rejects: another channel may help.
    Rejected,
    /// The address, which the gateway does not use.
    NotAllowed,
}

impl From<String> for ConnectError {
    fn from(why: String) -> Self {
        Self {
            why,
            kind: ConnectErrorKind::Connection,
        }
    }
}

impl Socket {
    /// Opens a socket.
    pub(in crate::upstream) async fn open(
        address: &SocketAddress,
        clients: &RotatingClient,
    ) -> Result<Self, ConnectError> {
        let opened = timeout(CONNECT_TIMEOUT, open(address, clients)).await;
        let late = || ConnectError::from(format!("not open within {CONNECT_TIMEOUT:?}"));
        opened
            .unwrap_or_else(|_| Err(late()))
            .map_err(|error| ConnectError {
                why: format!("the vendor's WebSocket at {address}: {}", error.why),
                ..error
            })
    }
}

async fn open(address: &SocketAddress, clients: &RotatingClient) -> Result<Socket, ConnectError> {
    let destination = address.destination()?;
    let stream = dial(clients.proxy(), destination).await?;
    let stream: Box<dyn Transport> = if address.is_secure() {
        let name = ServerName::try_from(address.name().to_owned());
        let name = name.map_err(|error| error.to_string())?;
        let tls = TlsConnector::from(clients.tls()).connect(name, stream);
        Box::new(tls.await.map_err(|error| format!("TLS: {error}"))?)
    } else {
        Box::new(stream)
    };
    let request = address.uri().into_client_request();
    let mut request = request.map_err(|_| "its address is malformed".to_owned())?;
    let agent = HeaderValue::from_static(USER_AGENT);
    request.headers_mut().insert(header::USER_AGENT, agent);
    match client_async_with_config(request, stream, Some(config())).await {
        Ok((socket, _)) => Ok(Socket(socket)),
        Err(SocketError::Http(response)) => Err(ConnectError {
            why: format!("it answered {} in place of an upgrade", response.status()),
            kind: if response.status().is_client_error() {
                ConnectErrorKind::Rejected
            } else {
                ConnectErrorKind::Connection
            },
        }),
        Err(error) => Err(end(&error).into()),
    }
}
