//! The health service of the gateway.

use futures_util::stream::{self, BoxStream, StreamExt};
use tonic::{Code, Request, Response, Status};
use tonic_health::ServingStatus::{self, Serving};
use tonic_health::pb::health_check_response::ServingStatus::ServiceUnknown;
use tonic_health::pb::health_server::{Health as HealthRpcs, HealthServer};
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};
use tonic_health::server::{HealthReporter, HealthService};

use crate::grpc::SERVICES;

/// The names whose status is that of calls: the gateway as a whole, and each of
/// its services.
const FOR_CALLS: [&str; 6] = {
    let [first, second, third, fourth] = SERVICES;
    ["", "readiness", first, second, third, fourth]
};

/// The name whose status is that of the process, and stays SERVING to the end:
/// Kubernetes must not kill a process that is draining.
const LIVENESS: &str = "liveness";

/// The statuses. None depends on the vendor: a restart does not end its outage.
#[derive(Debug)]
pub(in crate::server) struct Health(HealthReporter);

impl Health {
    /// The statuses of a serving gateway, and the service that reports them.
    pub(in crate::server) async fn serving() -> (Self, HealthServer<impl HealthRpcs>) {
        let health = Self(HealthReporter::new());
        health.set_for_calls(Serving).await;
        health.0.set_service_status(LIVENESS, Serving).await;
        let statuses = HealthService::from_health_reporter(health.0.clone());
        (health, HealthServer::new(Service(statuses)))
    }

    /// Sets the statuses of calls.
    pub(in crate::server) async fn set_for_calls(&self, status: ServingStatus) {
        for name in FOR_CALLS {
            self.0.set_service_status(name, status).await;
        }
    }
}

/// tonic's health service, except for a watch of an unknown name: it reports
/// `SERVICE_UNKNOWN` and stays open, as `grpc/health/v1/health.proto` requires,
/// where tonic-health 0.14.9 ends it with `NOT_FOUND`.
#[derive(Debug)]
struct Service(HealthService);

#[tonic::async_trait]
impl HealthRpcs for Service {
    type WatchStream = BoxStream<'static, Result<HealthCheckResponse, Status>>;

    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        self.0.check(request).await
    }

    async fn watch(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        match self.0.watch(request).await {
            Ok(watch) => Ok(watch.map(StreamExt::boxed)),
            Err(status) if status.code() == Code::NotFound => {
                let status = ServiceUnknown.into();
                let unknown = stream::iter([Ok(HealthCheckResponse { status })]);
                // No name is registered later.
                Ok(Response::new(unknown.chain(stream::pending()).boxed()))
            }
            Err(status) => Err(status),
        }
    }
}
