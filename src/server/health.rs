//! What the health service says of the gateway.

use tonic::server::NamedService;
use tonic_health::ServingStatus::{self, NotServing, Serving};
use tonic_health::server::HealthReporter;

use crate::proto::v1::legacy_presence_service_server::LegacyPresenceServiceServer;
use crate::proto::v1::presence_service_server::PresenceServiceServer;
use crate::proto::v1::presence_stream_service_server::PresenceStreamServiceServer;
use crate::service::Gateway;

/// The names under which it answers for calls: the gateway as a whole, and
/// each of its services.
const FOR_CALLS: [&str; 5] = [
    "",
    "readiness",
    <PresenceServiceServer<Gateway> as NamedService>::NAME,
    <PresenceStreamServiceServer<Gateway> as NamedService>::NAME,
    <LegacyPresenceServiceServer<Gateway> as NamedService>::NAME,
];

/// The name under which it answers for the process, until that ends: one that
/// is about to end by itself shall not be killed for it.
const LIVENESS: &str = "liveness";

/// The statuses; none depends on the vendor, whose outage no restart mends.
#[derive(Debug)]
pub(super) struct Health(HealthReporter);

impl Health {
    /// The statuses of a gateway that serves.
    pub(super) async fn serving(reporter: HealthReporter) -> Self {
        let health = Self(reporter);
        health.report(Serving).await;
        health.0.set_service_status(LIVENESS, Serving).await;
        health
    }

    /// Asks all that choose where to call to call elsewhere.
    pub(super) async fn ends(&self) {
        self.report(NotServing).await;
    }

    async fn report(&self, status: ServingStatus) {
        for name in FOR_CALLS {
            self.0.set_service_status(name, status).await;
        }
    }
}
