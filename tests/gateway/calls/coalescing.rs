//! Coalescing: concurrent identical reads of one token share one upstream
//! request, and concurrent bulk reads share batches. Callers see no difference.

mod bulk_batches;
mod properties;
mod rate_limit;
mod reads;
mod writes;

use axum::response::Response;
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tonic::{Code, Status};

use crate::support::bulk::all_presences;
use crate::support::{Gateway, Limits, ReceivedRequest, reply};

/// Limits with read coalescing on, as `serve` has by default.
fn coalescing_limits() -> Limits {
    Limits {
        share_reads: true,
        ..Limits::default()
    }
}

/// A presence that holds the path and the token of the request.
fn echo_presence(received: &ReceivedRequest) -> Value {
    json!({"id": received.path(), "message": received.token()})
}

/// Responds to a single read with [`echo_presence`], and to a bulk read with
/// all its ids.
fn echo(received: &ReceivedRequest) -> Response {
    if received.path().ends_with("/bulk") {
        all_presences(received)
    } else {
        reply(200, echo_presence(received).to_string())
    }
}

/// Spawns a call as `token` with this `grpc-timeout`.
fn spawn_call(
    gateway: &Gateway,
    rpc: &'static str,
    request: Value,
    token: &str,
    timeout_ms: u64,
) -> JoinHandle<Result<Value, Status>> {
    let (gateway, token) = (gateway.clone(), format!("Bearer {token}"));
    let timeout = format!("{timeout_ms}m");
    tokio::spawn(async move {
        let metadata = [
            ("authorization", token.as_str()),
            ("grpc-timeout", timeout.as_str()),
        ];
        let answer = gateway.call_with_metadata(rpc, request, &metadata).await;
        answer.map(|answer| answer.json)
    })
}

/// Asserts that a call timed out. Its client may notice that first, and cancel.
fn assert_timed_out(status: &Status) {
    let codes = [Code::DeadlineExceeded, Code::Cancelled];
    assert!(codes.contains(&status.code()), "{status:?}");
}
