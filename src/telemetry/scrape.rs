//! The metrics as a page for Prometheus: the instruments that OTLP exports.
//!
//! opentelemetry-prometheus makes it, which is released with the SDK and knows
//! the rules for names.

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::{StatusCode, header};
use opentelemetry_prometheus::PrometheusExporter;
use prometheus::{Registry, TEXT_FORMAT, TextEncoder};

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
    match TextEncoder::new().encode_to_string(&registry.gather()) {
        Ok(text) => ([(header::CONTENT_TYPE, TEXT_FORMAT)], text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

async fn not_found() -> impl IntoResponse {
    (StatusCode::NOT_FOUND, "the metrics are at /metrics\n")
}
