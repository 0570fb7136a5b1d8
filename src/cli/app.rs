//! The composition root: builds the gateway from its parts, in one place.

use std::net::SocketAddr;

use tokio::net::TcpListener;
use tokio::sync::watch;

use super::exit::StartupError;
use super::port::bind;
#[cfg(feature = "sandbox")]
use super::sandbox;
use crate::bulk::{BatchCoalescer, BulkContext};
use crate::config::{Config, Limits, Target};
use crate::grpc::Gateway;
use crate::server::{Server, ShutdownTimeouts, serve_metrics};
use crate::telemetry::{MetricsServer, Providers, Telemetry, Unsupported};
use crate::upstream::Upstream;
use crate::upstream::client::ClientOptions;
use crate::upstream::endpoint::Endpoint;
use crate::upstream::rate_limit::RateLimiter;

/// The ports of a gateway, bound.
#[derive(Debug)]
pub(super) struct Listeners {
    callers: TcpListener,
    health: Option<TcpListener>,
    metrics: Option<TcpListener>,
}

impl Listeners {
    /// Binds the ports that `config` names.
    pub(super) fn bind(config: &Config) -> Result<Self, StartupError> {
        let optional = |flag, address: Option<SocketAddr>| {
            address.map(|address| bind(flag, address)).transpose()
        };
        Ok(Self {
            callers: bind("--listen", config.listen)?,
            health: optional("--health-listen", config.health_listen)?,
            metrics: optional("--metrics-listen", config.metrics_listen)?,
        })
    }
}

/// A gateway that is ready to serve.
#[derive(Debug)]
pub(super) struct App {
    /// Where callers are served.
    pub address: SocketAddr,
    /// Whether callers are served over TLS.
    pub has_tls: bool,
    /// Where calls are forwarded to.
    pub upstream: Endpoint,
    server: Server,
    listener: TcpListener,
    health: Option<SocketAddr>,
    metrics: Option<(MetricsServer, TcpListener)>,
    exporters: Providers,
    /// Where traces and metrics are exported to.
    exported_to: [Option<String>; 2],
    unsupported: Vec<Unsupported>,
    /// Stops the sandbox inside the gateway when it is dropped.
    sandbox: Option<watch::Sender<()>>,
}

impl App {
    /// Builds the gateway that `config` describes, on ports that are bound.
    pub(super) async fn build(config: Config, listeners: Listeners) -> Result<Self, StartupError> {
        let (upstream, sandbox) = match config.target {
            Target::Upstream(endpoint) => (endpoint, None),
            #[cfg(feature = "sandbox")]
            Target::Sandbox(settings) => {
                let (endpoint, stop) = sandbox::spawn(*settings)?;
                (endpoint, Some(stop))
            }
        };
        let mut settings = config.telemetry;
        let unsupported = std::mem::take(&mut settings.unsupported);
        let exported_to = settings.endpoints();
        let max_in_flight = config.limits.calls.max_in_flight;
        let (telemetry, exporters, page) = Telemetry::start(settings, max_in_flight)?;
        let mut server = server(
            upstream.clone(),
            config.outbound,
            config.limits,
            config.shutdown_timeouts,
            telemetry,
        )
        .await?;
        let has_tls = config.tls.is_some();
        server.tls = config.tls;
        let address = |listener: &TcpListener| {
            listener
                .local_addr()
                .map_err(|error| format!("a port has no address: {error}"))
        };
        let health = listeners.health.as_ref().map(address).transpose()?;
        server.probes = listeners.health;
        Ok(Self {
            address: address(&listeners.callers)?,
            has_tls,
            upstream,
            server,
            listener: listeners.callers,
            health,
            metrics: page.zip(listeners.metrics),
            exporters,
            exported_to,
            unsupported,
            sandbox,
        })
    }

    /// Whether calls are forwarded to the sandbox inside the gateway.
    pub(super) fn has_sandbox(&self) -> bool {
        self.sandbox.is_some()
    }

    /// Logs what is served where, and which settings are ignored.
    pub(super) fn log_start(&self) {
        let metrics = self.metrics.as_ref();
        let metrics = metrics.and_then(|(_, listener)| listener.local_addr().ok());
        tracing::info!(
            address = %self.address,
            tls = self.has_tls,
            health = self.health.map(tracing::field::display),
            metrics = metrics.map(tracing::field::display),
            traces_to = self.exported_to[0].as_deref(),
            metrics_to = self.exported_to[1].as_deref(),
            upstream = %self.upstream,
            version = %env!("CARGO_PKG_VERSION"),
            "serving"
        );
        self.unsupported.iter().for_each(Unsupported::log);
    }

    /// Serves until `shutdown` resolves and the server has drained. Then
    /// exports the rest of the telemetry, and stops the sandbox last.
    pub(super) async fn serve(self, shutdown: impl Future<Output = ()>) {
        let serving = self.server.serve(self.listener, shutdown);
        match self.metrics {
            None => serving.await,
            // Until the drain is over, which is what metrics should show.
            Some((page, listener)) => tokio::select! {
                () = serving => {}
                () = serve_metrics(listener, page.into_router()) => {}
            },
        }
        self.exporters.end().await;
        drop(self.sandbox);
    }
}

/// Builds the gRPC server in front of `upstream`, without its ports.
///
/// # Errors
///
/// If the system has no trusted authorities.
pub async fn server(
    upstream: Endpoint,
    client: ClientOptions,
    limits: Limits,
    shutdown: ShutdownTimeouts,
    telemetry: Telemetry,
) -> Result<Server, String> {
    let rate_limiter = RateLimiter::new(limits.token_requests_per_minute);
    let mut upstream = Upstream::new(upstream, client, rate_limiter)?;
    if limits.share_reads {
        upstream = upstream.with_shared_reads();
    }
    let gateway = Gateway::new(BulkContext {
        upstream,
        limits: limits.bulk,
        coalescer: limits.bulk_merge_window.map(BatchCoalescer::new),
    });
    let services = move |context, request| gateway.call(context, request);
    let server = Server::new(services, limits.calls, shutdown, telemetry).await;
    server.map_err(|error| error.to_string())
}
