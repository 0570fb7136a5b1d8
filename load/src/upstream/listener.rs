//! The listeners of the simulated vendor: one for plain connections, one for TLS.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::sleep;
use tokio_rustls::TlsAcceptor;

use super::connections::Protocol;
use super::{Vendor, serve};

/// The backlog of a listener: a gateway that starts opens a connection per
/// call at once.
const BACKLOG: u32 = 4096;

/// The streams of an HTTP/2 connection at once, as AWS's load balancers have it.
const MAX_STREAMS: u32 = 128;

/// The windows of HTTP/2: an upload never waits for one.
const STREAM_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 1 << 24;

/// Listens on this address, and returns the bound one with it.
pub(super) fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr), String> {
    let bound = || -> io::Result<_> {
        let socket = TcpSocket::new_v4()?;
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        let listener = socket.listen(BACKLOG)?;
        let bound = listener.local_addr()?;
        Ok((listener, bound))
    };
    bound().map_err(|error| format!("{address}: {error}"))
}

/// Serves plain connections.
pub(super) async fn plain(listener: TcpListener, vendor: Arc<Vendor>) {
    loop {
        let stream = accept(&listener).await;
        tokio::spawn(http1(stream, Protocol::Plain, Arc::clone(&vendor)));
    }
}

/// Serves TLS connections, each by the protocol that it negotiates.
pub(super) async fn tls(listener: TcpListener, acceptor: TlsAcceptor, vendor: Arc<Vendor>) {
    loop {
        let handshake = acceptor.accept(accept(&listener).await);
        let vendor = Arc::clone(&vendor);
        tokio::spawn(async move {
            let stream = match handshake.await {
                Ok(stream) => stream,
                Err(error) => return eprintln!("load: TLS handshake: {error}"),
            };
            let protocol = Protocol::negotiated(stream.get_ref().1.alpn_protocol());
            if protocol == Protocol::Http2 {
                http2(stream, vendor).await;
            } else {
                http1(stream, protocol, vendor).await;
            }
        });
    }
}

async fn accept(listener: &TcpListener) -> TcpStream {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let _ = stream.set_nodelay(true);
                return stream;
            }
            Err(error) => {
                eprintln!("load: cannot accept: {error}");
                sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

async fn http1<S>(stream: S, protocol: Protocol, vendor: Arc<Vendor>)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let _open = vendor.connections.open(protocol);
    let service = service_fn(|request| serve(Arc::clone(&vendor), request));
    let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    // A connection error is an injected fault.
    drop(connection.await);
}

async fn http2<S>(stream: S, vendor: Arc<Vendor>)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let _open = vendor.connections.open(Protocol::Http2);
    let service = service_fn(|request| serve(Arc::clone(&vendor), request));
    let connection = http2::Builder::new(TokioExecutor::new())
        .max_concurrent_streams(MAX_STREAMS)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .serve_connection(TokioIo::new(stream), service);
    drop(connection.await);
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::Request;
    use http_body_util::{BodyExt, Empty};
    use hyper::client::conn;
    use presence_gateway::tls::{client, pem, roots};
    use tokio_rustls::TlsConnector;
    use tokio_rustls::client::TlsStream;

    use super::*;
    use crate::precise_timer::PreciseTimer;
    use crate::scenario::ANYWHERE;
    use crate::upstream::connections::{Accepted, Alpn, Connections};
    use crate::upstream::fault::Faults;
    use crate::upstream::report::Counts;
    use crate::upstream::tls as settings;

    #[tokio::test]
    async fn a_tls_connection_is_served_by_the_protocol_that_it_negotiates() {
        let (served, vendor) = Served::start("negotiated", &[Alpn::Http2, Alpn::Http1]);
        let stream = served.connect(b"h2").await;
        let shaken = conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await;
        let (mut sender, connection) = shaken.expect("HTTP/2");
        tokio::spawn(connection);
        let over_http2 = sender.send_request(read()).await.expect("an answer");

        let stream = served.connect(b"http/1.1").await;
        let shaken = conn::http1::handshake(TokioIo::new(stream)).await;
        let (mut sender, connection) = shaken.expect("HTTP/1.1");
        tokio::spawn(connection);
        let over_http1 = sender.send_request(read()).await.expect("an answer");

        let mut bodies = Vec::new();
        for answer in [over_http2, over_http1] {
            assert_eq!(answer.status(), 200);
            bodies.push(
                answer
                    .into_body()
                    .collect()
                    .await
                    .expect("a body")
                    .to_bytes(),
            );
        }
        assert_eq!(bodies[0], bodies[1]);
        let one = |protocol| Accepted {
            protocol,
            accepted: 1,
            peak: 1,
        };
        assert_eq!(
            vendor.connections.report(),
            [one(Protocol::Http1), one(Protocol::Http2)]
        );
    }

    #[tokio::test]
    async fn a_protocol_that_is_not_offered_is_not_negotiated() {
        let (served, _) = Served::start("not-offered", &[Alpn::Http1]);
        let connected = served.try_connect(b"h2").await;
        let error = connected.expect_err("no protocol in common").to_string();
        assert!(error.contains("NoApplicationProtocol"), "{error}");
    }

    /// A read of one user's presence.
    fn read() -> Request<Empty<Bytes>> {
        let path = "/api/v2/users/5f129ee4-eef7-4ab9-9596-e1494a55b66f/presences/purecloud";
        Request::get(format!("https://127.0.0.1/test{path}"))
            .header("authorization", "Bearer token")
            .body(Empty::new())
            .expect("a request")
    }

    /// A vendor that serves TLS.
    struct Served {
        address: SocketAddr,
        authority: Vec<u8>,
    }

    impl Served {
        fn start(name: &str, alpn: &[Alpn]) -> (Self, Arc<Vendor>) {
            let file = format!("presence-gateway-load-{name}-{}.pem", std::process::id());
            let ca = std::env::temp_dir().join(file);
            let acceptor = settings::acceptor(&ca, alpn).expect("a certificate");
            let authority = std::fs::read(&ca).expect("the authority");
            std::fs::remove_file(&ca).expect("the file of the authority");
            let vendor = Arc::new(Vendor {
                timer: PreciseTimer::start().expect("a timer"),
                latency: Duration::ZERO,
                faults: Faults::default(),
                counts: Counts::default(),
                connections: Connections::default(),
            });
            let (listener, address) = listen(ANYWHERE).expect("an address");
            tokio::spawn(tls(listener, acceptor, Arc::clone(&vendor)));
            (Self { address, authority }, vendor)
        }

        async fn connect(&self, alpn: &[u8]) -> TlsStream<TcpStream> {
            self.try_connect(alpn).await.expect("TLS")
        }

        async fn try_connect(&self, alpn: &[u8]) -> io::Result<TlsStream<TcpStream>> {
            let authorities = pem::certificates(&self.authority).expect("a certificate");
            let authorities = roots(authorities).expect("an authority");
            let config = client(Some(authorities), None, alpn).expect("settings");
            let stream = TcpStream::connect(self.address).await?;
            let name = self.address.ip().into();
            TlsConnector::from(Arc::new(config))
                .connect(name, stream)
                .await
        }
    }
}
