//! The gRPC server: accepts connections, and leads each call through the layers.

mod delivery;
mod layers;
mod mend;
mod places;
mod refusal;

use std::io;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tonic::service::Routes;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

use crate::deadline::DeadlinePolicy;
use crate::proto::DESCRIPTORS;
use crate::proto::v1::legacy_presence_service_server::LegacyPresenceServiceServer;
use crate::proto::v1::presence_service_server::PresenceServiceServer;
use crate::service::Gateway;

/// The largest request message, in bytes: gRPC's customary limit, and some ten
/// times what the vendor takes.
pub const MAX_REQUEST: usize = 4 * 1024 * 1024;

/// How much metadata a call may have, in bytes. hyper gives up the connection,
/// with all calls on it, where one call has far more than this.
const MAX_METADATA: u32 = 96 * 1024;

/// How long calls in flight have at a shutdown.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a new connection may say nothing. A gRPC client speaks first.
const SILENCE: Duration = Duration::from_secs(10);

/// How long to wait before the next connection after one could not be
/// accepted: most likely, the process has too many open.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What the server grants to calls.
#[derive(Debug, Clone, Copy)]
pub struct CallLimits {
    /// How much time a call has.
    pub deadlines: DeadlinePolicy,
    /// How many calls are in flight at once.
    pub max_in_flight: usize,
}

/// The gateway as a gRPC server.
#[derive(Debug)]
pub struct Server {
    router: Router,
    health: HealthReporter,
}

/// The names under which the health service answers for the gateway as a whole.
const WHOLE: [&str; 2] = ["", "readiness"];

/// The name under which it answers for the process, until it ends.
const LIVENESS: &str = "liveness";

impl Server {
    /// A server for `gateway`.
    ///
    /// # Errors
    ///
    /// If the descriptors are not what reflection can serve.
    pub async fn new(gateway: Gateway, limits: CallLimits) -> io::Result<Self> {
        let current = PresenceServiceServer::new(gateway.clone());
        let legacy = LegacyPresenceServiceServer::new(gateway);
        let services = Routes::new(current.max_decoding_message_size(MAX_REQUEST))
            .add_service(legacy.max_decoding_message_size(MAX_REQUEST))
            .prepare()
            .into_axum_router();
        let services = layers::around(services, limits);

        let (health, health_service) = tonic_health::server::health_reporter();
        let v1 = tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(DESCRIPTORS)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            .build_v1()
            .map_err(io::Error::other)?;
        let v1alpha = tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(DESCRIPTORS)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            .build_v1alpha()
            .map_err(io::Error::other)?;
        // Added around the layers: these need no token, and must answer when
        // the gateway is full.
        let router = Routes::from(services)
            .add_service(health_service)
            .add_service(v1)
            .add_service(v1alpha)
            .into_axum_router();

        let server = Self { router, health };
        server.report(ServingStatus::Serving).await;
        server
            .health
            .set_service_status(LIVENESS, ServingStatus::Serving)
            .await;
        Ok(server)
    }

    /// Serves until `shutdown` is done, then until the calls in flight have
    /// ended, but no longer than 30 s.
    pub async fn serve(self, listener: TcpListener, shutdown: impl Future<Output = ()>) {
        let connections = GracefulShutdown::new();
        let (end, ending) = watch::channel(());
        let mut shutdown = std::pin::pin!(shutdown);
        loop {
            tokio::select! {
                () = &mut shutdown => break,
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => self.connect(stream, &connections, ending.clone()),
                    Err(error) => {
                        tracing::warn!(%error, "a connection could not be accepted");
                        sleep(ACCEPT_PAUSE).await;
                    }
                },
            }
        }
        drop((listener, end));
        self.report(ServingStatus::NotServing).await;
        if timeout(DRAIN_TIMEOUT, connections.shutdown())
            .await
            .is_err()
        {
            tracing::warn!("connections were still open at the end of the shutdown");
        }
    }

    fn connect(
        &self,
        stream: TcpStream,
        connections: &GracefulShutdown,
        mut ending: watch::Receiver<()>,
    ) {
        // Answers are small: none shall wait to be joined by a second one.
        let _ = stream.set_nodelay(true);
        let service = TowerToHyperService::new(self.router.clone());
        let watcher = connections.watcher();
        #[expect(clippy::disallowed_methods, reason = "a connection holds its calls")]
        tokio::spawn(async move {
            // Probes and port scans connect and say nothing. Once it is
            // hyper's, such a connection would hold up the shutdown.
            let mut first = [0];
            let speaks = tokio::select! {
                speaks = timeout(SILENCE, stream.peek(&mut first)) => matches!(speaks, Ok(Ok(1))),
                _ = ending.changed() => false,
            };
            if !speaks {
                return;
            }
            let connection = http2::Builder::new(TokioExecutor::new())
                .timer(TokioTimer::new())
                // So that one call with a token of any size that gets through
                // a proxy has its status, and the others are not disturbed.
                .max_header_list_size(MAX_METADATA)
                // Finds a client that vanished, whose calls would go on for nobody.
                .keep_alive_interval(Duration::from_secs(30))
                .keep_alive_timeout(Duration::from_secs(20))
                .serve_connection(TokioIo::new(stream), service);
            if let Err(error) = watcher.watch(connection).await {
                tracing::debug!(%error, "a connection ended");
            }
        });
    }

    async fn report(&self, status: ServingStatus) {
        use tonic::server::NamedService;
        let services = [
            <PresenceServiceServer<Gateway> as NamedService>::NAME,
            <LegacyPresenceServiceServer<Gateway> as NamedService>::NAME,
        ];
        for name in WHOLE.into_iter().chain(services) {
            self.health.set_service_status(name, status).await;
        }
    }
}
