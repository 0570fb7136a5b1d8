//! A gateway in this process, and a client that speaks JSON.

use std::future::pending;
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::FutureExt;
use presence_gateway::bulk::BulkLimits;
use presence_gateway::cli::app;
use presence_gateway::cli::call::codec::Raw;
use presence_gateway::config;
use presence_gateway::deadline::DeadlinePolicy;
use presence_gateway::server::{CallLimits, ShutdownTimeouts};
use presence_gateway::telemetry::Telemetry;
use presence_gateway::upstream::client::ClientOptions;
use presence_gateway::upstream::endpoint::Endpoint;
use presence_gateway::upstream::region::Region;
use presence_gateway::upstream::regional::Regional;
use presence_gateway::watch::WatchLimits;
use prost_reflect::{DynamicMessage, SerializeOptions};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tonic::Status;
use tonic::metadata::MetadataMap;
use tonic::transport::{self, Channel};

use super::rpc::{encode, method, path};
use super::vendor::Vendor;

/// Metadata that marks the call as a retry by the client, so that the gateway
/// sends each request once.
pub const NO_RETRIES: (&str, &str) = ("grpc-previous-rpc-attempts", "1");

/// Limits of a gateway under test.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    pub max_ids: usize,
    pub concurrency: usize,
    pub max_in_flight: usize,
    pub max_watches: usize,
    pub watch: WatchLimits,
    /// The memory limit for the messages and responses of all calls, in bytes.
    pub message_memory: usize,
    /// Requests per minute and token; 0 for no limit.
    pub token_requests: usize,
    pub default_deadline: Duration,
    pub max_deadline: Duration,
    pub stream_idle: Duration,
    /// Whether identical reads are coalesced.
    pub share_reads: bool,
    /// How long a batch waits for other bulk reads; none to coalesce no batches.
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
            max_watches: calls.max_watches,
            watch: WatchLimits::default(),
            message_memory: calls.message_memory,
            token_requests: 0,
            default_deadline: calls.deadlines.default,
            max_deadline: calls.deadlines.max,
            stream_idle: bulk.stream_idle,
            // Most tests make the same call several times and count the requests.
            share_reads: false,
            merge_window: None,
            shutdown_timeouts: ShutdownTimeouts {
                lame_duck: Duration::ZERO,
                ..ShutdownTimeouts::default()
            },
        }
    }
}

/// A running gateway, and a connection to it.
#[derive(Debug, Clone)]
pub struct Gateway {
    pub address: SocketAddr,
    pub channel: Channel,
}

/// A response as JSON, with its metadata.
#[derive(Debug)]
pub struct JsonResponse {
    pub json: Value,
    pub metadata: MetadataMap,
}

impl Gateway {
    /// Starts a gateway with default limits in front of this vendor.
    pub async fn start(vendor: &Vendor) -> Self {
        Self::start_with(vendor, Limits::default()).await
    }

    pub async fn start_at(upstream: &str) -> Self {
        Self::start_at_with(upstream, Limits::default()).await
    }

    /// Starts a gateway whose vendor refuses connections.
    pub async fn start_without_vendor() -> Self {
        Self::start_at("http://127.0.0.1:1").await
    }

    pub async fn start_with(vendor: &Vendor, limits: Limits) -> Self {
        Self::start_at_with(&format!("http://{}", vendor.address), limits).await
    }

    pub async fn start_at_with(upstream: &str, limits: Limits) -> Self {
        Self::start_until(upstream, limits, pending()).await.0
    }

    /// Starts a gateway that shuts down when `shutdown` completes; returns it and
    /// its serving task.
    pub async fn start_until(
        upstream: &str,
        limits: Limits,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> (Self, JoinHandle<()>) {
        let endpoint = Endpoint::from_url(upstream, false).unwrap();
        let (upstreams, client) = (
            Regional::without_regions(endpoint),
            ClientOptions::default(),
        );
        Self::start_at_regions(upstreams, client, limits, shutdown).await
    }

    /// Starts a gateway whose connections to the vendor have these settings.
    pub async fn start_with_client(upstream: &str, client: ClientOptions) -> Self {
        let upstreams = Regional::without_regions(Endpoint::from_url(upstream, false).unwrap());
        let limits = Limits::default();
        let started = Self::start_at_regions(upstreams, client, limits, pending());
        started.await.0
    }

    /// Starts a gateway that serves these regions, with a vendor in place of each.
    pub async fn start_regions(regions: &[(&str, &Vendor)], limits: Limits) -> Self {
        let upstreams = regions.iter().map(|(name, vendor)| {
            let url = format!("http://{}", vendor.address);
            let endpoint = Endpoint::from_url(&url, false).unwrap();
            (Region::find(name).unwrap(), endpoint)
        });
        let upstreams = Regional::new(upstreams).unwrap();
        let client = ClientOptions::default();
        let started = Self::start_at_regions(upstreams, client, limits, pending());
        started.await.0
    }

    async fn start_at_regions(
        upstreams: Regional<Endpoint>,
        client: ClientOptions,
        limits: Limits,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> (Self, JoinHandle<()>) {
        let config = config::Limits {
            calls: CallLimits {
                deadlines: DeadlinePolicy {
                    default: limits.default_deadline,
                    max: limits.max_deadline,
                },
                max_in_flight: limits.max_in_flight,
                max_watches: limits.max_watches,
                max_bulk_ids: limits.max_ids,
                message_memory: limits.message_memory,
            },
            bulk: BulkLimits {
                max_ids: limits.max_ids,
                concurrency: limits.concurrency,
                stream_idle: limits.stream_idle,
            },
            watch: limits.watch,
            token_requests_per_minute: limits.token_requests,
            share_reads: limits.share_reads,
            bulk_merge_window: limits.merge_window,
        };
        let server = app::server(upstreams, client, config, None, Telemetry::default());
        let server = server.await.unwrap();
        let timeouts = limits.shutdown_timeouts;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let serving = tokio::spawn(server.serve(listener, shutdown.map(move |()| timeouts)));
        (Self::connect(address).await, serving)
    }

    /// Opens a new connection to the gateway at this address.
    pub async fn connect(address: SocketAddr) -> Self {
        let endpoint = transport::Endpoint::from_shared(format!("http://{address}")).unwrap();
        let channel = endpoint.connect().await.unwrap();
        Self { address, channel }
    }

    /// Makes a call with a token.
    pub async fn call(&self, rpc: &str, request: Value) -> Result<Value, Status> {
        let response = self
            .call_with_metadata(rpc, request, &[("authorization", "Bearer token")])
            .await;
        response.map(|response| response.json)
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

    /// Makes a call with this metadata.
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
        let (metadata, message, _) = self.call_raw(&path(&method), request).await?.into_parts();
        let message = DynamicMessage::decode(method.output(), message.as_slice()).unwrap();
        let options = SerializeOptions::new().stringify_64_bit_integers(false);
        let json = message
            .serialize_with_options(serde_json::value::Serializer, &options)
            .unwrap();
        Ok(JsonResponse { json, metadata })
    }

    /// Makes a call to any path, with an encoded message.
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
