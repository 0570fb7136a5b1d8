mod counters;
mod failing_collectors;
mod lost_exports;
mod metrics;
mod metrics_page;
mod propagation;
mod settings;
mod span_trees;
mod trace_export;
mod unsupported_settings;
mod watch_metrics;

use std::process::ExitStatus;

use serde_json::Value;
use tonic::Status;

use crate::support::process::ServerProcess;
use crate::support::{Gateway, Vendor};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "b7ad6b7169203331";
const TRACEPARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const BULK: &str = "GetUsersPresencesPurecloudBulk";

/// Decodes hexadecimal digits.
fn bytes(hex: &str) -> Vec<u8> {
    let digits = hex.as_bytes().chunks(2);
    digits
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

/// Starts a gateway process in front of a vendor, with these flags and variables.
async fn gateway(
    vendor: &Vendor,
    flags: &[&str],
    variables: &[(&str, String)],
) -> (ServerProcess, Gateway) {
    let upstream = format!("http://{}", vendor.address);
    let flags = [&["serve", "--upstream-url", &upstream], flags].concat();
    let variables: Vec<(&str, &str)> = variables
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    let serving = ServerProcess::start(&flags, &variables);
    let gateway = Gateway::connect(serving.address.parse().unwrap()).await;
    (serving, gateway)
}

/// Stops the process with SIGTERM; returns its status and its log. Waits in a
/// blocking thread, because the collector runs in the test's runtime.
async fn stop(serving: ServerProcess) -> (ExitStatus, Vec<String>) {
    serving.signal("TERM");
    let exit = tokio::task::spawn_blocking(|| serving.wait());
    exit.await.unwrap()
}

/// Makes a call with the trace context of `TRACEPARENT`.
async fn call(gateway: &Gateway, rpc: &str, request: Value) -> Result<Value, Status> {
    let metadata = [
        ("authorization", "Bearer s3cret-token"),
        ("traceparent", TRACEPARENT),
    ];
    let response = gateway.call_with_metadata(rpc, request, &metadata).await;
    response.map(|response| response.json)
}
