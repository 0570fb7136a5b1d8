//! How the gateway names itself to HTTP servers.

/// The `User-Agent` of requests, to the vendor and to collectors.
pub(crate) const USER_AGENT: &str = concat!("presence-gateway/", env!("CARGO_PKG_VERSION"));
