//! A stub server in place of the vendor; each test defines its responses.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::response::Response;
use http::{HeaderMap, Method, Request, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use percent_encoding::percent_decode_str;
use serde_json::Value;
use tokio::net::TcpListener;

/// A request that the vendor received.
#[derive(Debug, Clone)]
pub struct ReceivedRequest {
    pub method: Method,
    /// The target of the request line, undecoded.
    pub path_and_query: String,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl ReceivedRequest {
    pub fn path(&self) -> &str {
        self.path_and_query.split('?').next().unwrap()
    }

    /// The parameters of the query, decoded.
    pub fn query(&self) -> Vec<(String, String)> {
        let decode = |text: &str| percent_decode_str(text).decode_utf8().unwrap().into_owned();
        let query = self
            .path_and_query
            .split_once('?')
            .map_or("", |(_, query)| query);
        query
            .split('&')
            .filter(|pair| !pair.is_empty())
            .map(|pair| pair.split_once('=').unwrap())
            .map(|(name, value)| (decode(name), decode(value)))
            .collect()
    }

    /// The ids of a bulk read.
    pub fn ids(&self) -> Vec<String> {
        let ids = self.query().into_iter().find(|(name, _)| name == "id");
        ids.map(|(_, ids)| ids.split(',').map(str::to_owned).collect())
            .unwrap_or_default()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    pub fn token(&self) -> &str {
        self.headers["authorization"].to_str().unwrap()
    }
}

type ResponseFuture = Pin<Box<dyn Future<Output = Response> + Send>>;
type Respond = Arc<dyn Fn(ReceivedRequest) -> ResponseFuture + Send + Sync>;

/// A stub server that records its requests. A clone is the same server.
#[derive(Clone)]
pub struct Vendor {
    pub address: SocketAddr,
    received: Arc<Mutex<Vec<ReceivedRequest>>>,
}

impl Vendor {
    /// Starts a vendor that responds to each request with `respond`.
    pub async fn start<F, A>(respond: F) -> Self
    where
        F: Fn(ReceivedRequest) -> A + Send + Sync + 'static,
        A: Future<Output = Response> + Send + 'static,
    {
        Self::serve(Arc::new(move |received| Box::pin(respond(received)))).await
    }

    /// Not generic, because the build takes longer with each instance.
    async fn serve(respond: Respond) -> Self {
        let received = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&received);
        let service = service_fn(move |request: Request<Incoming>| {
            let (log, respond) = (Arc::clone(&log), Arc::clone(&respond));
            async move {
                let (parts, body) = request.into_parts();
                let body = to_bytes(Body::new(body), usize::MAX).await;
                let received = ReceivedRequest {
                    method: parts.method,
                    path_and_query: parts.uri.path_and_query().unwrap().to_string(),
                    headers: parts.headers,
                    body: body.map_err(|_| Disconnect)?.to_vec(),
                };
                log.lock().push(received.clone());
                let response = respond(received).await;
                match response.extensions().get::<Disconnect>() {
                    // An error of the service closes the connection.
                    Some(&disconnect) => Err(disconnect),
                    None => Ok(response),
                }
            }
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let stream = TokioIo::new(stream);
                let connection = http1::Builder::new().serve_connection(stream, service.clone());
                tokio::spawn(connection);
            }
        });
        Self { address, received }
    }

    /// Starts a vendor that responds to each request with this status and body.
    pub async fn with_response(status: u16, body: impl Into<String>) -> Self {
        let body = body.into();
        Self::start(move |_| {
            let body = body.clone();
            async move { reply(status, body) }
        })
        .await
    }

    /// The requests so far, in the order of arrival.
    pub fn received(&self) -> Vec<ReceivedRequest> {
        self.received.lock().clone()
    }

    /// Drops the requests recorded so far.
    pub fn clear(&self) {
        self.received.lock().clear();
    }

    /// The only request; panics if there is none or another one.
    pub fn single_request(&self) -> ReceivedRequest {
        let mut received = self.received();
        assert_eq!(received.len(), 1, "expected one request, got {received:#?}");
        received.remove(0)
    }
}

/// Marks a response for which the connection is closed instead.
#[derive(Debug, Clone, Copy)]
struct Disconnect;

impl std::fmt::Display for Disconnect {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("disconnected by the test")
    }
}

impl std::error::Error for Disconnect {}

/// Returns a response that closes the connection instead.
pub fn disconnect() -> Response {
    let mut response = Response::default();
    response.extensions_mut().insert(Disconnect);
    response
}

pub const CORRELATION_ID: &str = "11111111-2222-3333-4444-555555555555";

/// Returns a JSON response of the vendor.
pub fn reply(status: u16, body: impl Into<Body>) -> Response {
    Response::builder()
        .status(StatusCode::from_u16(status).unwrap())
        .header("content-type", "application/json")
        .header("ININ-Correlation-Id", CORRELATION_ID)
        .body(body.into())
        .unwrap()
}
