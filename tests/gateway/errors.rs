//! The status of a failed call: code, reason, message and details.

mod connections;
mod correlation;
pub mod faults;
mod fields;
mod invalid;
mod permissions;
mod redirects;
mod sizes;
mod statuses;
mod throttled;

use http::Method;
use serde_json::{Value, json};
use tonic::Status;

use crate::support::{Gateway, JsonResponse};

/// An RPC of this HTTP method, with a valid request.
fn rpc(method: &Method) -> (&'static str, Value) {
    match method.as_str() {
        "GET" => ("GetUserPresencesPurecloud", json!({"userId": "u"})),
        "POST" => ("PostPresenceSources", json!({"body": {}})),
        "PUT" => ("PutPresenceSettings", json!({"body": {}})),
        "PATCH" => (
            "PatchUserPresencesPurecloud",
            json!({"userId": "u", "body": {}}),
        ),
        "DELETE" => ("DeletePresenceSource", json!({"sourceId": "s"})),
        other => panic!("no RPC uses {other}"),
    }
}

const METHODS: [Method; 5] = [
    Method::GET,
    Method::POST,
    Method::PUT,
    Method::PATCH,
    Method::DELETE,
];

/// Makes a call marked as a retry, so that the gateway does not retry it and the
/// caller gets the vendor's first response.
async fn call_once(gateway: &Gateway, rpc: &str, request: Value) -> Result<JsonResponse, Status> {
    let metadata = [
        ("authorization", "Bearer token"),
        ("grpc-previous-rpc-attempts", "1"),
    ];
    gateway.call_with_metadata(rpc, request, &metadata).await
}

/// Calls the RPC of an HTTP method, by [`call_once`].
async fn call_method(gateway: &Gateway, method: &Method) -> Result<JsonResponse, Status> {
    let (rpc, request) = rpc(method);
    call_once(gateway, rpc, request).await
}
