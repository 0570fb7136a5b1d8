//! What the vendor's refusals become: one status, with all that is known.

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

/// One RPC for each method, with a request that is right.
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
        other => panic!("no RPC is a {other}"),
    }
}

const METHODS: [Method; 5] = [
    Method::GET,
    Method::POST,
    Method::PUT,
    Method::PATCH,
    Method::DELETE,
];

/// Makes a call that is a repetition already, so that the gateway leaves
/// further ones to its caller and each answer of the vendor's is seen alone.
async fn ask(gateway: &Gateway, rpc: &str, request: Value) -> Result<JsonResponse, Status> {
    let metadata = [
        ("authorization", "Bearer token"),
        ("grpc-previous-rpc-attempts", "1"),
    ];
    gateway.call_with_metadata(rpc, request, &metadata).await
}

/// Makes the call of a method.
async fn ask_by(gateway: &Gateway, method: &Method) -> Result<JsonResponse, Status> {
    let (rpc, request) = rpc(method);
    ask(gateway, rpc, request).await
}
