//! A gateway in this process, a vendor that does as a test says, and a client
//! that speaks JSON.

pub mod bulk;
pub mod certificates;
pub mod faults;
pub mod http2;
pub mod in_flight;
pub mod process;
pub mod raw_http;
pub mod stream_caller;
pub mod telemetry;

use std::future::pending;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::response::Response;
use http::{HeaderMap, Method, Request, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use percent_encoding::percent_decode_str;
use presence_gateway::bulk::BulkLimits;
use presence_gateway::cli::app;
use presence_gateway::cli::call::codec::Raw;
use presence_gateway::config;
use presence_gateway::deadline::DeadlinePolicy;
use presence_gateway::proto;
use presence_gateway::proto::v1::BulkWriteReport;
use presence_gateway::server::{CallLimits, ShutdownTimeouts};
use presence_gateway::telemetry::Telemetry;
use presence_gateway::upstream::client::ClientOptions;
use presence_gateway::upstream::endpoint::Endpoint;
use prost::Message;
use prost_reflect::{DynamicMessage, Kind, MethodDescriptor, SerializeOptions};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tonic::metadata::MetadataMap;
use tonic::transport::{self, Channel};
use tonic::{Code, Status};
use tonic_types::{StatusExt, pb};

/// What the vendor was asked.
#[derive(Debug, Clone)]
pub struct Received {
    pub method: Method,
    /// As it stands in the request line.
    pub path_and_query: String,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Received {
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

    /// The ids that a bulk read asks for.
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

type Answering = Pin<Box<dyn Future<Output = Response> + Send>>;

/// A server in the vendor's place, which remembers what it was asked.
#[derive(Clone)]
pub struct Vendor {
    pub address: SocketAddr,
    received: Arc<Mutex<Vec<Received>>>,
}

impl Vendor {
    /// A vendor that answers each request as `answer` says.
    pub async fn start<F, A>(answer: F) -> Self
    where
        F: Fn(Received) -> A + Send + Sync + 'static,
        A: Future<Output = Response> + Send + 'static,
    {
        let answer: Arc<dyn Fn(Received) -> Answering + Send + Sync> =
            Arc::new(move |received| Box::pin(answer(received)));
        let received = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&received);
        let service = service_fn(move |request: Request<Incoming>| {
            let (log, answer) = (Arc::clone(&log), Arc::clone(&answer));
            async move {
                let (parts, body) = request.into_parts();
                let body = to_bytes(Body::new(body), usize::MAX).await;
                let received = Received {
                    method: parts.method,
                    path_and_query: parts.uri.path_and_query().unwrap().to_string(),
                    headers: parts.headers,
                    body: body.map_err(|_| Cut)?.to_vec(),
                };
                log.lock().push(received.clone());
                let response = answer(received).await;
                match response.extensions().get::<Cut>() {
                    // An error of the service closes the connection.
                    Some(&cut) => Err(cut),
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

    /// A vendor that answers everything alike.
    pub async fn answering(status: u16, body: impl Into<String>) -> Self {
        let body = body.into();
        Self::start(move |_| {
            let body = body.clone();
            async move { reply(status, body) }
        })
        .await
    }

    /// What it was asked up to now.
    pub fn received(&self) -> Vec<Received> {
        self.received.lock().clone()
    }

    /// Lets it forget what it was asked up to now.
    pub fn forget(&self) {
        self.received.lock().clear();
    }

    /// The one thing that it was asked.
    pub fn only(&self) -> Received {
        let mut received = self.received();
        assert_eq!(
            received.len(),
            1,
            "one request should have arrived, but {received:#?}"
        );
        received.remove(0)
    }
}

/// Stands for a connection that is closed in place of an answer.
#[derive(Debug, Clone, Copy)]
struct Cut;

impl std::fmt::Display for Cut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("cut as the test asks")
    }
}

impl std::error::Error for Cut {}

/// No answer: the connection is closed instead.
pub fn cut() -> Response {
    let mut response = Response::default();
    response.extensions_mut().insert(Cut);
    response
}

pub const CORRELATION_ID: &str = "11111111-2222-3333-4444-555555555555";

/// A JSON answer of the vendor's.
pub fn reply(status: u16, body: impl Into<Body>) -> Response {
    Response::builder()
        .status(StatusCode::from_u16(status).unwrap())
        .header("content-type", "application/json")
        .header("ININ-Correlation-Id", CORRELATION_ID)
        .body(body.into())
        .unwrap()
}

/// Metadata by which a client says that it repeats the call, so that the
/// gateway sends each request once.
pub const ONCE: (&str, &str) = ("grpc-previous-rpc-attempts", "1");

/// What a gateway under test grants.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    pub max_ids: usize,
    pub concurrency: usize,
    pub max_in_flight: usize,
    /// How many bytes the messages and answers of all calls take.
    pub message_memory: usize,
    /// How many requests a minute a token may make; 0 for any number.
    pub token_requests: usize,
    pub default_deadline: Duration,
    pub max_deadline: Duration,
    pub stream_idle: Duration,
    /// Whether identical reads are one request.
    pub share_reads: bool,
    /// How long bulk reads wait for others, if at all.
    pub merge_window: Option<Duration>,
    pub shutdown_timeouts: ShutdownTimeouts,
}

impl Default for Limits {
    fn default() -> Self {
        let (calls, bulk) = (CallLimits::default(), BulkLimits::default());
        Self {
            max_ids: bulk.max_ids,
            concurrency: bulk.concurrency,
            max_in_flight: calls.max_in_flight,
            message_memory: calls.message_memory,
            token_requests: 0,
            default_deadline: calls.deadlines.default,
            max_deadline: calls.deadlines.max,
            stream_idle: bulk.stream_idle,
            // Most tests make one call several times, and count what arrives.
            share_reads: false,
            merge_window: None,
            shutdown_timeouts: ShutdownTimeouts {
                lame_duck: Duration::ZERO,
                ..ShutdownTimeouts::default()
            },
        }
    }
}

/// A gateway, reached over a real connection.
#[derive(Debug, Clone)]
pub struct Gateway {
    pub address: SocketAddr,
    pub channel: Channel,
}

/// An answer of the gateway's with its metadata.
#[derive(Debug)]
pub struct Answer {
    pub json: Value,
    pub metadata: MetadataMap,
}

impl Gateway {
    pub async fn before(vendor: &Vendor) -> Self {
        Self::with(vendor, Limits::default()).await
    }

    pub async fn with(vendor: &Vendor, limits: Limits) -> Self {
        Self::at(&format!("http://{}", vendor.address), limits).await
    }

    pub async fn at(upstream: &str, limits: Limits) -> Self {
        Self::until(upstream, limits, pending()).await.0
    }

    /// A gateway that is told to end by `shutdown`, and the task that serves.
    pub async fn until(
        upstream: &str,
        limits: Limits,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> (Self, JoinHandle<()>) {
        let endpoint = Endpoint::of_url(upstream, false).unwrap();
        let granted = config::Limits {
            calls: CallLimits {
                deadlines: DeadlinePolicy {
                    default: limits.default_deadline,
                    max: limits.max_deadline,
                },
                max_in_flight: limits.max_in_flight,
                max_bulk_ids: limits.max_ids,
                message_memory: limits.message_memory,
            },
            bulk: BulkLimits {
                max_ids: limits.max_ids,
                concurrency: limits.concurrency,
                stream_idle: limits.stream_idle,
            },
            token_requests_per_minute: limits.token_requests,
            share_reads: limits.share_reads,
            bulk_merge_window: limits.merge_window,
        };
        let server = app::server(
            endpoint,
            ClientOptions::default(),
            granted,
            limits.shutdown_timeouts,
            Telemetry::default(),
        );
        let server = server.await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let serving = tokio::spawn(server.serve(listener, shutdown));
        (Self::connect(address).await, serving)
    }

    /// A connection of its own to the gateway at this address.
    pub async fn connect(address: SocketAddr) -> Self {
        let endpoint = transport::Endpoint::from_shared(format!("http://{address}")).unwrap();
        let channel = endpoint.connect().await.unwrap();
        Self { address, channel }
    }

    /// Makes a call with a token.
    pub async fn call(&self, rpc: &str, request: Value) -> Result<Value, Status> {
        let answer = self
            .call_with(rpc, request, &[("authorization", "Bearer token")])
            .await;
        answer.map(|answer| answer.json)
    }

    /// Makes a call with metadata of the test's choice.
    pub async fn call_with(
        &self,
        rpc: &str,
        request: Value,
        metadata: &[(&'static str, &str)],
    ) -> Result<Answer, Status> {
        let method = method(rpc);
        let mut request = tonic::Request::new(encoded(&method, request));
        for (name, value) in metadata {
            request.metadata_mut().append(*name, value.parse().unwrap());
        }
        let (metadata, answer, _) = self.raw(&path(&method), request).await?.into_parts();
        let answer = DynamicMessage::decode(method.output(), answer.as_slice()).unwrap();
        let options = SerializeOptions::new().stringify_64_bit_integers(false);
        let json = answer
            .serialize_with_options(serde_json::value::Serializer, &options)
            .unwrap();
        Ok(Answer { json, metadata })
    }

    /// Makes a call of any path, with a message that is encoded already.
    pub async fn raw(
        &self,
        path: &str,
        request: tonic::Request<Vec<u8>>,
    ) -> Result<tonic::Response<Vec<u8>>, Status> {
        let mut client =
            tonic::client::Grpc::new(self.channel.clone()).max_decoding_message_size(usize::MAX);
        client.ready().await.unwrap();
        client.unary(request, path.parse().unwrap(), Raw).await
    }
}

/// All RPCs that stand for an operation of the vendor's.
pub fn methods() -> Vec<MethodDescriptor> {
    let all = all_methods().into_iter();
    all.filter(|method| !method.is_client_streaming()).collect()
}

/// All RPCs of all services.
pub fn all_methods() -> Vec<MethodDescriptor> {
    proto::methods().collect()
}

pub fn method(rpc: &str) -> MethodDescriptor {
    all_methods()
        .into_iter()
        .find(|method| method.name() == rpc)
        .unwrap()
}

pub fn path(method: &MethodDescriptor) -> String {
    format!("/{}/{}", method.parent_service().full_name(), method.name())
}

/// A request as it travels.
pub fn encoded(method: &MethodDescriptor, request: Value) -> Vec<u8> {
    let message = DynamicMessage::deserialize(method.input(), request).unwrap();
    message.encode_to_vec()
}

/// A request of an RPC that is as small as it can be and right.
pub fn sample(method: &MethodDescriptor) -> Value {
    let message = method.input();
    let fields = message.fields().filter_map(|field| {
        let is_path_variable =
            matches!(field.kind(), Kind::String) && !field.supports_presence() && !field.is_list();
        let value = match field.name() {
            "body" if field.is_list() => json!([{"id": "x"}]),
            "body" => json!({}),
            _ if is_path_variable => json!("x"),
            _ => return None,
        };
        Some((field.json_name().to_owned(), value))
    });
    Value::Object(fields.collect())
}

/// What every error must be, besides its code.
pub fn check_form(status: &Status) {
    let info = status.get_details_error_info();
    let info = info.unwrap_or_else(|| panic!("an error without ErrorInfo: {status:?}"));
    let is_reason = |reason: &str| {
        (2..=63).contains(&reason.len())
            && reason.starts_with(|c: char| c.is_ascii_uppercase())
            && reason
                .chars()
                .all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
    };
    assert!(is_reason(&info.reason), "{status:?}");
    assert!(
        ["presence-gateway", "genesys.cloud"].contains(&info.domain.as_str()),
        "{status:?}"
    );
    assert!(
        !status.message().is_empty(),
        "an error that says nothing: {status:?}"
    );
    let rpc = rpc_status(status);
    assert_eq!(
        (rpc.code, rpc.message.as_str()),
        (status.code() as i32, status.message())
    );
}

/// The status in its details.
pub fn rpc_status(status: &Status) -> pb::Status {
    pb::Status::decode(status.details()).unwrap()
}

/// What a failed bulk write says of its updates.
#[track_caller]
pub fn report(status: &Status) -> BulkWriteReport {
    let details = rpc_status(status).details;
    let mut reports = details.iter().filter(|detail| {
        detail
            .type_url
            .ends_with("genesys.presence.v1.BulkWriteReport")
    });
    let report = reports.next();
    let report = report.unwrap_or_else(|| panic!("there is no report in {status:?}"));
    BulkWriteReport::decode(report.value.as_slice()).unwrap()
}

/// The failure of a call, which must have this code and this reason.
#[track_caller]
pub fn refused<T: std::fmt::Debug>(answer: Result<T, Status>, code: Code, reason: &str) -> Status {
    let status = answer.expect_err("the call should have failed");
    check_form(&status);
    let actual = status.get_details_error_info().unwrap().reason;
    assert_eq!(
        (status.code(), actual.as_str()),
        (code, reason),
        "{status:?}"
    );
    status
}

/// The fields that an error names as wrong.
pub fn violations(status: &Status) -> Vec<String> {
    let details = status.get_details_bad_request();
    let fields = details
        .map(|details| details.field_violations)
        .unwrap_or_default();
    fields
        .into_iter()
        .map(|violation| violation.field)
        .collect()
}

pub fn metadata<'a>(status: &'a Status, name: &str) -> Option<&'a str> {
    status
        .metadata()
        .get(name)
        .map(|value| value.to_str().unwrap())
}

/// A value in the metadata of an error's `ErrorInfo`.
pub fn info(status: &Status, key: &str) -> Option<String> {
    status.get_details_error_info()?.metadata.get(key).cloned()
}
