//! A stub collector that records exports, over both transports of OTLP.

use std::io::Read;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::routing::post;
use flate2::read::GzDecoder;
use http::{HeaderMap, StatusCode};
use hyper::server::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::service::TowerToHyperService;
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_server::{
    MetricsService, MetricsServiceServer,
};
use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsServiceRequest, ExportMetricsServiceResponse,
};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::metrics::v1::Metric;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::timeout;
use tonic::codec::CompressionEncoding;
use tonic::service::Routes;
use tonic::{Request, Response, Status, async_trait};

/// Timeout for an export that must come.
pub const EXPORT_TIMEOUT: Duration = Duration::from_secs(20);

/// Environment variables that make the exporters export within 50 ms.
pub const EXPORT_AT_ONCE: [(&str, &str); 2] = [
    ("OTEL_BSP_SCHEDULE_DELAY", "20"),
    ("OTEL_METRIC_EXPORT_INTERVAL", "50"),
];

/// The exports that a collector received.
#[derive(Debug, Clone, Default)]
pub struct Exported {
    pub spans: Vec<Span>,
    pub metrics: Vec<Metric>,
    /// The resources of the spans, formatted.
    pub resources: Vec<String>,
    pub headers: HeaderMap,
    /// The number of accepted metrics exports.
    pub metrics_exports: usize,
    /// The number of rejected exports, of both signals.
    pub rejected: usize,
}

/// How a collector responds to the exports of one signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CollectorResponse {
    Accept,
    Reject,
    Never,
}

/// A collector on two ports. A clone is the same collector.
#[derive(Clone)]
pub struct Collector {
    pub grpc: SocketAddr,
    pub http: SocketAddr,
    traces: CollectorResponse,
    metrics: CollectorResponse,
    received: Arc<watch::Sender<Exported>>,
}

impl Collector {
    pub async fn start() -> Self {
        Self::responding(CollectorResponse::Accept, CollectorResponse::Accept).await
    }

    /// Starts a collector with these responses to traces and metrics.
    pub async fn responding(traces: CollectorResponse, metrics: CollectorResponse) -> Self {
        let grpc = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let http = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let collector = Self {
            grpc: grpc.local_addr().unwrap(),
            http: http.local_addr().unwrap(),
            traces,
            metrics,
            received: Arc::default(),
        };
        let traces = TraceServiceServer::new(collector.clone());
        let metrics = MetricsServiceServer::new(collector.clone());
        let services = Routes::new(traces.accept_compressed(CompressionEncoding::Gzip))
            .add_service(metrics.accept_compressed(CompressionEncoding::Gzip))
            .prepare()
            .into_axum_router();
        tokio::spawn(async move {
            while let Ok((stream, _)) = grpc.accept().await {
                let service = TowerToHyperService::new(services.clone());
                let connection = http2::Builder::new(TokioExecutor::new())
                    .serve_connection(TokioIo::new(stream), service);
                tokio::spawn(connection);
            }
        });
        let routes = Router::new()
            .route("/v1/traces", post(traces_posted))
            .route("/v1/metrics", post(metrics_posted))
            .with_state(collector.clone());
        tokio::spawn(async { axum::serve(http, routes).await });
        collector
    }

    /// Environment variables that export to this collector over a transport.
    pub fn variables(&self, protocol: &'static str) -> Vec<(&'static str, String)> {
        let address = if protocol == "grpc" {
            self.grpc
        } else {
            self.http
        };
        let mut variables = vec![
            ("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{address}")),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol.to_owned()),
        ];
        variables.extend(EXPORT_AT_ONCE.map(|(name, value)| (name, value.to_owned())));
        variables
    }

    /// The exports so far.
    pub fn received(&self) -> Exported {
        self.received.borrow().clone()
    }

    /// Waits until `condition` holds for the exports.
    pub async fn wait_until(&self, condition: impl Fn(&Exported) -> bool) -> Exported {
        let mut received = self.received.subscribe();
        let reached = timeout(EXPORT_TIMEOUT, received.wait_for(condition)).await;
        let Ok(exported) = reached else {
            panic!("timed out; exported so far: {:#?}", self.received());
        };
        exported.unwrap().clone()
    }

    fn record(&self, headers: HeaderMap, change: impl FnOnce(&mut Exported)) {
        self.received.send_modify(|received| {
            received.headers = headers;
            change(received);
        });
    }

    fn traces(&self, headers: HeaderMap, sent: ExportTraceServiceRequest) {
        self.record(headers, |received| {
            for resource_spans in sent.resource_spans {
                received
                    .resources
                    .push(format!("{:?}", resource_spans.resource));
                let scopes = resource_spans.scope_spans.into_iter();
                received.spans.extend(scopes.flat_map(|scope| scope.spans));
            }
        });
    }

    fn metrics(&self, headers: HeaderMap, sent: ExportMetricsServiceRequest) {
        self.record(headers, |received| {
            let scopes = sent.resource_metrics.into_iter();
            let scopes = scopes.flat_map(|resource_metrics| resource_metrics.scope_metrics);
            // Only the newest export: its sums are cumulative.
            received.metrics = scopes.flat_map(|scope| scope.metrics).collect();
            received.metrics_exports += 1;
        });
    }

    /// Accepts, rejects, or never responds.
    async fn respond(&self, how: CollectorResponse) -> Result<(), Status> {
        match how {
            CollectorResponse::Accept => Ok(()),
            CollectorResponse::Reject => {
                self.received.send_modify(|received| received.rejected += 1);
                Err(Status::unimplemented("no such pipeline"))
            }
            CollectorResponse::Never => std::future::pending().await,
        }
    }
}

#[async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        self.respond(self.traces).await?;
        let (metadata, _, sent) = request.into_parts();
        self.traces(metadata.into_headers(), sent);
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

#[async_trait]
impl MetricsService for Collector {
    async fn export(
        &self,
        request: Request<ExportMetricsServiceRequest>,
    ) -> Result<Response<ExportMetricsServiceResponse>, Status> {
        self.respond(self.metrics).await?;
        let (metadata, _, sent) = request.into_parts();
        self.metrics(metadata.into_headers(), sent);
        Ok(Response::new(ExportMetricsServiceResponse::default()))
    }
}

async fn traces_posted(
    State(collector): State<Collector>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<(), StatusCode> {
    let accepted = collector.respond(collector.traces).await;
    accepted.map_err(|_| StatusCode::NOT_FOUND)?;
    let sent = ExportTraceServiceRequest::decode(decompress(&headers, &body)).unwrap();
    collector.traces(headers, sent);
    Ok(())
}

async fn metrics_posted(
    State(collector): State<Collector>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<(), StatusCode> {
    let accepted = collector.respond(collector.metrics).await;
    accepted.map_err(|_| StatusCode::NOT_FOUND)?;
    let sent = ExportMetricsServiceRequest::decode(decompress(&headers, &body)).unwrap();
    collector.metrics(headers, sent);
    Ok(())
}

/// Decompresses a body.
fn decompress(headers: &HeaderMap, body: &[u8]) -> Bytes {
    let mut plain = Vec::new();
    match headers.get("content-encoding") {
        None => plain.extend_from_slice(body),
        Some(gzip) => {
            assert_eq!(gzip, "gzip");
            GzDecoder::new(body).read_to_end(&mut plain).unwrap();
        }
    }
    plain.into()
}
