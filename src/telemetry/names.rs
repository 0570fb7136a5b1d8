//! The names of all attributes.
//!
//! The conventions are OpenTelemetry's v1.44. Their RPC group still changes
//! (`rpc.response.status_code` will become `rpc.status_code`). Custom names begin
//! with `presence_gateway`.

/// The schema of the conventions.
pub const SCHEMA_URL: &str = "https://opentelemetry.io/schemas/1.44.0";

/// The instrumentation scope of the spans and the metrics.
pub const SCOPE: &str = "presence-gateway";

/// Attributes of the conventions.
pub mod attribute {
    /// Why something failed: one of a fixed set.
    pub const ERROR_TYPE: &str = "error.type";
    /// The method of a request to the vendor.
    pub const HTTP_METHOD: &str = "http.request.method";
    /// How often the request was sent before; absent for the first attempt.
    pub const HTTP_RESEND_COUNT: &str = "http.request.resend_count";
    /// The status of the vendor's response.
    pub const HTTP_STATUS: &str = "http.response.status_code";
    /// The version of HTTP that the vendor is called with.
    pub const PROTOCOL_VERSION: &str = "network.protocol.version";
    /// The full name of the RPC: `genesys.presence.v1.PresenceService/GetUserPresence`.
    pub const RPC_METHOD: &str = "rpc.method";
    /// The status of the RPC, for example `NOT_FOUND`.
    pub const RPC_STATUS: &str = "rpc.response.status_code";
    /// Always `grpc`.
    pub const RPC_SYSTEM: &str = "rpc.system.name";
    /// The host of the vendor.
    pub const SERVER_ADDRESS: &str = "server.address";
    /// The port of the vendor.
    pub const SERVER_PORT: &str = "server.port";
    /// The URL with the names of its variables instead of their values, and
    /// without its query: both contain ids.
    pub const URL_FULL: &str = "url.full";
    /// The vendor's path with the names of its variables.
    pub const URL_TEMPLATE: &str = "url.template";
}

/// Custom attributes.
pub mod custom {
    /// How many ids or updates a batch holds.
    pub const BATCH_IDS: &str = "presence_gateway.batch.ids";
    /// The index of a batch in its bulk call, from 0.
    pub const BATCH_INDEX: &str = "presence_gateway.batch.index";
    /// How many batches a bulk call has.
    pub const BULK_BATCHES: &str = "presence_gateway.bulk.batches";
    /// How many ids or updates a bulk call holds.
    pub const BULK_IDS: &str = "presence_gateway.bulk.ids";
    /// The vendor's id of a request (`ININ-Correlation-Id`).
    pub const CORRELATION_ID: &str = "presence_gateway.vendor.correlation_id";
    /// The vendor's model with an unknown field.
    pub const MODEL: &str = "model";
    /// The field of a model whose value has another type than documented.
    pub const FIELD: &str = "field";
    /// Why a call was rejected, or a request retried or not sent.
    pub const REASON: &str = "reason";
    /// The reason in the error status of the call.
    pub const CALL_REASON: &str = "presence_gateway.reason";
    /// The result of a call or a request: one of a fixed set.
    pub const RESULT: &str = "result";
    /// Who made a decision: one of a fixed set.
    pub const SOURCE: &str = "source";
    /// The commit that was built.
    pub const REVISION: &str = "revision";
    /// The version that was built.
    pub const VERSION: &str = "version";
    /// The length of a wait, in seconds.
    pub const WAIT: &str = "presence_gateway.wait.duration";
    /// Why a request is retried.
    pub const WAIT_REASON: &str = "presence_gateway.wait.reason";
}

/// The value of an attribute that is not one of its fixed set. An RPC that does
/// not exist has it as its name, since callers can make up any number of names.
pub const OTHER: &str = "_OTHER";
