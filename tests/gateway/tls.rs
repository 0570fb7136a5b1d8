//! TLS: with callers, with the vendor, and in the client `call`.

mod flags;
mod proxies;
mod records;
mod regions;
mod reload;
mod resumption;
mod served;
mod throttled;
pub mod upstream;

use std::sync::Arc;

use hyper_util::rt::TokioIo;
use presence_gateway::tls as gateway_tls;
use presence_gateway::tls::pem::{self, Identity};
use rustls::ClientConfig;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tonic::transport::{Channel, Endpoint};

use crate::support::certificates::{Authority, IssuedCertificate};

/// Returns a client that trusts `authority`, and presents a certificate if it has
/// one.
fn client_config(authority: &Authority, certificate: Option<&IssuedCertificate>) -> ClientConfig {
    let trusted = pem::certificates(authority.pem.as_bytes());
    let trusted = trusted.and_then(gateway_tls::roots).unwrap();
    let identity = certificate.map(|issued| {
        let chain = pem::certificates(issued.cert.as_bytes()).unwrap();
        Identity::new(chain, pem::key(issued.key.as_bytes()).unwrap()).unwrap()
    });
    gateway_tls::client(Some(trusted), identity, b"h2").unwrap()
}

/// Makes the handshake, and waits until the server has accepted it: in TLS 1.3,
/// the client ends its part before the server has verified it.
async fn handshake(address: &str, config: ClientConfig) -> std::io::Result<TlsStream<TcpStream>> {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let stream = TcpStream::connect(address).await?;
    let connector = TlsConnector::from(Arc::new(config));
    let name = "localhost".try_into().unwrap();
    let mut stream = connector.connect(name, stream).await?;
    stream.write_all(crate::support::raw_http::PREFACE).await?;
    stream.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).await?;
    // Reads the server's settings.
    stream.read_exact(&mut [0; 9]).await?;
    Ok(stream)
}

/// Connects a channel for calls.
async fn channel(address: &str, config: &ClientConfig) -> Result<Channel, tonic::transport::Error> {
    let connector = TlsConnector::from(Arc::new(config.clone()));
    let address = address.to_owned();
    let endpoint = Endpoint::from_shared(format!("https://{address}")).unwrap();
    let connect = tower::service_fn(move |_| {
        let (connector, address) = (connector.clone(), address.clone());
        async move {
            let stream = TcpStream::connect(address).await?;
            let name = "localhost".try_into().unwrap();
            connector.connect(name, stream).await.map(TokioIo::new)
        }
    });
    endpoint.connect_with_connector(connect).await
}
