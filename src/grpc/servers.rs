//! tonic's servers of the services that stream, which `build/services.rs` generates.

#![allow(
    missing_debug_implementations,
    missing_docs,
    clippy::all,
    clippy::pedantic
)]

include!(concat!(
    env!("OUT_DIR"),
    "/genesys.presence.v1.PresenceStreamService.rs"
));
include!(concat!(
    env!("OUT_DIR"),
    "/genesys.presence.v1.PresenceWatchService.rs"
));

include!(concat!(env!("OUT_DIR"), "/service_names.rs"));
