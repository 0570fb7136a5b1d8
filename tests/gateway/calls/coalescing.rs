//! Identical reads of one token that are under way together, and bulk reads
//! that meet: fewer requests of the vendor, and nobody notices.

mod bulk_batches;
mod properties;
mod reads;

use axum::response::Response;
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tonic::{Code, Status};

use crate::support::bulk::all;
use crate::support::{Gateway, Limits, Received, reply};

/// What `serve` grants by default.
fn shared() -> Limits {
    Limits {
        share_reads: true,
        ..Limits::default()
    }
}

/// What a single read of a user is answered with: who asked, and for whom.
fn presence(received: &Received) -> Value {
    json!({"id": received.path(), "message": received.token()})
}

/// Who asked for what.
fn told(received: &Received) -> Response {
    if received.path().ends_with("/bulk") {
        all(received)
    } else {
        reply(200, presence(received).to_string())
    }
}

/// A call of its own task, in the name of `token`, with so many milliseconds.
fn call(
    gateway: &Gateway,
    rpc: &'static str,
    request: Value,
    token: &str,
    milliseconds: u64,
) -> JoinHandle<Result<Value, Status>> {
    let (gateway, token) = (gateway.clone(), format!("Bearer {token}"));
    let time = format!("{milliseconds}m");
    tokio::spawn(async move {
        let metadata = [
            ("authorization", token.as_str()),
            ("grpc-timeout", time.as_str()),
        ];
        let answer = gateway.call_with(rpc, request, &metadata).await;
        answer.map(|answer| answer.json)
    })
}

/// Checks that a call failed for want of time, which its client may notice first.
fn ran_out(status: &Status) {
    let codes = [Code::DeadlineExceeded, Code::Cancelled];
    assert!(codes.contains(&status.code()), "{status:?}");
}
