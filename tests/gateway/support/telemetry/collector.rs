//! A collector that keeps what it is sent, over both transports of OTLP.

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

/// How long a test waits for what must come.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// The variables that make everything be exported without delay.
pub const EXPORT_AT_ONCE: [(&str, &str); 2] = [
    ("OTEL_BSP_SCHEDULE_DELAY", "20"),
    ("OTEL_METRIC_EXPORT_INTERVAL", "50"),
];

/// What a collector was sent.
#[derive(Debug, Clone, Default)]
pub struct Exported {
    pub spans: Vec<Span>,
    pub metrics: Vec<Metric>,
    /// The resources of the spans.
    pub resources: Vec<String>,
    pub headers: HeaderMap,
    /// How often metrics were taken.
    pub metrics_exports: usize,
    /// How often traces, or metrics, were refused.
    pub refused: usize,
}

/// How a collector answers the exports of one signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CollectorResponse {
    Accept,
    Reject,
    Never,
}

/// A collector. A clone is the same one.
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

    /// One that answers traces and metrics so.
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

    /// The variables that lead to it over this transport.
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

    /// What it was sent up to now.
    pub fn received(&self) -> Exported {
        self.received.borrow().clone()
    }

    /// Waits until what it was sent is enough.
    pub async fn wait_until(&self, is_enough: impl Fn(&Exported) -> bool) -> Exported {
        let mut received = self.received.subscribe();
        let enough = timeout(PATIENCE, received.wait_for(is_enough)).await;
        let Ok(enough) = enough else {
            panic!("not enough came: {:#?}", self.received());
        };
        enough.unwrap().clone()
    }

    fn take(&self, headers: HeaderMap, change: impl FnOnce(&mut Exported)) {
        self.received.send_modify(|received| {
            received.headers = headers;
            change(received);
        });
    }

    fn traces(&self, headers: HeaderMap, sent: ExportTraceServiceRequest) {
        self.take(headers, |received| {
            for of_one in sent.resource_spans {
                received.resources.push(format!("{:?}", of_one.resource));
                let scopes = of_one.scope_spans.into_iter();
                received.spans.extend(scopes.flat_map(|scope| scope.spans));
            }
        });
    }

    fn metrics(&self, headers: HeaderMap, sent: ExportMetricsServiceRequest) {
        self.take(headers, |received| {
            let scopes = sent.resource_metrics.into_iter();
            let scopes = scopes.flat_map(|of_one| of_one.scope_metrics);
            // The newest: they add up from the start.
            received.metrics = scopes.flat_map(|scope| scope.metrics).collect();
            received.metrics_exports += 1;
        });
    }

    /// Waits for ever, refuses, or goes on.
    async fn answered(&self, how: CollectorResponse) -> Result<(), Status> {
        match how {
            CollectorResponse::Accept => Ok(()),
            CollectorResponse::Reject => {
                self.received.send_modify(|received| received.refused += 1);
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
        self.answered(self.traces).await?;
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
        self.answered(self.metrics).await?;
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
    let answered = collector.answered(collector.traces).await;
    answered.map_err(|_| StatusCode::NOT_FOUND)?;
    let sent = ExportTraceServiceRequest::decode(unzipped(&headers, &body)).unwrap();
    collector.traces(headers, sent);
    Ok(())
}

async fn metrics_posted(
    State(collector): State<Collector>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<(), StatusCode> {
    let answered = collector.answered(collector.metrics).await;
    answered.map_err(|_| StatusCode::NOT_FOUND)?;
    let sent = ExportMetricsServiceRequest::decode(unzipped(&headers, &body)).unwrap();
    collector.metrics(headers, sent);
    Ok(())
}

/// What was sent, without its compression.
fn unzipped(headers: &HeaderMap, body: &[u8]) -> Bytes {
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
