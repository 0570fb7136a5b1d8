//! Every name that the telemetry uses, in one table.
//!
//! The conventions are OpenTelemetry's v1.44. Its RPC group is still moving
//! (`rpc.response.status_code` is to become `rpc.status_code`); what is ours
//! begins with `presence_gateway`.

/// Where the conventions are that the names are of.
pub const SCHEMA_URL: &str = "https://opentelemetry.io/schemas/1.44.0";

/// What says of itself that it made the spans and the metrics.
pub const SCOPE: &str = "presence-gateway";

/// Attributes of the conventions.
pub mod attribute {
    /// What failed, as one of few words.
    pub const ERROR_TYPE: &str = "error.type";
    /// The method of a request to the vendor.
    pub const HTTP_METHOD: &str = "http.request.method";
    /// How often the request had been sent before; absent for the first time.
    pub const HTTP_RESEND_COUNT: &str = "http.request.resend_count";
    /// The status of the vendor's answer.
    pub const HTTP_STATUS: &str = "http.response.status_code";
    /// The version of HTTP towards the vendor.
    pub const PROTOCOL_VERSION: &str = "network.protocol.version";
    /// The full name of the RPC, such as `genesys.presence.v1.PresenceService/GetUserPresence`.
    pub const RPC_METHOD: &str = "rpc.method";
    /// The status of the RPC, such as `NOT_FOUND`.
    pub const RPC_STATUS: &str = "rpc.response.status_code";
    /// Always `grpc`.
    pub const RPC_SYSTEM: &str = "rpc.system.name";
    /// The host of the vendor.
    pub const SERVER_ADDRESS: &str = "server.address";
    /// The port of the vendor.
    pub const SERVER_PORT: &str = "server.port";
    /// The URL with the names of its variables in place of their values, and
    /// without its query: both hold ids.
    pub const URL_FULL: &str = "url.full";
    /// The vendor's path with the names of its variables.
    pub const URL_TEMPLATE: &str = "url.template";
}

/// Attributes of our own.
pub mod own {
    /// How many ids or updates a batch holds.
    pub const BATCH_IDS: &str = "presence_gateway.batch.ids";
    /// The place of a batch in its bulk call, from 0.
    pub const BATCH_INDEX: &str = "presence_gateway.batch.index";
    /// How many batches a bulk call was cut into.
    pub const BULK_BATCHES: &str = "presence_gateway.bulk.batches";
    /// How many ids or updates a bulk call holds.
    pub const BULK_IDS: &str = "presence_gateway.bulk.ids";
    /// The vendor's name for a request (`ININ-Correlation-Id`).
    pub const CORRELATION_ID: &str = "presence_gateway.vendor.correlation_id";
    /// The model of the vendor's that had a field we do not know.
    pub const MODEL: &str = "model";
    /// The field of it whose value is of another kind than promised.
    pub const FIELD: &str = "field";
    /// Why a call was refused, or a request sent again.
    pub const REASON: &str = "reason";
    /// The reason of the error that the call was answered with.
    pub const CALL_REASON: &str = "presence_gateway.reason";
    /// What a call or a request came to, as one of few words.
    pub const RESULT: &str = "result";
    /// The commit that was built.
    pub const REVISION: &str = "revision";
    /// The version that was built.
    pub const VERSION: &str = "version";
    /// How long was waited, in seconds.
    pub const WAIT: &str = "presence_gateway.wait.duration";
    /// Why a request is sent again.
    pub const WAIT_REASON: &str = "presence_gateway.wait.reason";
}

/// Spans and events that no convention names.
pub mod span {
    /// The span of one batch of a bulk call.
    pub const BATCH: &str = "batch";
    /// The event of a request that was not made, because another one's answer served.
    pub const REQUEST_SAVED: &str = "presence_gateway.request_saved";
    /// The event of a wait before a request is sent again.
    pub const BACKOFF: &str = "presence_gateway.backoff";
    /// The event of a wait for the token's turn.
    pub const QUOTA_WAIT: &str = "presence_gateway.quota.wait";
}

/// Metrics.
pub mod metric {
    /// How long calls took.
    pub const CALL_DURATION: &str = "rpc.server.call.duration";
    /// How long requests to the vendor took, each attempt by itself.
    pub const REQUEST_DURATION: &str = "http.client.request.duration";
    /// Calls that have ended, by their result alone: for alerts.
    pub const CALLS_ENDED: &str = "presence_gateway.calls.ended";
    /// Attempts at requests to the vendor, by their result alone: for alerts.
    pub const UPSTREAM_REQUESTS: &str = "presence_gateway.upstream.requests";
    /// When the process started.
    pub const START_TIME: &str = "presence_gateway.start_time";
    /// How many calls are in flight.
    pub const CALLS_IN_FLIGHT: &str = "presence_gateway.calls.in_flight";
    /// How many calls may be in flight.
    pub const CALLS_LIMIT: &str = "presence_gateway.calls.limit";
    /// Calls that were refused for want of room or quota.
    pub const CALLS_SHED: &str = "presence_gateway.calls.shed";
    /// Requests that were sent again.
    pub const RETRIES: &str = "presence_gateway.upstream.retries";
    /// Requests that were not sent again, because the budget was spent.
    pub const RETRIES_REFUSED: &str = "presence_gateway.upstream.retries_refused";
    /// Requests that were not made, because another one's answer served.
    pub const REQUESTS_SAVED: &str = "presence_gateway.upstream.requests_saved";
    /// How long requests waited for their token's turn.
    pub const QUOTA_WAIT: &str = "presence_gateway.quota.wait.duration";
    /// The share of its budget that a token has left.
    pub const QUOTA_REMAINING: &str = "presence_gateway.quota.remaining";
    /// Batches of a bulk call.
    pub const BULK_BATCHES: &str = "presence_gateway.bulk.batches";
    /// Ids or updates of a bulk call.
    pub const BULK_IDS: &str = "presence_gateway.bulk.ids";
    /// Fields of the vendor's answers that the proto does not know.
    pub const UNKNOWN_FIELDS: &str = "presence_gateway.vendor.unknown_fields";
    /// Always 1, with what was built.
    pub const BUILD_INFO: &str = "presence_gateway.build.info";
}

/// What the name of an RPC is that there is not: one of the caller's choice
/// would be of any number.
pub const OTHER: &str = "_OTHER";
