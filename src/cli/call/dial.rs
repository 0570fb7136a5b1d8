//! Connects to the gateway: the name, TCP, TLS.

use std::io;
use std::time::Duration;

use http::Uri;
use rustls::pki_types::ServerName;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tower::ServiceExt;

use super::channel::Gateway;
use super::deadline::Deadline;
use super::diagnosis;
use super::failure::Failure;
use super::recorded::{Record, Recorded, Stream};
use super::tls::ClientTls;
use crate::tls::dial::tcp;

/// How long a step of the connection may take.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Connects.
pub(super) async fn dial(
    gateway: &Gateway,
    deadline: Deadline,
) -> Result<(Box<dyn Stream>, Record), Failure> {
    let address = gateway.address.authority();
    let connected = async {
        let connected = timeout(CONNECT_TIMEOUT, connect(gateway)).await;
        connected.unwrap_or_else(|_| Err(diagnosis::silent(gateway)))
    };
    let before = format!("there was a connection to {address}");
    let stream = deadline.limit(&before, connected).await?;
    let (stream, record) = Recorded::new(stream);
    let Some(tls) = &gateway.tls else {
        return Ok((Box::new(stream), record));
    };
    let shaken = async {
        let shaken = timeout(CONNECT_TIMEOUT, handshake(gateway, tls, stream, &record)).await;
        shaken.unwrap_or_else(|_| Err(diagnosis::silent_handshake(gateway)))
    };
    let before = format!("{address}, which accepted the connection, answered in the TLS handshake");
    let shaken = deadline.limit(&before, shaken).await;
    shaken.map_err(|failure| diagnosis::late_handshake(gateway, failure))
}

async fn connect(gateway: &Gateway) -> Result<TcpStream, Failure> {
    let address = &gateway.address;
    // Resolved first, so that a wrong name and a wrong port have different errors.
    let resolved = lookup_host((address.host.as_str(), address.port)).await;
    if let Err(error) = resolved {
        return Err(diagnosis::unresolved(gateway, &error));
    }
    let uri: Uri = gateway.uri().map_err(Failure::from)?;
    let connected = tcp().oneshot(uri).await;
    let stream = connected.map_err(|error| diagnosis::unconnected(gateway, &error))?;
    Ok(stream.into_inner())
}

async fn handshake(
    gateway: &Gateway,
    tls: &ClientTls,
    stream: Recorded<TcpStream>,
    record: &Record,
) -> Result<(Box<dyn Stream>, Record), Failure> {
    let name = match &tls.name {
        Some(name) => Ok(name.clone()),
        None => ServerName::try_from(gateway.address.host.clone()).map_err(io::Error::other),
    };
    let connector = TlsConnector::from(tls.config.clone());
    let connected = match name {
        Ok(name) => connector.connect(name, stream).await,
        Err(error) => Err(error),
    };
    let stream =
        connected.map_err(|error| diagnosis::handshake(gateway, tls, &error, &record.first()))?;
    if stream.get_ref().1.alpn_protocol() != Some(b"h2") {
        return Err(diagnosis::without_http2(gateway));
    }
    let (stream, record) = Recorded::new(stream);
    Ok((Box::new(stream), record))
}
