//! The gRPC server: accepts connections, and leads each call through the pipeline.

mod body;
mod connection;
mod discard;
mod http1;
mod in_flight;
pub mod limits;
mod listener;
mod pipeline;
mod public;
mod request_bodies;
mod shutdown;
#[cfg(test)]
mod tests;

use std::io;

use axum::Router;
use axum::extract::Request;
use axum::middleware::from_fn_with_state;
use axum::response::Response;
use futures_util::FutureExt;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::time::sleep;
use tonic::service::Routes;

use crate::context::CallContext;
use crate::deadline::{DeadlinePolicy, Drain};
use crate::fair_share::FairShare;
use crate::rpc::DEFAULT_MAX_BULK_IDS;
use crate::telemetry::Telemetry;
use crate::token_key::TokenHasher;
use crate::upstream::regional::Regional;
use connection::ConnectionPolicy;
use discard::Discard;
pub(crate) use http1::{NEEDS_HTTP2, NEEDS_TLS};
use in_flight::InFlight;
use limits::{GOAWAY_GRACE, MAX_CONNECTIONS, MAX_PROBES, MAX_PUBLIC_REQUEST};
pub use listener::serve_metrics;
pub use listener::tls::{Tls, TlsFiles};
use listener::{Listener, OverflowPolicy, Protocol};
use public::PublicServices;
use public::health::Health;
pub use shutdown::ShutdownTimeouts;

/// What the server grants to calls.
#[derive(Debug, Clone, Copy)]
pub struct CallLimits {
    /// How much time a call has.
    pub deadlines: DeadlinePolicy,
    /// How many calls are in flight at once, without watches.
    pub max_in_flight: usize,
    /// How many watches are open at once.
    pub max_watches: usize,
    /// How many ids or updates a bulk call may have.
    pub max_bulk_ids: usize,
    /// How many bytes messages and responses take together.
    pub message_memory: usize,
}

impl Default for CallLimits {
    fn default() -> Self {
        Self {
            deadlines: DeadlinePolicy::default(),
            max_in_flight: 1024,
            max_watches: 1024,
            max_bulk_ids: DEFAULT_MAX_BULK_IDS,
            message_memory: 256 << 20,
        }
    }
}

/// The gateway as a gRPC server.
#[derive(Debug)]
pub struct Server {
    router: Router,
    /// TLS towards callers.
    pub tls: Option<Tls>,
    /// Another port for health alone, without TLS: the probes of Kubernetes speak
    /// none.
    pub probes: Option<TcpListener>,
    probe_router: Router,
    health: Health,
    calls: InFlight,
    drain: Drain,
    policy: ConnectionPolicy,
}

impl Server {
    /// A server of the services of each region, which get the calls that the pipeline has
    /// admitted.
    ///
    /// # Errors
    ///
    /// If the descriptors are not what reflection can serve.
    pub async fn new<S, F>(
        services: Regional<S>,
        limits: CallLimits,
        token_hasher: TokenHasher,
        telemetry: Telemetry,
    ) -> io::Result<Self>
    where
        S: Fn(CallContext, Request) -> F + Send + Sync + 'static,
        F: Future<Output = Response> + Send + 'static,
    {
        let (drain, calls) = (Drain::default(), InFlight::default());
        let concurrency = FairShare::new(limits.max_in_flight);
        let admitted = concurrency.clone();
        telemetry.observe_in_flight(move || admitted.held());
        let watches = FairShare::new(limits.max_watches);
        let open = watches.clone();
        telemetry.observe_open_watches(move || open.held(), limits.max_watches);
        let services = pipeline::stack(
            services,
            limits,
            token_hasher,
            drain.clone(),
            calls.clone(),
            [concurrency, watches],
            telemetry,
        );

        let (health, health_service) = Health::serving().await;
        let health_service = health_service.max_decoding_message_size(MAX_PUBLIC_REQUEST);
        let bounds = PublicServices::new(drain.clone());
        let bounds = from_fn_with_state(bounds, public::within_bounds);
        let about_health = Routes::new(health_service)
            .into_axum_router()
            .reset_fallback()
            .layer(bounds.clone());
        let reflection = public::reflection::router()?.layer(bounds);
        let probe_router = Routes::default()
            .prepare()
            .into_axum_router()
            .merge(about_health.clone());
        // Health and reflection bypass the pipeline: they need no token, and must
        // respond when the gateway is full. The pipeline rejects unknown paths.
        let router = services.merge(about_health).merge(reflection);

        Ok(Self {
            router,
            tls: None,
            probes: None,
            probe_router,
            health,
            calls,
            drain,
            policy: ConnectionPolicy {
                max_deadline: limits.deadlines.max,
                discard: Discard::new(),
            },
        })
    }

    /// Serves until `shutdown` completes, then shuts down in phases, with the timeouts
    /// that it returns: health reports `NOT_SERVING`, the lame duck passes, the calls in
    /// flight drain.
    pub async fn serve(
        self,
        listener: TcpListener,
        shutdown: impl Future<Output = ShutdownTimeouts>,
    ) {
        let public = Listener {
            router: self.router,
            tls: self.tls.clone(),
            max_connections: MAX_CONNECTIONS,
            overflow: OverflowPolicy::DrainIdle,
            protocol: Protocol::Http2(self.policy.clone()),
        };
        let (callers_done, callers_gone) = oneshot::channel::<()>();
        let callers = async {
            let closing = self.drain.begun().map(drop);
            let drained = shutdown::wait_drained(&self.calls, &self.drain);
            public.serve(listener, closing, drained).await;
            drop(callers_done);
        };
        let probes = async {
            let Some(listener) = self.probes else { return };
            let probes = Listener {
                router: self.probe_router,
                tls: None,
                max_connections: MAX_PROBES,
                // A probe that finds no room would end the process.
                overflow: OverflowPolicy::EvictOldest,
                protocol: Protocol::Http2(self.policy),
            };
            // Until the callers' listener has closed: a process that drains is
            // alive, and a failed probe would kill it.
            let closing = callers_gone.map(drop);
            probes.serve(listener, closing, sleep(GOAWAY_GRACE)).await;
        };
        let phases = shutdown::run_phases(shutdown, &self.health, &self.drain);
        let served = async { tokio::join!(phases, callers, probes) };
        match &self.tls {
            None => drop(served.await),
            Some(tls) => tokio::select! {
                _ = served => {}
                () = tls.watch_files() => {}
            },
        }
    }
}
