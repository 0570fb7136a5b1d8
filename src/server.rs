//! The gRPC server: accepts connections, and leads each call through the layers.

mod body;
mod concurrency_limit;
pub(crate) mod connection;
mod discard;
mod in_flight;
pub mod limits;
mod listener;
mod pipeline;
mod public;
mod reject;
mod request_buffers;
mod rpc;
mod shutdown;
#[cfg(test)]
mod tests;

use std::io;

use axum::middleware::from_fn_with_state;
use axum::{Extension, Router};
use futures_util::FutureExt;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::time::sleep;
use tonic::codec::CompressionEncoding::Gzip;
use tonic::service::Routes;

use crate::deadline::{DeadlinePolicy, Drain};
use crate::grpc::Gateway;
use crate::proto::v1::legacy_presence_service_server::LegacyPresenceServiceServer;
use crate::proto::v1::presence_service_server::PresenceServiceServer;
use crate::proto::v1::presence_stream_service_server::PresenceStreamServiceServer;
use crate::telemetry::Telemetry;
use connection::ConnectionPolicy;
use discard::Discard;
use in_flight::InFlight;
use limits::{AGE_GRACE_MARGIN, GOAWAY_GRACE, MAX_CONNECTIONS, MAX_PROBES, MAX_PUBLIC_REQUEST};
pub use limits::{MAX_REQUEST, MAX_STREAM_MESSAGE};
pub use listener::tls::{Tls, TlsFiles};
use listener::{Listener, OverflowPolicy};
use public::PublicServices;
use public::health::Health;
pub use shutdown::ShutdownTimeouts;

/// What the server grants to calls.
#[derive(Debug, Clone, Copy)]
pub struct CallLimits {
    /// How much time a call has.
    pub deadlines: DeadlinePolicy,
    /// How many calls are in flight at once.
    pub max_in_flight: usize,
    /// How many bytes messages and answers take together.
    pub message_memory: usize,
}

/// The gateway as a gRPC server.
#[derive(Debug)]
pub struct Server {
    router: Router,
    tls: Option<Tls>,
    /// Where health alone is served, without TLS.
    probes: (Router, Option<TcpListener>),
    health: Health,
    calls: InFlight,
    drain: Drain,
    shutdown_timeouts: ShutdownTimeouts,
    policy: ConnectionPolicy,
}

impl Server {
    /// A server for `gateway`.
    ///
    /// # Errors
    ///
    /// If the descriptors are not what reflection can serve.
    pub async fn new(
        gateway: Gateway,
        limits: CallLimits,
        shutdown_timeouts: ShutdownTimeouts,
    ) -> io::Result<Self> {
        let (drain, calls) = (Drain::default(), InFlight::default());
        let bulk = gateway.bulk_limits();
        let current = PresenceServiceServer::new(gateway.clone());
        let streams = PresenceStreamServiceServer::new(gateway.clone());
        let legacy = LegacyPresenceServiceServer::new(gateway);
        // A call that is no stream comes inflated (`compression.rs`).
        let current = current.accept_compressed(Gzip).send_compressed(Gzip);
        let streams = streams.accept_compressed(Gzip).send_compressed(Gzip);
        let legacy = legacy.accept_compressed(Gzip).send_compressed(Gzip);
        let current = current.max_decoding_message_size(MAX_REQUEST);
        let router = Routes::new(current.clone())
            .add_service(streams.max_decoding_message_size(MAX_STREAM_MESSAGE))
            .add_service(legacy.max_decoding_message_size(MAX_REQUEST))
            .prepare()
            .into_axum_router();
        let services = pipeline::Services {
            router,
            presence: Some(current),
        };
        let services = pipeline::around(services, limits, bulk, drain.clone(), calls.clone());

        let (health, health_service) = Health::serving().await;
        let health_service = health_service.max_decoding_message_size(MAX_PUBLIC_REQUEST);
        let bounds = PublicServices::new();
        let bounded = from_fn_with_state(bounds.clone(), public::limit_streams);
        let ending = from_fn_with_state(drain.clone(), body::drainable::with_drain);
        let about_health = Routes::new(health_service)
            .into_axum_router()
            .reset_fallback()
            .layer(from_fn_with_state(bounds, public::buffer_health_check))
            .layer(bounded.clone())
            .layer(ending.clone());
        let reflection = public::reflection::router()?.layer(bounded).layer(ending);
        let probes = Routes::default()
            .prepare()
            .into_axum_router()
            .merge(about_health.clone());
        // Beside the layers: these need no token, and must answer when the
        // gateway is full. What nobody answers is for the services to refuse.
        let router = services.merge(about_health).merge(reflection);

        let grace = limits.deadlines.max + AGE_GRACE_MARGIN;
        Ok(Self {
            router,
            tls: None,
            probes: (probes, None),
            health,
            calls,
            drain,
            shutdown_timeouts,
            policy: ConnectionPolicy {
                grace,
                discard: Discard::new(),
            },
        })
    }

    /// The same server, with TLS.
    #[must_use]
    pub fn with_tls(self, tls: Tls) -> Self {
        let tls = Some(tls);
        Self { tls, ..self }
    }

    /// The same server, which serves health on this port too, without TLS:
    /// the probes of Kubernetes speak none.
    #[must_use]
    pub fn with_probes(self, listener: TcpListener) -> Self {
        let probes = (self.probes.0, Some(listener));
        Self { probes, ..self }
    }

    /// The same server, whose calls are told to this telemetry.
    #[must_use]
    pub fn with_telemetry(self, telemetry: &Telemetry) -> Self {
        if telemetry.is_off() {
            return self;
        }
        let calls = self.calls.clone();
        telemetry.observe_in_flight(move || calls.count());
        let router = self.router.layer(Extension(telemetry.clone()));
        Self { router, ..self }
    }

    /// Serves until `shutdown` is done; then says so, pauses, and lets the
    /// calls in flight end.
    pub async fn serve(self, listener: TcpListener, shutdown: impl Future<Output = ()>) {
        let door = Listener {
            router: self.router,
            tls: self.tls.clone(),
            max_connections: MAX_CONNECTIONS,
            overflow: OverflowPolicy::DrainIdle,
            policy: self.policy.clone(),
        };
        let (ended, end) = oneshot::channel::<()>();
        let callers = async {
            let closing = self.drain.begun().map(drop);
            let patience = shutdown::drained(&self.calls, &self.drain);
            door.serve(listener, closing, patience).await;
            drop(ended);
        };
        let probes = async {
            let (router, Some(listener)) = self.probes else {
                return;
            };
            let door = Listener {
                router,
                tls: None,
                max_connections: MAX_PROBES,
                // A probe that finds no room would end the process.
                overflow: OverflowPolicy::EvictOldest,
                policy: self.policy,
            };
            // To the end: what drains is alive.
            door.serve(listener, end.map(drop), sleep(GOAWAY_GRACE))
                .await;
        };
        let lead =
            shutdown::run_phases(shutdown, self.shutdown_timeouts, &self.health, &self.drain);
        let served = async { tokio::join!(lead, callers, probes) };
        match &self.tls {
            None => drop(served.await),
            Some(tls) => tokio::select! {
                _ = served => {}
                () = tls.follow() => {}
            },
        }
    }
}
