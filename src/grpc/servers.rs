//! tonic's servers, which `build/services.rs` generates.

#![allow(
    missing_debug_implementations,
    missing_docs,
    clippy::all,
    clippy::pedantic
)]

include!(concat!(
    env!("OUT_DIR"),
    "/genesys.presence.v1.PresenceService.rs"
));
include!(concat!(
    env!("OUT_DIR"),
    "/genesys.presence.v1.PresenceStreamService.rs"
));
include!(concat!(
    env!("OUT_DIR"),
    "/genesys.presence.v1.PresenceWatchService.rs"
));
include!(concat!(
    env!("OUT_DIR"),
    "/genesys.presence.v1.LegacyPresenceService.rs"
));

/// The full names of the services.
pub const SERVICES: [&str; 4] = [
    presence_service_server::SERVICE_NAME,
    presence_stream_service_server::SERVICE_NAME,
    presence_watch_service_server::SERVICE_NAME,
    legacy_presence_service_server::SERVICE_NAME,
];
