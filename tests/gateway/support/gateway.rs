//! A gateway in this process, and a client that speaks JSON.

use std::future::pending;
use std::net::SocketAddr;
use std::time::Duration;

use presence_gateway::bulk::BulkLimits;
use presence_gateway::cli::app;
use presence_gateway::cli::call::codec::Raw;
use presence_gateway::config;
use presence_gateway::deadline::DeadlinePolicy;
use presence_gateway::server::{CallLimits, ShutdownTimeouts};
use presence_gateway::telemetry::Telemetry;
use presence_gateway::upstream::client::ClientOptions;
use presence_gateway::upstream::endpoint::Endpoint;
use prost_reflect::{DynamicMessage, SerializeOptions};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tonic::Status;
use tonic::metadata::MetadataMap;
use tonic::transport::{self, Channel};

use super::rpc::{encode, method, path};
use super::vendor::Vendor;

/// Metadata by which a client says that it repeats the call, so that the
/// gateway sends each request once.
pub const NO_RETRIES: (&str, &str) = ("grpc-previous-rpc-attempts", "1");

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
pub struct JsonResponse {
    pub json: Value,
    pub metadata: MetadataMap,
}

impl Gateway {
    pub async fn start(vendor: &Vendor) -> Self {
        Self::start_with(vendor, Limits::default()).await
    }

    pub async fn start_at(upstream: &str) -> Self {
        Self::start_at_with(upstream, Limits::default()).await
    }

    /// A gateway whose vendor is not there.
    pub async fn start_without_vendor() -> Self {
        Self::start_at("http://127.0.0.1:1").await
    }

    pub async fn start_with(vendor: &Vendor, limits: Limits) -> Self {
        Self::start_at_with(&format!("http://{}", vendor.address), limits).await
    }

    pub async fn start_at_with(upstream: &str, limits: Limits) -> Self {
        Self::start_until(upstream, limits, pending()).await.0
    }

    /// A gateway that is told to end by `shutdown`, and the task that serves.
    pub async fn start_until(
        upstream: &str,
        limits: Limits,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> (Self, JoinHandle<()>) {
        let endpoint = Endpoint::from_url(upstream, false).unwrap();
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
            .call_with_metadata(rpc, request, &[("authorization", "Bearer token")])
            .await;
        answer.map(|answer| answer.json)
    }

    /// Makes a call with this token.
    pub async fn call_with_token(
        &self,
        token: &str,
        rpc: &str,
        request: Value,
    ) -> Result<JsonResponse, Status> {
        let token = format!("Bearer {token}");
        let metadata = [("authorization", token.as_str())];
        self.call_with_metadata(rpc, request, &metadata).await
    }

    /// Makes a call with metadata of the test's choice.
    pub async fn call_with_metadata(
        &self,
        rpc: &str,
        request: Value,
        metadata: &[(&'static str, &str)],
    ) -> Result<JsonResponse, Status> {
        let method = method(rpc);
        let mut request = tonic::Request::new(encode(&method, request));
        for (name, value) in metadata {
            request.metadata_mut().append(*name, value.parse().unwrap());
        }
        let (metadata, answer, _) = self.call_raw(&path(&method), request).await?.into_parts();
        let answer = DynamicMessage::decode(method.output(), answer.as_slice()).unwrap();
        let options = SerializeOptions::new().stringify_64_bit_integers(false);
        let json = answer
            .serialize_with_options(serde_json::value::Serializer, &options)
            .unwrap();
        Ok(JsonResponse { json, metadata })
    }

    /// Makes a call of any path, with a message that is encoded already.
    pub async fn call_raw(
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
