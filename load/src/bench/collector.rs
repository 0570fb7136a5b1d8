//! An OTLP collector that discards what it receives.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use crate::scenario::ANYWHERE;

/// A collector for OTLP over HTTP, in this process.
#[derive(Debug)]
pub(super) struct Collector {
    /// The address it listens on.
    pub address: SocketAddr,
    received: Arc<AtomicUsize>,
}

impl Collector {
    /// Starts one.
    pub(super) async fn start() -> Result<Self, String> {
        let listener = TcpListener::bind(ANYWHERE).await;
        let listener = listener.map_err(|error| error.to_string())?;
        let address = listener.local_addr().map_err(|error| error.to_string())?;
        let received = Arc::new(AtomicUsize::new(0));
        tokio::spawn(serve(listener, Arc::clone(&received)));
        Ok(Self { address, received })
    }

    /// The number of received messages.
    pub(super) fn received(&self) -> usize {
        self.received.load(Relaxed)
    }
}

async fn serve(listener: TcpListener, received: Arc<AtomicUsize>) {
    while let Ok((stream, _)) = listener.accept().await {
        let received = Arc::clone(&received);
        let take = move |request: Request<Incoming>| {
            let received = Arc::clone(&received);
            async move {
                if request.into_body().collect().await.is_ok() {
                    received.fetch_add(1, Relaxed);
                }
                Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
            }
        };
        let connection =
            http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(take));
        tokio::spawn(async { drop(connection.await) });
    }
}
