//! The metrics as a page for Prometheus.

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::{HeaderValue, StatusCode, header};
use opentelemetry_prometheus::PrometheusExporter;
use prometheus::{Encoder, Registry, TextEncoder};

/// The metrics page. Clones serve the same metrics.
#[derive(Debug, Clone)]
pub struct MetricsServer(Registry);

impl MetricsServer {
    /// A page, and the exporter that fills it.
    pub(super) fn new() -> Result<(Self, PrometheusExporter), String> {
        let registry = Registry::new();
        let exporter = opentelemetry_prometheus::exporter()
            .with_registry(registry.clone())
            // The same for all metrics.
            .scope_info_enabled(false)
            .build()
            .map_err(|error| error.to_string())?;
        Ok((Self(registry), exporter))
    }

    /// The routes of the page.
    pub fn into_router(self) -> Router {
        Router::new()
            .route("/metrics", get(metrics))
            .fallback(not_found)
            .with_state(self)
    }
}

async fn metrics(State(MetricsServer(registry)): State<MetricsServer>) -> Response {
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

async fn not_found() -> impl IntoResponse {
    (StatusCode::NOT_FOUND, "the metrics are at /metrics\n")
}
