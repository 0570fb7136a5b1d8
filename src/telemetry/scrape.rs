//! The metrics as a page for Prometheus, on a port of its own.

use std::collections::VecDeque;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::{HeaderValue, StatusCode, header};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use opentelemetry_prometheus::PrometheusExporter;
use prometheus::{Encoder, Registry, TextEncoder};
use tokio::net::TcpListener;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{sleep, timeout};

/// How many may ask at once: some Prometheus servers, and a person. One more
/// evicts the oldest: whoever asks has its answer within moments, so that the
/// oldest has most likely asked nothing.
const MAX_CONNECTIONS: usize = 16;

/// How long a connection lasts at most: one question and its answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long to wait after a connection could not be accepted.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// The page of metrics. A clone is the same page.
#[derive(Debug, Clone)]
pub struct MetricsServer(Registry);

impl MetricsServer {
    /// A page, and what fills it.
    pub(super) fn new() -> Result<(Self, PrometheusExporter), String> {
        let registry = Registry::new();
        let exporter = opentelemetry_prometheus::exporter()
            .with_registry(registry.clone())
            // The same for all of them: a label that tells nothing.
            .scope_info_enabled(false)
            .build()
            .map_err(|error| error.to_string())?;
        Ok((Self(registry), exporter))
    }

    /// Serves the page, for as long as it is polled.
    pub async fn serve(self, listener: TcpListener) {
        let router = Router::new()
            .route("/metrics", get(page))
            .fallback(elsewhere)
            .with_state(self);
        let mut connections = JoinSet::new();
        // In the order in which they came.
        let mut open = VecDeque::new();
        loop {
            let accepted = tokio::select! {
                Some(_) = connections.join_next() => continue,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, _)) => {
                    open.retain(|connection: &AbortHandle| !connection.is_finished());
                    if open.len() >= MAX_CONNECTIONS
                        && let Some(oldest) = open.pop_front()
                    {
                        oldest.abort();
                    }
                    let service = TowerToHyperService::new(router.clone());
                    let connection = http1::Builder::new()
                        .timer(TokioTimer::new())
                        .keep_alive(false)
                        .serve_connection(TokioIo::new(stream), service);
                    let bounded = async { drop(timeout(PATIENCE, connection).await) };
                    open.push_back(connections.spawn(bounded));
                }
                Err(_) => sleep(ACCEPT_PAUSE).await,
            }
        }
    }
}

async fn page(State(MetricsServer(registry)): State<MetricsServer>) -> Response {
    let encoder = TextEncoder::new();
    let mut text = Vec::new();
    let encoded = encoder.encode(&registry.gather(), &mut text);
    let content_type = HeaderValue::from_str(encoder.format_type());
    match (encoded, content_type) {
        (Ok(()), Ok(content_type)) => {
            ([(header::CONTENT_TYPE, content_type)], text).into_response()
        }
        _ => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

async fn elsewhere() -> impl IntoResponse {
    (StatusCode::NOT_FOUND, "the metrics are at /metrics\n")
}
