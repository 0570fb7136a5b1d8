mod choice;
mod rejected;
mod separate;

use serde_json::Value;
use tonic::Status;

use crate::support::{Gateway, JsonResponse};

/// The read of these tests.
const RPC: &str = "GetUserPresencesPurecloud";

/// Makes a call with the token `any` to a region; none for the default.
async fn call(
    gateway: &Gateway,
    rpc: &str,
    request: Value,
    region: Option<&str>,
) -> Result<JsonResponse, Status> {
    let token = Some(("authorization", "Bearer any"));
    let region = region.map(|region| ("genesys-region", region));
    let metadata: Vec<_> = token.into_iter().chain(region).collect();
    gateway.call_with_metadata(rpc, request, &metadata).await
}
